//! Sealed statements, and the entries that count at another time than they were recorded, by the time at which they count.

use lombard_index::ReadError;
use lombard_ledger_core::{Balance, Recorded, Statement};
use lombard_types::{AccountId, Position, Timestamp};

use super::{Store, entries, sums::position_bytes};
use crate::{
    bytes::{join, part, u32_at, u64_at, u128_at},
    place::{AccountNumber, PLACE_BYTES, Place},
};

/// Account, number of the statement.
pub(super) const KEY: usize = 4 + 4;
/// From, until, end, opening, closing, count of lines, their SHA-256, where and when it was sealed.
pub(super) const VALUE: usize = 8 + 8 + 6 + 2 * BALANCE_BYTES + 8 + 32 + 6 + 8;
/// Account, effective time, place.
pub(super) const DATES_KEY: usize = 4 + 8 + PLACE_BYTES;

const BALANCE_BYTES: usize = 1 + 16;

/// A statement, and where it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// Its head.
    pub statement: Statement,
    /// Where and when it was sealed.
    pub sealed: Recorded,
}

fn key(account: AccountNumber, number: u32) -> [u8; KEY] {
    join(&[&account.0.to_be_bytes(), &number.to_be_bytes()])
}

fn balance_bytes(balance: Balance) -> [u8; BALANCE_BYTES] {
    join(&[&[u8::from(balance.is_negative())], &balance.magnitude().to_be_bytes()])
}

fn balance_at(value: &[u8], offset: usize) -> Balance {
    Balance::new(part::<1>(value, offset) == [1], u128_at(value, offset + 1))
}

fn position_at(value: &[u8], offset: usize) -> Position {
    Place::from_bytes(join(&[&part::<6>(value, offset), &[0; 3]])).position
}

fn encode(row: &StatementRow) -> [u8; VALUE] {
    let Statement { from, until, end, opening, closing, line_count, lines_sha256, .. } =
        row.statement;
    join(&[
        &from.unix_nanos().to_be_bytes(),
        &until.unix_nanos().to_be_bytes(),
        &position_bytes(end),
        &balance_bytes(opening),
        &balance_bytes(closing),
        &line_count.to_be_bytes(),
        &lines_sha256,
        &position_bytes(row.sealed.position),
        &row.sealed.time.unix_nanos().to_be_bytes(),
    ])
}

fn decode(account: AccountId, key: &[u8; KEY], value: &[u8; VALUE]) -> StatementRow {
    let time = |offset| Timestamp::from_unix_nanos(u64_at(value, offset));
    let statement = Statement {
        account,
        number: u32_at(key, 4),
        from: time(0),
        until: time(8),
        end: position_at(value, 16),
        opening: balance_at(value, 22),
        closing: balance_at(value, 39),
        line_count: u64_at(value, 56),
        lines_sha256: part(value, 64),
    };
    let sealed = Recorded { position: position_at(value, 96), time: time(102) };
    StatementRow { statement, sealed }
}

fn date_key(account: AccountNumber, at: Timestamp, place: Place) -> [u8; DATES_KEY] {
    join(&[&account.0.to_be_bytes(), &at.unix_nanos().to_be_bytes(), &place.to_bytes()])
}

const LAST: Place = Place { position: Position::new(u64::MAX), ordinal: u32::MAX };

impl Store {
    pub(crate) fn put_statement(&self, account: AccountNumber, row: &StatementRow) {
        self.statements.insert(key(account, row.statement.number), encode(row));
    }

    /// The statements of an account from one number to another, both included, latest first.
    pub(crate) fn statements_back(
        &self,
        account: (AccountNumber, AccountId),
        from: u32,
        to: u32,
    ) -> impl Iterator<Item = Result<StatementRow, ReadError>> {
        let range = self.statements.range_back(&key(account.0, from), &key(account.0, to));
        range.map(move |entry| entry.map(|(key, value)| decode(account.1, &key, &value)))
    }

    pub(super) fn put_date(&self, account: AccountNumber, at: Timestamp, place: Place) {
        self.dates.insert(date_key(account, at, place), [0]);
    }

    /// The entries of an account that count from a time until before another, and say so, in order of that.
    pub(crate) fn dated_within(
        &self,
        account: AccountNumber,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Result<(Timestamp, Place), ReadError>> {
        let first = date_key(account, from, Place::FIRST);
        let last = match until.unix_nanos().checked_sub(1) {
            Some(last) => date_key(account, Timestamp::from_unix_nanos(last), LAST),
            // Nothing is before the epoch.
            None => date_key(account, Timestamp::EPOCH, Place::FIRST),
        };
        self.dates.range(&first, &last).map(|entry| {
            let (key, _) = entry?;
            Ok((Timestamp::from_unix_nanos(u64_at(&key, 4)), Place::from_bytes(part(&key, 12))))
        })
    }

    /// The entries of an account from one place to another, both included, that say when they count.
    pub(crate) fn dated_recorded(
        &self,
        account: AccountNumber,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = Result<(Timestamp, Place), ReadError>> {
        let range = self.dated.range(&entries::key(account, from), &entries::key(account, to));
        range.map(|entry| {
            let (key, value) = entry?;
            Ok((Timestamp::from_unix_nanos(u64_at(&value, 0)), entries::place_of(&key)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_read_as_it_was_written() {
        let account = AccountId::from_u128(7).unwrap();
        let row = StatementRow {
            statement: Statement {
                account,
                number: 9,
                from: Timestamp::from_unix_nanos(1),
                until: Timestamp::from_unix_nanos(2),
                end: Position::new(3),
                opening: Balance::new(true, 4),
                closing: Balance::new(false, u128::MAX),
                line_count: 5,
                lines_sha256: [6; 32],
            },
            sealed: Recorded { position: Position::new(8), time: Timestamp::from_unix_nanos(10) },
        };
        assert_eq!(decode(account, &key(AccountNumber(1), 9), &encode(&row)), row);
    }
}
