//! What stands in the columns: the cells of each kind of row, in the order of the table's columns.

use lombard_ledger_core::{Balance, Outcome, TransferKind, UserData};
use lombard_types::{Position, Scale, Timestamp};

use crate::{
    books::{Account, Asset, Books, index},
    rows::{
        EntryRow, NoteRow, RecordRow, ReservationRow, Rows, StatementRow, TransferRow, entry_side,
        normal_side,
    },
    schema::{self, Cells, FORMAT, Fill, Sink, Table},
};

/// Writes everything of one transaction but how far the tables are then.
pub(crate) fn put_rows<S: Sink>(books: &Books, rows: &Rows, sink: &mut S) -> Result<(), S::Error> {
    put(sink, &schema::RECORDS, &rows.records, record)?;
    put(sink, &schema::TRANSFERS, &rows.transfers, transfer)?;
    put(sink, &schema::ENTRIES, &rows.entries, entry)?;
    put(sink, &schema::NOTES, &rows.notes, note)?;
    put(sink, &schema::STATEMENTS, &rows.statements, statement)?;
    let reservations: Vec<&ReservationRow> = rows.reservations.values().collect();
    put(sink, &schema::RESERVATIONS, &reservations, |row, cells| reservation(row, cells))?;
    put_standing(books, rows, sink)
}

/// Writes the assets, accounts and balances that changed, as they stand.
fn put_standing<S: Sink>(books: &Books, rows: &Rows, sink: &mut S) -> Result<(), S::Error> {
    let assets: Vec<&Asset> =
        rows.assets.iter().filter_map(|&number| books.assets.get(index(number))).collect();
    put(sink, &schema::ASSETS, &assets, |row, cells| asset(row, cells))?;
    let numbered =
        |&number: &u32| books.account(number).map(|account| (i64::from(number), account));
    let accounts: Vec<(i64, &Account)> = rows.accounts.iter().filter_map(numbered).collect();
    put(sink, &schema::ACCOUNTS, &accounts, |row, cells| account(books, row, cells))?;
    let balances: Vec<(i64, &Account)> = rows.balances.iter().filter_map(numbered).collect();
    put(sink, &schema::BALANCES, &balances, |row, cells| balance(row, cells))
}

/// Writes how far the tables are, and of which log.
pub(crate) fn put_progress<S: Sink>(
    books: &Books,
    source: &str,
    sink: &mut S,
) -> Result<(), S::Error> {
    sink.put(&schema::PROJECTION, 1, &|_, cells| {
        cells.integer(FORMAT);
        cells.text(source);
        cells.integer(position(books.position));
        cells.integer(nanos(books.recorded_at));
        cells.integer(integer(books.transfer_count));
    })
}

fn put<S: Sink, R>(
    sink: &mut S,
    table: &Table,
    rows: &[R],
    cells_of: impl Fn(&R, &mut dyn Cells),
) -> Result<(), S::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let fill: &Fill<'_> = &|number, cells| {
        if let Some(row) = rows.get(number) {
            cells_of(row, cells);
        }
    };
    sink.put(table, rows.len(), fill)
}

/// Positions, numbers and nanoseconds reach 2^63 in no life.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn position(position: Position) -> i64 {
    integer(position.get())
}

fn nanos(time: Timestamp) -> i64 {
    integer(time.unix_nanos())
}

fn optional<T>(cells: &mut dyn Cells, value: Option<T>, put: impl FnOnce(&mut dyn Cells, T)) {
    match value {
        Some(value) => put(cells, value),
        None => cells.null(),
    }
}

fn amount(cells: &mut dyn Cells, minor_units: u128, scale: Scale) {
    cells.decimal(Balance::new(false, minor_units), scale);
}

/// Text from outside. PostgreSQL holds no NUL, so no database shall.
fn words(cells: &mut dyn Cells, text: &str) {
    if text.contains('\0') {
        cells.text(&text.replace('\0', "\u{fffd}"));
    } else {
        cells.text(text);
    }
}

fn asset(row: &Asset, cells: &mut dyn Cells) {
    cells.text(row.code.as_str());
    cells.integer(i64::from(row.scale.digits()));
    optional(cells, row.created, |cells, created| cells.integer(position(created)));
}

fn account(books: &Books, (number, row): &(i64, &Account), cells: &mut dyn Cells) {
    cells.integer(*number);
    cells.uuid(row.id.as_u128());
    cells.text(row.path.as_str());
    cells.text(books.assets.get(index(row.asset)).map_or("", |asset| asset.code.as_str()));
    cells.text(normal_side(row.normal_side));
    optional(cells, row.floor, |cells, floor| cells.decimal(floor, row.scale));
    optional(cells, row.ceiling, |cells, ceiling| cells.decimal(ceiling, row.scale));
    cells.boolean(row.is_closed);
    cells.integer(position(row.position));
    cells.integer(nanos(row.opened_at));
}

fn balance((number, row): &(i64, &Account), cells: &mut dyn Cells) {
    let (totals, scale, side) = (row.totals, row.scale, row.normal_side);
    cells.integer(*number);
    cells.integer(integer(row.version));
    amount(cells, totals.debits_pending, scale);
    amount(cells, totals.debits_posted, scale);
    amount(cells, totals.credits_pending, scale);
    amount(cells, totals.credits_posted, scale);
    cells.decimal(totals.posted(side), scale);
    cells.decimal(totals.pending(side), scale);
    cells.decimal(totals.available(side), scale);
}

