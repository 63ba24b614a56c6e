//! A statement as JSON.

use lombard_ledger_api::position_text;
use lombard_ledger_core::Statement;
use serde::Serialize;

use super::lines::Line;
use crate::{AccountRow, StatementRow};

/// What a statement says but for its lines. Balances are what is posted, on the account's normal side.
#[derive(Debug, Serialize)]
pub(super) struct HeadBody {
    account_id: String,
    account: String,
    asset: String,
    number: u32,
    from: String,
    /// The first instant after the period.
    until: String,
    opening: String,
    closing: String,
    line_count: String,
    /// Over the lines, as docs/reference/http.md describes.
    lines_sha256: String,
    /// The last record that was taken into account.
    drawn_up_at: Option<String>,
    sealed_at: String,
    /// The record that sealed it.
    position: String,
}

impl HeadBody {
    pub(super) fn of(account: &AccountRow, row: &StatementRow) -> Self {
        let Statement { number, from, until, end, opening, closing, line_count, .. } =
            row.statement;
        let scale = account.asset.scale;
        Self {
            account_id: account.id.to_string(),
            account: account.path.to_string(),
            asset: account.asset.code.to_string(),
            number,
            from: from.to_string(),
            until: until.to_string(),
            opening: opening.display(scale).to_string(),
            closing: closing.display(scale).to_string(),
            line_count: line_count.to_string(),
            lines_sha256: hex(&row.statement.lines_sha256),
            drawn_up_at: end.previous().map(position_text),
            sealed_at: row.sealed.time.to_string(),
            position: position_text(row.sealed.position),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of the body, up to the first line.
pub(super) fn head(account: &AccountRow, row: &StatementRow) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(&HeadBody::of(account, row))?;
    // The closing brace comes after the lines.
    text.pop();
    Ok(text + ",\"lines\":[")
}

#[derive(Serialize)]
struct LineBody<'a> {
    number: usize,
    transfer_id: &'a str,
    kind: &'static str,
    side: &'static str,
    amount: &'a str,
    balance: &'a str,
    counterparty: &'a str,
    code: u16,
    effective_at: &'a str,
    recorded_at: &'a str,
    position: &'a str,
    /// It counts in an earlier period, whose statement was sealed before it was recorded.
    late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
}

pub(super) fn line(line: &Line) -> Result<String, serde_json::Error> {
    let body = LineBody {
        number: line.number,
        transfer_id: &line.transfer_id,
        kind: line.kind,
        side: line.side,
        amount: &line.amount,
        balance: &line.balance,
        counterparty: &line.counterparty,
        code: line.code,
        effective_at: &line.effective_at,
        recorded_at: &line.recorded_at,
        position: &line.position,
        late: line.is_late,
        external_id: line.external_id.as_deref(),
    };
    let text = serde_json::to_string(&body)?;
    Ok(if line.number == 1 { text } else { format!(",{text}") })
}

pub(super) const TAIL: &str = "]}";
