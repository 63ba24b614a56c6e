//! The book as a snapshot.
//!
//! ```text
//!  items of the state, in this order
//!  1 item          counts: assets u64 | accounts u64 | spent transfers u64
//!  each asset      by code: code text | scale u8
//!  each account    as opened: id u128 | path text | asset text | side u8 | floor | debits pending, debits posted,
//!                  credits pending, credits posted: u128 each
//!  each transfer   as spent: transfer, 128 bytes | fingerprint of the metadata u64 | outcome u8 (0 posted, or the
//!                  refusal) | position u64 | time u64
//! ```
//! The fields are those of the events (`mod.rs`). The order of accounts and transfers is that of the log, so equal
//! books give equal bytes.

use lombard_engine::{
    DecodeError, Snapshot, StateReader, StateWriter,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{
    AccountState, Asset, Outcome, Recorded, RestoreBook, RestoreError, SpentState, Totals,
};
use lombard_types::{AccountId, Position, Scale, Timestamp};

use super::{floor, parse, put_floor, refusal, refusal_code, side, side_code, transfer};
use crate::machine::LedgerMachine;

const POSTED: u8 = 0;

impl Snapshot for LedgerMachine {
    const VERSION: u16 = 1;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        let book = self.book();
        let (assets, accounts, spent) = (book.assets(), book.account_states(), book.spent_states());
        state.item(|fields| {
            for count in [assets.len(), accounts.len(), spent.len()] {
                fields.put(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
            }
        });
        for asset in assets {
            state.item(|fields| {
                fields.text(asset.code.as_str());
                fields.put(&[asset.scale.digits()]);
            });
        }
        for account in accounts {
            state.item(|fields| put_account(fields, &account));
        }
        for spent in spent {
            state.item(|fields| put_spent(fields, &spent));
        }
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let [assets, accounts, spent] =
            state.item(|fields| Ok([number(fields)?, number(fields)?, number(fields)?]))?;
        let mut book = RestoreBook::new(self.seed());
        for _ in 0..assets {
            book.asset(&state.item(asset)?);
        }
        for _ in 0..accounts {
            book.account(&state.item(account)?).map_err(refuse)?;
        }
        for _ in 0..spent {
            book.spent(&state.item(spent_transfer)?).map_err(refuse)?;
        }
        Ok(Self::new(book.finish(), self.seed()))
    }
}

fn refuse(error: RestoreError) -> DecodeError {
    DecodeError(match error {
        RestoreError::AccountExists => "two accounts have one id or path",
        RestoreError::AssetNotFound => "an account holds an unknown asset",
        RestoreError::TransferExists => "two transfers have one id",
        RestoreError::AccountNotFound => "a transfer is between unknown accounts",
        RestoreError::TooMany => "there are more entries than a book can number",
    })
}

fn number(fields: &mut Reader<'_>) -> Result<u64, DecodeError> {
    fields.array().map(u64::from_le_bytes)
}

fn asset(fields: &mut Reader<'_>) -> Result<Asset, DecodeError> {
    let code = parse(fields.text()?)?;
    let scale = Scale::new(fields.byte()?).map_err(|_| DecodeError("scale"))?;
    Ok(Asset { code, scale })
}

fn put_account(fields: &mut Writer<'_>, account: &AccountState) {
    let AccountState { id, path, asset, normal_side, floor, totals } = account;
    fields.put(&id.as_u128().to_le_bytes());
    fields.text(path.as_str());
    fields.text(asset.as_str());
    fields.put(&[side_code(*normal_side)]);
    put_floor(fields, *floor);
    let Totals { debits_pending, debits_posted, credits_pending, credits_posted } = totals;
    for total in [debits_pending, debits_posted, credits_pending, credits_posted] {
        fields.put(&total.to_le_bytes());
    }
}

fn account(fields: &mut Reader<'_>) -> Result<AccountState, DecodeError> {
    let id = u128::from_le_bytes(fields.array()?);
    let (path, asset) = (parse(fields.text()?)?, parse(fields.text()?)?);
    let (normal_side, floor) = (side(fields.byte()?)?, floor(fields)?);
    let mut total = || fields.array().map(u128::from_le_bytes);
    Ok(AccountState {
        id: AccountId::from_u128(id).map_err(|_| DecodeError("account id"))?,
        path,
        asset,
        normal_side,
        floor,
        totals: Totals {
            debits_pending: total()?,
            debits_posted: total()?,
            credits_pending: total()?,
            credits_posted: total()?,
        },
    })
}

fn put_spent(fields: &mut Writer<'_>, spent: &SpentState) {
    let SpentState { transfer, metadata, outcome, recorded } = spent;
    fields.put(&transfer::pack(transfer));
    fields.put(&metadata.to_le_bytes());
    fields.put(&[match outcome {
        Outcome::Posted => POSTED,
        Outcome::Refused(refusal) => refusal_code(*refusal),
    }]);
    fields.put(&recorded.position.get().to_le_bytes());
    fields.put(&recorded.time.unix_nanos().to_le_bytes());
}

fn spent_transfer(fields: &mut Reader<'_>) -> Result<SpentState, DecodeError> {
    Ok(SpentState {
        transfer: transfer::unpack(&fields.array()?)?,
        metadata: number(fields)?,
        outcome: match fields.byte()? {
            POSTED => Outcome::Posted,
            code => Outcome::Refused(refusal(code)?),
        },
        recorded: Recorded {
            position: Position::new(number(fields)?),
            time: Timestamp::from_unix_nanos(number(fields)?),
        },
    })
}

#[cfg(test)]
mod tests;
