//! Reads the books from the tables. Databases answer in text, so that one reader serves all.

use std::str::FromStr;

use lombard_ledger_core::{Balance, NormalSide, Totals};
use lombard_types::{AccountId, Amount, AssetCode, Position, Scale, Timestamp, TransferId};

use crate::{
    books::{Account, Books},
    rows::{ReservationRow, Rows},
    schema::FORMAT,
    target::{Found, TargetError},
};

/// Rows that are asked for at once.
const PAGE: u64 = 10_000;

/// A row as text; `None` for null.
pub(crate) type Cells = Vec<Option<String>>;

/// Asks a database.
pub(crate) trait Ask {
    /// The rows that a statement selects, every column of which is text.
    fn ask(&mut self, statement: &str) -> Result<Vec<Cells>, TargetError>;
}

/// Reads tables whose names begin with `prefix`. `None` where the table that says how far they are is empty.
pub(crate) fn restore(ask: &mut dyn Ask, prefix: &str) -> Result<Option<Found>, TargetError> {
    let statement = format!("SELECT CAST(format AS TEXT) FROM {prefix}projection");
    let Some(format) = ask.ask(&statement)?.into_iter().next() else { return Ok(None) };
    let found: i64 = Reader(format.into_iter()).parse("format")?;
    if found != FORMAT {
        return Err(TargetError::Format { found, expected: FORMAT });
    }
    let statement = format!(
        "SELECT source, CAST(position AS TEXT), CAST(recorded_at AS TEXT), CAST(transfers AS TEXT) FROM {prefix}projection"
    );
    let Some(progress) = ask.ask(&statement)?.into_iter().next() else { return Ok(None) };
    let mut cells = Reader(progress.into_iter());
    let source = cells.text("source")?;
    let mut books = Books::new();
    books.position = Position::new(cells.parse("position")?);
    books.recorded_at = Timestamp::from_unix_nanos(cells.parse("recorded_at")?);
    books.transfer_count = cells.parse("transfers")?;
    let unwritten = restore_assets(ask, prefix, &mut books)?;
    restore_accounts(ask, prefix, &mut books)?;
    restore_reservations(ask, prefix, &mut books)?;
    Ok(Some(Found { source, books, unwritten }))
}

fn restore_assets(ask: &mut dyn Ask, prefix: &str, books: &mut Books) -> Result<Rows, TargetError> {
    let mut unwritten = Rows::default();
    unwritten.assets.extend((0..).zip(&books.assets).map(|(number, _)| number));
    let columns = "code, CAST(scale AS TEXT), CAST(position AS TEXT)";
    // Those that were created, in their order; the built-in ones have their numbers already. The columns are named in
    // full, since a bare name would be the text that is selected.
    let statement =
        format!("SELECT {columns} FROM {prefix}assets AS a ORDER BY a.position, a.code");
    for row in ask.ask(&statement)? {
        let mut cells = Reader(row.into_iter());
        let code: AssetCode = cells.parse("asset")?;
        let scale =
            Scale::new(cells.parse("scale")?).map_err(|_| TargetError::Unreadable("scale"))?;
        let created = cells.optional("position of an asset")?.map(Position::new);
        let number = books.set_asset(code, scale, created)?;
        unwritten.assets.remove(&number);
    }
    Ok(unwritten)
}

fn restore_accounts(ask: &mut dyn Ask, prefix: &str, books: &mut Books) -> Result<(), TargetError> {
    let columns = "CAST(a.number AS TEXT), CAST(a.id AS TEXT), a.path, a.asset, a.normal_side, CAST(a.floor AS TEXT), \
         CAST(a.ceiling AS TEXT), CASE WHEN a.is_closed THEN 'yes' ELSE 'no' END, CAST(a.position AS TEXT), \
         CAST(a.opened_at AS TEXT), CAST(b.version AS TEXT), CAST(b.debits_pending AS TEXT), \
         CAST(b.debits_posted AS TEXT), CAST(b.credits_pending AS TEXT), CAST(b.credits_posted AS TEXT)";
    loop {
        let next = u64::try_from(books.accounts.len()).unwrap_or(u64::MAX);
        let rows = ask.ask(&format!(
            "SELECT {columns} FROM {prefix}accounts AS a JOIN {prefix}balances AS b ON b.account = a.number \
             WHERE a.number >= {next} ORDER BY a.number LIMIT {PAGE}"
        ))?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            restore_account(Reader(row.into_iter()), books)?;
        }
    }
}

