//! A statement as CSV (RFC 4180): a row for each line, with the balance after it.

use super::lines::Line;

const COLUMNS: [&str; 13] = [
    "number",
    "effective_at",
    "recorded_at",
    "transfer_id",
    "kind",
    "side",
    "amount",
    "balance",
    "counterparty",
    "code",
    "external_id",
    "late",
    "position",
];

pub(super) fn head() -> Result<String, csv::Error> {
    crate::rest::csv_row(COLUMNS)
}

pub(super) fn line(line: &Line) -> Result<String, csv::Error> {
    crate::rest::csv_row([
        line.number.to_string().as_str(),
        &line.effective_at,
        &line.recorded_at,
        &line.transfer_id,
        line.kind,
        line.side,
        &line.amount,
        &line.balance,
        &line.counterparty,
        &line.code.to_string(),
        line.external_id.as_deref().unwrap_or_default(),
        if line.is_late { "true" } else { "false" },
        &line.position,
    ])
}
