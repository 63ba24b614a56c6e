//! The keys of sums by code.

use lombard_types::Position;

use super::sums::position_bytes;
use crate::{
    bytes::{SUM_BYTES, join, part, u32_at},
    place::AssetNumber,
};

/// Code, asset, position.
pub(super) const KEY: usize = 2 + 4 + 6;
/// Count, sum.
pub(super) const VALUE: usize = 8 + SUM_BYTES;

pub(super) const FIRST: [u8; KEY] = [0; KEY];
pub(super) const LAST: [u8; KEY] = [u8::MAX; KEY];

pub(super) fn key(code: u16, asset: AssetNumber, position: Position) -> [u8; KEY] {
    join(&[&code.to_be_bytes(), &asset.0.to_be_bytes(), &position_bytes(position)])
}

pub(super) fn of(key: &[u8; KEY]) -> (u16, AssetNumber) {
    (u16::from_be_bytes(part(key, 0)), AssetNumber(u32_at(key, 2)))
}

/// The first key of the code and asset after these.
pub(super) fn after(code: u16, asset: AssetNumber) -> Option<[u8; KEY]> {
    match asset.0.checked_add(1) {
        Some(next) => Some(key(code, AssetNumber(next), Position::START)),
        None => Some(key(code.checked_add(1)?, AssetNumber(0), Position::START)),
    }
}
