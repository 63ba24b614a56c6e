//! `POST /v1/ledger/import`: history from elsewhere, as a stream of rows.
//!
//! Each row is a posting set with an id of its own, marked as imported. Rows are decided a chunk at a time, each by itself:
//! a row that is refused does not hold up the others, and is reported with its line and column. A stream that broke off is
//! sent again from its beginning: rows that are there already are told from new ones by their ids.

mod csv;
mod rows;

use std::sync::Arc;

use axum::{body::Body, extract::State};
use futures_util::StreamExt as _;
use http::{HeaderMap, header};
use lombard_chassis::{Context, Problem, problems};
use lombard_ledger_api::Answer;
use lombard_ledger_core::{Outcome, TransferRefusal, TransferRejection};
use serde::Serialize;

use super::{
    Api,
    authority::{Caller, Right},
    evidence,
    sets::{Asked, Ended, NewSet, outcome},
};
use crate::problem;

use self::{
    csv::Header,
    rows::{Format, Row, RowTooLong, Rows},
};

/// What became of the stream.
#[derive(Debug, Default, Serialize)]
pub(super) struct ImportBody {
    /// Rows that were read.
    rows: u64,
    /// Rows that were recorded now.
    created: u64,
    /// Rows that had been recorded before.
    replayed: u64,
    /// Rows that were not.
    refused: u64,
    /// Why, of the first of them.
    problems: Vec<RowProblem>,
}

/// What is wrong with a row.
#[derive(Debug, Serialize)]
struct RowProblem {
    /// From 1.
    line: u64,
    /// Of CSV: the place of the field that is wrong, from 1. Of JSON that is none: the place in the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// As in `lombard explain-error`.
    error: &'static str,
    detail: String,
}

/// One import under way.
struct Import<'a> {
    api: &'a Api,
    caller: &'a Caller,
    context: Context,
    format: Format,
    header: Option<Header>,
    /// Rows to be decided together, with their lines.
    chunk: Vec<(u64, Asked)>,
    body: ImportBody,
}

/// Imports rows of `text/csv` or `application/jsonl`. 200 with what became of them, also where rows were refused. Needs
/// `ledger:import`, and `ledger:write` for each debit account.
pub(super) async fn import(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ImportBody>, Problem> {
    caller.may_book(Right::Import)?;
    let format = format(&headers)?;
    let mut rows = Rows::new(format, api.config.body_bytes_max);
    let mut import = Import {
        api: &api,
        caller: &caller,
        context,
        format,
        header: None,
        chunk: Vec::new(),
        body: ImportBody::default(),
    };
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| {
            Problem::new(&problems::BODY_INCOMPLETE).detail(format!("{error}; send it again"))
        })?;
        rows.push(&bytes);
        while let Some(row) = rows.next(false).map_err(too_long)? {
            import.take(row).await?;
        }
    }
    while let Some(row) = rows.next(true).map_err(too_long)? {
        import.take(row).await?;
    }
    import.decide().await?;
    // Rows of a chunk that could not be read are known before those that were refused.
    import.body.problems.sort_by_key(|problem| problem.line);
    Ok(Answer::ok(api.writer.log().tail().previous(), import.body))
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match kind {
        "text/csv" => Ok(Format::Csv),
        "application/jsonl" | "application/x-ndjson" => Ok(Format::JsonLines),
        _ => Err(Problem::new(&problems::UNSUPPORTED_MEDIA_TYPE)
            .detail("send text/csv or application/jsonl")),
    }
}

fn too_long(RowTooLong { line }: RowTooLong) -> Problem {
    Problem::new(&problems::BODY_TOO_LARGE)
        .detail(format!("the row in line {line} is too long; rows before it were imported"))
        .with("line", line)
}

