//! `/v1/ledger/export/transfers` and `.../entries`: everything there is, as CSV or JSON Lines, in a stream. One record, or
//! one page of entries, is in memory at a time.

use std::io;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use lombard_chassis::{Problem, Query};
use lombard_types::{AccountId, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Api, Reader, csv_row, with_position};
use crate::{AccountRow, Cut, Place, problem};

/// The columns of transfers as CSV: members of a transfer's JSON.
const TRANSFER_COLUMNS: [&str; 17] = [
    "id",
    "kind",
    "status",
    "result",
    "debit_account",
    "credit_account",
    "asset",
    "amount",
    "code",
    "pending_id",
    "reverses",
    "expires_at",
    "effective_at",
    "recorded_at",
    "position",
    "external_id",
    "metadata",
];

/// The columns of entries as CSV: members of an entry's JSON.
const ENTRY_COLUMNS: [&str; 14] = [
    "number",
    "transfer_id",
    "kind",
    "side",
    "amount",
    "reserved",
    "released",
    "balance",
    "available",
    "counterparty",
    "code",
    "effective_at",
    "recorded_at",
    "position",
];

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    fn of(asked: Option<&str>) -> Result<Self, Problem> {
        match asked {
            None | Some("jsonl") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(problem::invalid_parameter("format", "must be jsonl or csv")),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/jsonl",
        }
    }

    /// What comes before the rows.
    fn head<const N: usize>(self, columns: [&str; N]) -> io::Result<String> {
        match self {
            Self::Csv => csv_row(columns).map_err(io::Error::other),
            Self::JsonLines => Ok(String::new()),
        }
    }

    fn row<const N: usize>(self, columns: [&str; N], row: &impl Serialize) -> io::Result<String> {
        if self == Self::JsonLines {
            return Ok(serde_json::to_string(row)? + "\n");
        }
        let row = serde_json::to_value(row)?;
        let cells = columns.map(|column| match row.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        });
        csv_row(cells.each_ref().map(String::as_str)).map_err(io::Error::other)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfers {
    format: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
}

/// All transfers in the order in which they were recorded, refused ones included, each with what had become of it. A body
/// that is cut short is an error that is in the ledger's own log. Needs `ledger:read` without a path.
pub(super) async fn transfers(
    reader: Reader,
    State(api): State<Api>,
    Query(asked): Query<Transfers>,
) -> Result<Response, Problem> {
    reader.whole_book()?;
    let format = Format::of(asked.format.as_deref())?;
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let chunks = stream::try_unfold((api, Position::START), move |(api, position)| async move {
        if position > Position::START && position >= cut.end {
            return Ok(None);
        }
        let text = api.transfer_rows(format, position, cut).await;
        text.map(|text| Some((Bytes::from(text), (api, position.next())))).inspect_err(cut_short)
    });
    let kind = [(header::CONTENT_TYPE, format.media_type())];
    Ok(with_position(cut, (kind, Body::from_stream(chunks)).into_response()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    account: String,
    format: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
}

/// All entries of an account, oldest first, with the balance after each. Needs `ledger:read` for its path.
pub(super) async fn entries(
    reader: Reader,
    State(api): State<Api>,
    Query(asked): Query<Entries>,
) -> Result<Response, Problem> {
    let id: AccountId =
        asked.account.parse().map_err(|error| problem::invalid_parameter("account", error))?;
    let format = Format::of(asked.format.as_deref())?;
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let account = api.account(&reader, id, cut)?;
    let start = (api, account, Next::First);
    let chunks = stream::try_unfold(start, move |(api, account, next)| async move {
        let after = match next {
            Next::First => None,
            Next::After(place) => Some(place),
            Next::Over => return Ok(None),
        };
        let rows = api.entry_rows_after(format, &account, after, cut).await;
        rows.map(|(text, next)| Some((Bytes::from(text), (api, account, next))))
            .inspect_err(cut_short)
    });
    let kind = [(header::CONTENT_TYPE, format.media_type())];
    Ok(with_position(cut, (kind, Body::from_stream(chunks)).into_response()))
}

/// Where an export of entries goes on.
enum Next {
    First,
    After(Place),
    Over,
}

/// Entries written at once.
const CHUNK: usize = 256;

fn cut_short(error: &io::Error) {
    tracing::error!(%error, "an export of the ledger was cut short");
}

/// The problem was logged where it arose.
fn failed(problem: Problem) -> io::Error {
    io::Error::other(problem.kind().title)
}

impl Api {
    /// The transfers of a record; before those of the first, the head.
    async fn transfer_rows(
        &self,
        format: Format,
        position: Position,
        cut: Cut,
    ) -> io::Result<String> {
        let mut text = match position == Position::START {
            true => format.head(TRANSFER_COLUMNS)?,
            false => String::new(),
        };
        if position >= cut.end {
            return Ok(text);
        }
        let record = self.record(position).await.map_err(failed)?;
        for transfer in record.transfers() {
            let body = self.ask(|index| index.transfer_body(&transfer, record.time, cut));
            text += &format.row(TRANSFER_COLUMNS, &body.map_err(failed)?)?;
        }
        Ok(text)
    }

    async fn entry_rows_after(
        &self,
        format: Format,
        account: &AccountRow,
        after: Option<Place>,
        cut: Cut,
    ) -> io::Result<(String, Next)> {
        let mut text = match after {
            None => format.head(ENTRY_COLUMNS)?,
            Some(_) => String::new(),
        };
        let page = self.ask(|index| {
            let page = index.entries(account.number, after, cut, CHUNK);
            page.map_err(|error| problem::internal(&error))
        });
        let page = page.map_err(failed)?;
        for row in &page.items {
            let cause = self.cause(row).await.map_err(failed)?;
            let body = self.entry_body(account, row, &cause).map_err(failed)?;
            text += &format.row(ENTRY_COLUMNS, &body)?;
        }
        Ok((text, page.next.map_or(Next::Over, Next::After)))
    }
}
