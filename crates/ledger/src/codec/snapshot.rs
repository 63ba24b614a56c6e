//! The state of the book as a snapshot holds it: version 3.
//!
//! ```text
//!  item              fields
//!  1                 counts, u64 each: assets, accounts, pending sets, chart rules, period locks, statements
//!  asset             code text | scale u8
//!  account           id u128 | path text | asset text | side u8 | limits: floor, ceiling | 1 closed, 0 not |
//!                    version u64 | totals: debits pending, debits posted, credits pending, credits posted, u128 each
//!  pending set       id u128 | 0 does not end, 1 expires, 2 posts: time u64 | count u16 | its transfers: debit account
//!                    u128 | credit account u128 | amount u128 | allowance u128
//!  chart rule        as in its event
//!  period lock       as in its event
//!  statement         the last of an account: account u128 | number u32 | until u64 | end u64 | balance: closing
//! ```
//! The order of accounts and pending sets is that of the log, so equal histories make equal snapshots. Which ids are
//! spent is not in it: that is in an index of its own (`spent`).

use lombard_engine::{
    DecodeError, Snapshot, StateReader, StateWriter,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{
    AccountState, Asset, Book, Ending, HashSeed, LastStatement, PendingState, PendingTransferState,
    RestoreBook, RestoreError, Totals,
};
use lombard_types::{Amount, Position, Scale, Timestamp, TransferId};

use super::{account, balance, limit, parse, put_balance, put_limit, rules, side, side_code, time};
use crate::machine::LedgerMachine;

impl Snapshot for LedgerMachine {
    const VERSION: u16 = 3;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        write_book(self.book(), state);
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let book = read_book(self.seed(), state)?;
        Ok(self.with_book(book))
    }
}