fn restore_account(mut cells: Reader, books: &mut Books) -> Result<(), TargetError> {
    let number: u32 = cells.parse("account")?;
    let id: AccountId = cells.parse("account id")?;
    let path = cells.parse("account path")?;
    let (asset, scale) = books.asset_of(&cells.parse("account asset")?)?;
    let normal_side = match cells.text("normal side")?.as_str() {
        "debit" => NormalSide::Debit,
        "credit" => NormalSide::Credit,
        _ => return Err(TargetError::Unreadable("normal side")),
    };
    let account = Account {
        id,
        path,
        asset,
        scale,
        normal_side,
        floor: cells.limit(scale)?,
        ceiling: cells.limit(scale)?,
        is_closed: cells.text("whether an account is closed")? == "yes",
        position: Position::new(cells.parse("account position")?),
        opened_at: Timestamp::from_unix_nanos(cells.parse("account time")?),
        version: cells.parse("account version")?,
        totals: Totals {
            debits_pending: cells.amount(scale)?,
            debits_posted: cells.amount(scale)?,
            credits_pending: cells.amount(scale)?,
            credits_posted: cells.amount(scale)?,
        },
    };
    if books.add_account(account)? != number {
        return Err(TargetError::Unreadable("an account is missing"));
    }
    Ok(())
}

fn restore_reservations(
    ask: &mut dyn Ask,
    prefix: &str,
    books: &mut Books,
) -> Result<(), TargetError> {
    let columns = "CAST(r.transfer AS TEXT), CAST(t.id AS TEXT), CAST(r.debit_account AS TEXT), \
         CAST(r.credit_account AS TEXT), CAST(r.amount AS TEXT), CAST(r.allowance AS TEXT), CAST(r.ends_at AS TEXT), r.ends_by";
    let mut next = 0u64;
    loop {
        let rows = ask.ask(&format!(
            "SELECT {columns} FROM {prefix}reservations AS r JOIN {prefix}transfers AS t ON t.number = r.transfer \
             WHERE r.state = 'open' AND r.transfer >= {next} ORDER BY r.transfer LIMIT {PAGE}"
        ))?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (set, row) = reservation(Reader(row.into_iter()), books)?;
            next = row.transfer + 1;
            books.reserve(set, row);
        }
    }
}

fn reservation(
    mut cells: Reader,
    books: &Books,
) -> Result<(TransferId, ReservationRow), TargetError> {
    let transfer = cells.parse("transfer")?;
    let set = cells.parse("transfer id")?;
    let debit_account = cells.parse("debit account")?;
    let credit_account = cells.parse("credit account")?;
    let account = books.account(debit_account).ok_or(TargetError::Unreadable("debit account"))?;
    let scale = account.scale;
    let (amount, allowance) = (cells.amount(scale)?, cells.amount(scale)?);
    let ends_at = cells.optional("end of a reservation")?.map(Timestamp::from_unix_nanos);
    let is_posted = cells.next("end of a reservation")?.is_some_and(|by| by == "posted");
    let ends = ends_at.map(|time| (time, is_posted));
    let row = ReservationRow {
        transfer,
        debit_account,
        credit_account,
        scale,
        amount,
        allowance,
        ends,
        ended: None,
    };
    Ok((set, row))
}

/// Reads the cells of a row, from left to right.
struct Reader(std::vec::IntoIter<Option<String>>);

impl Reader {
    fn next(&mut self, what: &'static str) -> Result<Option<String>, TargetError> {
        self.0.next().ok_or(TargetError::Unreadable(what))
    }

    fn text(&mut self, what: &'static str) -> Result<String, TargetError> {
        self.next(what)?.ok_or(TargetError::Unreadable(what))
    }

    fn parse<T: FromStr>(&mut self, what: &'static str) -> Result<T, TargetError> {
        self.text(what)?.parse().map_err(|_| TargetError::Unreadable(what))
    }

    fn optional(&mut self, what: &'static str) -> Result<Option<u64>, TargetError> {
        let text = self.next(what)?;
        text.map(|text| text.parse()).transpose().map_err(|_| TargetError::Unreadable(what))
    }

    fn amount(&mut self, scale: Scale) -> Result<u128, TargetError> {
        let amount = Amount::parse(&self.text("amount")?, scale);
        Ok(amount.map_err(|_| TargetError::Unreadable("amount"))?.minor_units())
    }

    fn limit(&mut self, scale: Scale) -> Result<Option<Balance>, TargetError> {
        let text = self.next("limit")?;
        let limit = text.map(|text| Balance::parse(&text, scale)).transpose();
        limit.map_err(|_| TargetError::Unreadable("limit"))
    }
}
