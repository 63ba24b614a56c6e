//! A statement's lines with what the log says of them, written one by one: only so many records are in memory at a time.

use std::{io, sync::Arc};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use lombard_chassis::Problem;
use lombard_ledger_api::{amount_text, position_text};
use lombard_ledger_core::Balance;
use lombard_types::Amount;

use super::{Format, body, camt053, csv};
use crate::{
    AccountRow, EntryRow, StatementRow,
    index::StatementLine,
    rest::{Api, described::Cause, side},
};

/// A statement with its lines.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) account: AccountRow,
    pub(super) row: StatementRow,
    pub(super) lines: Vec<StatementLine>,
}

/// A line in words.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    pub(super) transfer_id: String,
    pub(super) kind: &'static str,
    pub(super) side: &'static str,
    pub(super) amount: String,
    /// What is posted after it, in the order of the statement.
    pub(super) balance: String,
    pub(super) counterparty: String,
    pub(super) code: u16,
    pub(super) effective_at: String,
    pub(super) recorded_at: String,
    pub(super) position: String,
    /// Where the entry stands in the log.
    pub(super) place: String,
    pub(super) is_late: bool,
    pub(super) external_id: Option<String>,
}

/// How far a statement has been written.
struct Writing {
    api: Api,
    told: Arc<Told>,
    format: Format,
    next: usize,
    balance: Balance,
    is_over: bool,
}

/// Lines written at once.
const CHUNK: usize = 100;

impl Api {
    /// A statement as a stream.
    pub(super) fn tell(&self, told: Told, format: Format) -> Response {
        let balance = told.row.statement.opening;
        let told = Arc::new(told);
        let writing = Writing { api: self.clone(), told, format, next: 0, balance, is_over: false };
        let chunks = stream::try_unfold(writing, async |mut writing| {
            if writing.is_over {
                return Ok(None);
            }
            match writing.chunk().await {
                Ok(text) => Ok(Some((Bytes::from(text), writing))),
                Err(error) => {
                    tracing::error!(%error, "a statement was cut short");
                    Err(error)
                }
            }
        });
        let kind = [(header::CONTENT_TYPE, format.media_type())];
        (kind, Body::from_stream(chunks)).into_response()
    }
}

impl Writing {
    async fn chunk(&mut self) -> io::Result<String> {
        let Told { account, row, lines } = &*Arc::clone(&self.told);
        let mut text = match (self.next, self.format) {
            (0, Format::Json) => body::head(account, row).map_err(io::Error::other)?,
            (0, Format::Csv) => csv::head().map_err(io::Error::other)?,
            (0, Format::Camt053) => camt053::head(&self.told),
            _ => String::new(),
        };
        for line in lines.iter().skip(self.next).take(CHUNK) {
            self.balance = line.after(account, self.balance);
            self.next += 1;
            let cause = self.api.cause(&line.entry).await.map_err(cut_short)?;
            let line = self.line(account, line, &cause).map_err(cut_short)?;
            text += &match self.format {
                Format::Json => body::line(&line).map_err(io::Error::other)?,
                Format::Csv => csv::line(&line).map_err(io::Error::other)?,
                Format::Camt053 => camt053::entry(&self.told, &line),
            };
        }
        if self.next == lines.len() {
            self.is_over = true;
            text += match self.format {
                Format::Json => body::TAIL,
                Format::Csv => "",
                Format::Camt053 => camt053::TAIL,
            };
        }
        Ok(text)
    }

    fn line(
        &self,
        account: &AccountRow,
        line: &StatementLine,
        cause: &Cause,
    ) -> Result<Line, Problem> {
        let scale = account.asset.scale;
        let EntryRow { place, kind, side: of, posted, .. } = line.entry;
        let transfer = cause.transfer()?;
        let counterparty = self.api.ask(|index| {
            let (debit, credit) = index.parties(&transfer.recorded)?;
            let other = if debit.id == account.id { credit } else { debit };
            Ok(other.path.to_string())
        })?;
        let external_id = transfer.note.and_then(|note| note.external_id.as_ref());
        Ok(Line {
            number: self.next,
            transfer_id: transfer.recorded.transfer.id.to_string(),
            kind: kind.name(),
            side: side(of),
            amount: amount_text(Amount::from_minor_units(posted), scale),
            balance: self.balance.display(scale).to_string(),
            counterparty,
            code: transfer.recorded.transfer.code,
            effective_at: cause.effective_at.to_string(),
            recorded_at: cause.recorded_at.to_string(),
            position: position_text(place.position),
            place: place.to_string(),
            is_late: line.is_late,
            external_id: external_id.map(|id| id.as_str().to_owned()),
        })
    }
}

/// The problem was logged where it arose; the answer has begun and can only be cut short.
fn cut_short(problem: Problem) -> io::Error {
    io::Error::other(problem.kind().title)
}