fn write_book(book: &Book, state: &mut StateWriter<'_>) {
    let (assets, accounts) = (book.assets(), book.account_states());
    let pendings = book.pending_states();
    let (chart, locks) = (book.chart_rules(), book.period_locks());
    let statements = book.last_statements();
    let counts =
        [assets.len(), accounts.len(), pendings.len(), chart.len(), locks.len(), statements.len()];
    state.item(|fields| {
        for count in counts {
            fields.put(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
        }
    });
    for asset in assets {
        state.item(|fields| {
            fields.text(asset.code.as_str());
            fields.put(&[asset.scale.digits()]);
        });
    }
    accounts.for_each(|account| state.item(|fields| put_account(fields, &account)));
    pendings.for_each(|pending| state.item(|fields| put_pending(fields, &pending)));
    chart.for_each(|rule| state.item(|fields| rules::put_chart_rule(fields, rule)));
    locks.for_each(|lock| state.item(|fields| rules::put_period_lock(fields, lock)));
    statements.for_each(|last| state.item(|fields| put_last_statement(fields, last)));
}

fn read_book(seed: HashSeed, state: &mut StateReader<'_>) -> Result<Book, DecodeError> {
    let mut counts = [0; 6];
    state.item(|fields| {
        for count in &mut counts {
            *count = number(fields)?;
        }
        Ok(())
    })?;
    let [assets, accounts, pendings, chart, locks, statements] = counts;
    let mut book = RestoreBook::new(seed);
    for _ in 0..assets {
        book.asset(&state.item(asset)?);
    }
    for _ in 0..accounts {
        book.account(state.item(account_state)?).map_err(refuse)?;
    }
    for _ in 0..pendings {
        book.pending(&state.item(pending)?).map_err(refuse)?;
    }
    for _ in 0..chart {
        book.chart_rule(state.item(rules::chart_rule)?);
    }
    for _ in 0..locks {
        book.period_lock(state.item(rules::period_lock)?);
    }
    for _ in 0..statements {
        book.last_statement(state.item(last_statement)?).map_err(refuse)?;
    }
    Ok(book.finish())
}

fn refuse(error: RestoreError) -> DecodeError {
    DecodeError(match error {
        RestoreError::AccountExists => "two accounts have one id or path",
        RestoreError::AssetNotFound => "an account holds an unknown asset",
        RestoreError::TransferExists => "two pending sets have one id",
        RestoreError::AccountNotFound => "a transfer is between unknown accounts",
        RestoreError::TooMany => "there are more entries than a book can number",
    })
}

fn number(fields: &mut Reader<'_>) -> Result<u64, DecodeError> {
    fields.array().map(u64::from_le_bytes)
}

fn amount(fields: &mut Reader<'_>) -> Result<Amount, DecodeError> {
    fields.array().map(|bytes| Amount::from_minor_units(u128::from_le_bytes(bytes)))
}

fn put_last_statement(fields: &mut Writer<'_>, last: &LastStatement) {
    let LastStatement { account, number, until, end, closing } = last;
    fields.put(&account.as_u128().to_le_bytes());
    fields.put(&number.to_le_bytes());
    put_time(fields, *until);
    fields.put(&end.get().to_le_bytes());
    put_balance(fields, *closing);
}

fn last_statement(fields: &mut Reader<'_>) -> Result<LastStatement, DecodeError> {
    Ok(LastStatement {
        account: account::id(fields)?,
        number: u32::from_le_bytes(fields.array()?),
        until: time(fields)?,
        end: Position::new(number(fields)?),
        closing: balance(fields)?,
    })
}

fn put_time(fields: &mut Writer<'_>, time: Timestamp) {
    fields.put(&time.unix_nanos().to_le_bytes());
}

fn put_id(fields: &mut Writer<'_>, id: TransferId) {
    fields.put(&id.as_u128().to_le_bytes());
}

fn transfer_id(fields: &mut Reader<'_>) -> Result<TransferId, DecodeError> {
    TransferId::from_u128(u128::from_le_bytes(fields.array()?))
        .map_err(|_| DecodeError("transfer id"))
}

fn asset(fields: &mut Reader<'_>) -> Result<Asset, DecodeError> {
    let code = parse(fields.text()?)?;
    let scale = Scale::new(fields.byte()?).map_err(|_| DecodeError("scale"))?;
    Ok(Asset { code, scale })
}

fn put_account(fields: &mut Writer<'_>, account: &AccountState) {
    let AccountState { id, path, asset, normal_side, floor, ceiling, is_closed, version, totals } =
        account;
    fields.put(&id.as_u128().to_le_bytes());
    fields.text(path.as_str());
    fields.text(asset.as_str());
    fields.put(&[side_code(*normal_side)]);
    put_limit(fields, *floor);
    put_limit(fields, *ceiling);
    fields.put(&[u8::from(*is_closed)]);
    fields.put(&version.to_le_bytes());
    let Totals { debits_pending, debits_posted, credits_pending, credits_posted } = totals;
    for total in [debits_pending, debits_posted, credits_pending, credits_posted] {
        fields.put(&total.to_le_bytes());
    }
}

fn account_state(fields: &mut Reader<'_>) -> Result<AccountState, DecodeError> {
    let id = account::id(fields)?;
    let (path, asset) = (parse(fields.text()?)?, parse(fields.text()?)?);
    let normal_side = side(fields.byte()?)?;
    let (floor, ceiling) = (limit(fields)?, limit(fields)?);
    let is_closed = match fields.byte()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError("closed account")),
    };
    let version = number(fields)?;
    let mut total = || fields.array().map(u128::from_le_bytes);
    let totals = Totals {
        debits_pending: total()?,
        debits_posted: total()?,
        credits_pending: total()?,
        credits_posted: total()?,
    };
    Ok(AccountState { id, path, asset, normal_side, floor, ceiling, is_closed, version, totals })
}

fn put_pending(fields: &mut Writer<'_>, pending: &PendingState) {
    let PendingState { id, ends, transfers } = pending;
    put_id(fields, *id);
    match ends {
        None => fields.put(&[0]),
        Some((time, ending)) => {
            fields.put(&[match ending {
                Ending::Expired => 1,
                Ending::Posted => 2,
            }]);
            put_time(fields, *time);
        }
    }
    // A set has far fewer.
    fields.put(&u16::try_from(transfers.len()).unwrap_or(u16::MAX).to_le_bytes());
    for transfer in transfers {
        fields.put(&transfer.debit_account.as_u128().to_le_bytes());
        fields.put(&transfer.credit_account.as_u128().to_le_bytes());
        fields.put(&transfer.amount.minor_units().to_le_bytes());
        fields.put(&transfer.allowance.minor_units().to_le_bytes());
    }
}

fn pending(fields: &mut Reader<'_>) -> Result<PendingState, DecodeError> {
    let id = transfer_id(fields)?;
    let ends = match fields.byte()? {
        0 => None,
        1 => Some((time(fields)?, Ending::Expired)),
        2 => Some((time(fields)?, Ending::Posted)),
        _ => return Err(DecodeError("how a pending set ends")),
    };
    let count = u16::from_le_bytes(fields.array()?);
    let transfer = |_| {
        Ok(PendingTransferState {
            debit_account: account::id(fields)?,
            credit_account: account::id(fields)?,
            amount: amount(fields)?,
            allowance: amount(fields)?,
        })
    };
    Ok(PendingState { id, ends, transfers: (0..count).map(transfer).collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod history;
#[cfg(test)]
pub(crate) mod tests;
