//! Totals over all accounts of an asset, after each record that changed them.

use lombard_index::ReadError;
use lombard_types::Position;

use super::{Store, codes};
use crate::{
    Sum,
    bytes::{SUM_BYTES, join, part, sum_at, sum_bytes, u32_at, u64_at},
    place::{AssetNumber, Place},
};

/// Asset, position.
pub(super) const KEY: usize = 4 + 6;
/// How many accounts, four sums.
pub(super) const VALUE: usize = 4 + 4 * SUM_BYTES;

/// One asset's line of the trial balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetSums {
    /// How many accounts hold it.
    pub account_count: u32,
    /// What is reserved to be debited.
    pub debits_pending: Sum,
    /// What was debited.
    pub debits_posted: Sum,
    /// What is expected to be credited.
    pub credits_pending: Sum,
    /// What was credited.
    pub credits_posted: Sum,
}

impl AssetSums {
    /// What double entry promises.
    pub fn is_balanced(&self) -> bool {
        self.debits_posted == self.credits_posted && self.debits_pending == self.credits_pending
    }
}

/// What was moved by transfers of one code in one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeSums {
    /// How many transfers have moved money.
    pub transfer_count: u64,
    /// How much.
    pub amount: Sum,
}

/// A code, an asset, and what was moved.
type OfCode = ((u16, AssetNumber), CodeSums);

pub(super) fn position_bytes(position: Position) -> [u8; 6] {
    part(&Place::first_of(position).to_bytes(), 0)
}

fn key(asset: AssetNumber, position: Position) -> [u8; KEY] {
    join(&[&asset.0.to_be_bytes(), &position_bytes(position)])
}

impl Store {
    pub(crate) fn put_sums(&self, asset: AssetNumber, position: Position, sums: &AssetSums) {
        let AssetSums {
            account_count,
            debits_pending,
            debits_posted,
            credits_pending,
            credits_posted,
        } = *sums;
        let value = join(&[
            &account_count.to_be_bytes(),
            &sum_bytes(debits_pending),
            &sum_bytes(debits_posted),
            &sum_bytes(credits_pending),
            &sum_bytes(credits_posted),
        ]);
        self.sums.insert(key(asset, position), value);
    }

    /// An asset's sums as of a record.
    pub(crate) fn sums(&self, asset: AssetNumber, until: Position) -> Result<AssetSums, ReadError> {
        let (from, to) = (key(asset, Position::START), key(asset, until));
        let Some((_, value)) = self.sums.last_in(&from, &to)? else {
            return Ok(AssetSums::default());
        };
        let sum = |number: usize| sum_at(&value, 4 + number * SUM_BYTES);
        Ok(AssetSums {
            account_count: u32_at(&value, 0),
            debits_pending: sum(0),
            debits_posted: sum(1),
            credits_pending: sum(2),
            credits_posted: sum(3),
        })
    }

    pub(crate) fn put_code(
        &self,
        (code, asset): (u16, AssetNumber),
        position: Position,
        sums: &CodeSums,
    ) {
        let value = join(&[&sums.transfer_count.to_be_bytes(), &sum_bytes(sums.amount)]);
        self.codes.insert(codes::key(code, asset, position), value);
    }

    /// The sums of every code and asset as of a record, in order. A seek for each that was ever used.
    pub(crate) fn codes(&self, until: Position) -> Result<Vec<OfCode>, ReadError> {
        let mut found = Vec::new();
        let mut next = self.codes.range(&codes::FIRST, &codes::LAST).next().transpose()?;
        while let Some((at, _)) = next {
            let (code, asset) = codes::of(&at);
            let last = codes::key(code, asset, until);
            let from = codes::key(code, asset, Position::START);
            if let Some((_, value)) = self.codes.last_in(&from, &last)? {
                let amount = sum_at(&value, 8);
                let sums = CodeSums { transfer_count: u64_at(&value, 0), amount };
                found.push(((code, asset), sums));
            }
            let Some(after) = codes::after(code, asset) else { break };
            next = self.codes.range(&after, &codes::LAST).next().transpose()?;
        }
        Ok(found)
    }
}