fn record(row: &RecordRow, cells: &mut dyn Cells) {
    cells.integer(position(row.position));
    cells.integer(nanos(row.recorded_at));
    let Some(evidence) = &row.evidence else {
        return (0..7).for_each(|_| cells.null());
    };
    cells.uuid(evidence.command_id);
    cells.text(evidence.client_id.as_str());
    words(cells, &evidence.subject);
    words(cells, &evidence.token_id);
    cells.text(evidence.request_id.as_str());
    optional(cells, evidence.traceparent.as_deref(), words);
    optional(cells, evidence.idempotency_key.as_deref(), words);
}

const fn kind(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Single => "single",
        TransferKind::Pending(_) => "pending",
        TransferKind::Post { .. } => "post",
        TransferKind::Void { .. } => "void",
        TransferKind::Reversal { .. } => "reversal",
    }
}

fn transfer(row: &TransferRow, cells: &mut dyn Cells) {
    let transfer = &row.recorded.transfer;
    cells.integer(integer(row.number));
    cells.uuid(transfer.id.as_u128());
    cells.integer(integer(row.first));
    cells.integer(position(row.position));
    cells.integer(i64::from(row.ordinal));
    cells.integer(nanos(row.recorded_at));
    optional(cells, transfer.effective_at, |cells, time| cells.integer(nanos(time)));
    cells.text(kind(transfer.kind));
    match row.recorded.outcome {
        Outcome::Created => cells.null(),
        Outcome::Refused(refusal) => cells.text(refusal.name()),
    }
    cells.integer(i64::from(row.debit_account));
    cells.integer(i64::from(row.credit_account));
    amount(cells, transfer.amount.minor_units(), row.scale);
    cells.integer(i64::from(transfer.code));
    optional(cells, transfer.kind.about(), |cells, id| cells.uuid(id.as_u128()));
    cells.integer(i64::from(transfer.flags.bits()));
    user_data(transfer.user_data, cells);
}

/// Of numbers that are no amounts.
const WHOLE: Scale = match Scale::new(0) {
    Ok(scale) => scale,
    Err(_) => Scale::MAX,
};

/// What was not said is null, so that it takes no space.
fn user_data(data: UserData, cells: &mut dyn Cells) {
    let said = |number: u128| (number != 0).then_some(number);
    optional(cells, said(data.data_128), |cells, number| amount(cells, number, WHOLE));
    optional(cells, said(data.data_64.into()), |cells, number| amount(cells, number, WHOLE));
    let data_32 = Some(data.data_32).filter(|number| *number != 0);
    optional(cells, data_32, |cells, number| cells.integer(i64::from(number)));
}

fn entry(row: &EntryRow, cells: &mut dyn Cells) {
    cells.integer(i64::from(row.account));
    cells.integer(integer(row.version));
    cells.integer(integer(row.transfer));
    cells.integer(position(row.position));
    cells.integer(nanos(row.recorded_at));
    optional(cells, row.effective_at, |cells, time| cells.integer(nanos(time)));
    cells.text(entry_side(row.side));
    cells.text(row.kind.name());
    amount(cells, row.amount, row.scale);
    cells.decimal(row.reserved, row.scale);
    cells.decimal(row.posted, row.scale);
    cells.decimal(row.available, row.scale);
}

fn note(row: &NoteRow, cells: &mut dyn Cells) {
    cells.integer(integer(row.transfer));
    optional(cells, row.external_id.as_deref(), words);
    optional(cells, row.metadata.as_deref(), words);
    optional(cells, row.authority, |cells, (id, _)| cells.uuid(id));
    optional(cells, row.authority, |cells, (_, number)| cells.integer(i64::from(number)));
}

fn statement(row: &StatementRow, cells: &mut dyn Cells) {
    let of = &row.statement;
    cells.integer(i64::from(row.account));
    cells.integer(i64::from(of.number));
    cells.integer(nanos(of.from));
    cells.integer(nanos(of.until));
    cells.integer(position(of.end));
    cells.decimal(of.opening, row.scale);
    cells.decimal(of.closing, row.scale);
    cells.integer(integer(of.line_count));
    cells.text(&of.lines_sha256.map(|byte| format!("{byte:02x}")).concat());
    cells.integer(position(row.position));
    cells.integer(nanos(row.sealed_at));
}

fn reservation(row: &ReservationRow, cells: &mut dyn Cells) {
    cells.integer(integer(row.transfer));
    cells.integer(i64::from(row.debit_account));
    cells.integer(i64::from(row.credit_account));
    amount(cells, row.amount, row.scale);
    amount(cells, row.allowance, row.scale);
    optional(cells, row.ends, |cells, (time, _)| cells.integer(nanos(time)));
    optional(cells, row.ends, |cells, (_, is_posted)| {
        cells.text(if is_posted { "posted" } else { "expired" });
    });
    cells.text(row.ended.map_or("open", |ended| ended.state));
    optional(cells, row.ended, |cells, ended| amount(cells, ended.posted, row.scale));
    optional(cells, row.ended, |cells, ended| cells.integer(position(ended.position)));
    optional(cells, row.ended, |cells, ended| cells.integer(nanos(ended.at)));
}