impl Import<'_> {
    async fn take(&mut self, row: Row) -> Result<(), Problem> {
        if self.format == Format::Csv && self.header.is_none() {
            self.header = Some(Header::parse(&row.bytes)?);
            return Ok(());
        }
        self.body.rows += 1;
        match self.ask(&row).await {
            Ok(asked) => self.chunk.push((row.line, asked)),
            Err((column, problem)) => self.refuse(row.line, column, None, &problem),
        }
        if self.chunk.len() >= self.api.config.batch_sets_max {
            self.decide().await?;
        }
        Ok(())
    }

    /// What a row asks for, or the column that is wrong.
    async fn ask(&self, row: &Row) -> Result<Asked, (Option<usize>, Problem)> {
        let set = match &self.header {
            Some(header) => header.set(&row.bytes).map_err(|problem| (None, problem)),
            None => serde_json::from_slice::<NewSet>(&row.bytes)
                .map(NewSet::into_imported)
                .map_err(|error| {
                    let problem = Problem::new(&problems::MALFORMED_JSON).detail(error.to_string());
                    (Some(error.column()), problem)
                }),
        };
        let asked = async {
            let set = set?;
            let id = set.chosen_id().map_err(|problem| (None, problem))?;
            let id = id.ok_or_else(|| (None, problem::invalid_field("id", "is missing")))?;
            set.ask(self.api, self.caller, id).await.map_err(|problem| (None, problem))
        };
        asked.await.map_err(|(column, problem)| {
            let named = problem.member("field").and_then(|field| self.column_of(field));
            (column.or(named), problem)
        })
    }

    /// The place of a field in CSV, from 1.
    fn column_of(&self, field: &str) -> Option<usize> {
        self.header.as_ref()?.column_of(field)
    }

    /// Has the rows decided that were read since the last time.
    async fn decide(&mut self) -> Result<(), Problem> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let (lines, asked): (Vec<u64>, Vec<Asked>) =
            std::mem::take(&mut self.chunk).into_iter().unzip();
        let evidence = evidence::of(self.caller, self.context.clone(), None);
        let ended = self.api.submit_sets(&asked, evidence, false).await;
        let ended = ended.map_err(problem::from_submit_error)?;
        for ((ended, line), asked) in ended.into_iter().zip(lines).zip(asked) {
            let id = Some(asked.id.to_string());
            match ended? {
                Ended::Rejected { rejection, .. } => {
                    let column = self.column_of(field_of_rejection(rejection));
                    self.refuse(line, column, id, &problem::from_transfer_rejection(rejection));
                }
                Ended::Stored(stored) => match outcome(stored.set()?) {
                    Outcome::Refused(refusal) => {
                        let column = self.column_of(field_of_refusal(refusal));
                        self.refuse(line, column, id, &problem::from_refusal(refusal));
                    }
                    Outcome::Created if stored.is_replay => self.body.replayed += 1,
                    Outcome::Created => self.body.created += 1,
                },
            }
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, column: Option<usize>, id: Option<String>, problem: &Problem) {
        self.body.refused += 1;
        if self.body.problems.len() < self.api.config.import_problems_max {
            let (error, detail) = (problem.kind().slug, problem.detail_text().to_owned());
            self.body.problems.push(RowProblem { line, column, id, error, detail });
        }
    }
}

/// The field of a row that a rejection is about; the id where it is about all of it.
const fn field_of_rejection(rejection: TransferRejection) -> &'static str {
    use TransferRejection as R;
    match rejection {
        R::DebitAccountNotFound => "debit_account",
        R::CreditAccountNotFound | R::AccountsMustBeDifferent => "credit_account",
        R::AccountsMustHaveTheSameAsset | R::TransferMustHaveTheSameAssetAsAccounts => "asset",
        R::AmountMustNotBeZero => "amount",
        R::ImportedEventTimestampOutOfRange | R::ImportedEventTimestampMustNotAdvance => {
            "effective_at"
        }
        R::ExternalIdTaken => "external_id",
        _ => "id",
    }
}

/// The same of a refusal.
const fn field_of_refusal(refusal: TransferRefusal) -> &'static str {
    use TransferRefusal as R;
    match refusal {
        R::PeriodLocked => "effective_at",
        R::DebitAccountAlreadyClosed => "debit_account",
        R::CreditAccountAlreadyClosed => "credit_account",
        _ => "amount",
    }
}
