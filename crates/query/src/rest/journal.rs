//! `/v1/ledger/export/hledger`: the book in plain text, so that an accountant can check it with another program.
//!
//! The format is the journal of hledger 1.x, which ledger-cli reads too. A transfer that moved money is a transaction
//! with two postings: debits are positive. What was only reserved has not moved, and is not in it.

use std::{fmt::Write as _, io, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use lombard_chassis::{Problem, Query};
use lombard_ledger_core::{AccountRef, Ending, Event, Outcome, Transfer, TransferKind};
use lombard_types::{AccountId, Position, Timestamp};
use serde::Deserialize;

use super::{Api, Reader, with_position};
use crate::{DecodedRecord, history::HistoryError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at_least: Option<String>,
    as_of: Option<String>,
}

/// Everything that was moved, record by record. A body that is cut short is an error that is in the ledger's own log.
/// Needs `ledger:read` without a path.
pub(super) async fn get(
    reader: Reader,
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    reader.whole_book()?;
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let records = stream::try_unfold((api, Position::START), move |(api, position)| async move {
        if position >= cut.end {
            return Ok(None);
        }
        match api.journal_of(position).await {
            Ok(text) => Ok(Some((Bytes::from(text), (api, position.next())))),
            Err(error) => {
                tracing::error!(%error, %position, "an export of the ledger was cut short");
                Err(io::Error::other(error))
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok(with_position(cut, (kind, Body::from_stream(records)).into_response()))
}

impl Api {
    async fn journal_of(&self, position: Position) -> Result<String, HistoryError> {
        let mut text = String::new();
        let Some(record) = self.records.get(position).await? else {
            return Ok(text);
        };
        for moved in record.transfers() {
            let is_moved = moved.recorded.outcome == Outcome::Created;
            if is_moved && is_moving(moved.recorded.transfer.kind) {
                self.write(&mut text, &moved.recorded.transfer, record.time);
            }
        }
        for event in &record.events {
            let Event::PendingsEnded(ended) = event else { continue };
            for ended in ended.iter().filter(|ended| ended.ending == Ending::Posted) {
                let Some(set) = self.record_of(ended.id).await? else { continue };
                for scheduled in set.transfers() {
                    if scheduled.recorded.transfer.id == ended.id {
                        self.write(&mut text, &scheduled.recorded.transfer, ended.at);
                    }
                }
            }
        }
        Ok(text)
    }

    /// The record of a posting set.
    async fn record_of(
        &self,
        id: lombard_types::TransferId,
    ) -> Result<Option<Arc<DecodedRecord>>, HistoryError> {
        let found = self.follower.read(|index| index.transfer(id));
        match found.map_err(HistoryError::Index)? {
            Some(place) => self.records.get(place.position).await,
            None => Ok(None),
        }
    }

    fn write(&self, text: &mut String, transfer: &Transfer, recorded_at: Timestamp) {
        let time = transfer.effective_at.unwrap_or(recorded_at).to_string();
        let date = time.split('T').next().unwrap_or_default();
        let posting = |id: AccountId| {
            self.follower.read(|index| {
                let account = index.account(&AccountRef::Id(id))?;
                let amount = transfer.amount.display(account.asset.scale).to_string();
                Some((
                    account.path.as_str().replace('/', ":"),
                    amount,
                    account.asset.code.to_string(),
                ))
            })
        };
        let (Some((debit, amount, asset)), Some((credit, ..))) =
            (posting(transfer.debit_account), posting(transfer.credit_account))
        else {
            return;
        };
        let written = write!(
            text,
            "{date} * {}\n    {debit}  \"{asset}\" {amount}\n    {credit}  \"{asset}\" -{amount}\n\n",
            transfer.id
        );
        // Writing to a string does not fail.
        written.unwrap_or_default();
    }
}

const fn is_moving(kind: TransferKind) -> bool {
    matches!(kind, TransferKind::Single | TransferKind::Post { .. } | TransferKind::Reversal { .. })
}
