//! Accounts.

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::Event;
use lombard_types::AccountId;

use super::{evidence, limit, parse, put_limit, side, side_code};

/// All of an opened account but the evidence.
pub(super) fn put_opened(writer: &mut Writer<'_>, event: &Event) {
    let Event::AccountOpened { id, path, asset, normal_side, floor, ceiling, .. } = event else {
        return;
    };
    writer.put(&id.as_u128().to_le_bytes());
    writer.text(path.as_str());
    writer.text(asset.as_str());
    writer.put(&[side_code(*normal_side)]);
    put_limit(writer, *floor);
    put_limit(writer, *ceiling);
}

pub(super) fn opened(fields: &mut Reader<'_>) -> Result<Event, DecodeError> {
    Ok(Event::AccountOpened {
        id: id(fields)?,
        path: parse(fields.text()?)?,
        asset: parse(fields.text()?)?,
        normal_side: side(fields.byte()?)?,
        floor: limit(fields)?,
        ceiling: limit(fields)?,
        evidence: evidence(fields)?,
    })
}

pub(super) fn id(fields: &mut Reader<'_>) -> Result<AccountId, DecodeError> {
    AccountId::from_u128(u128::from_le_bytes(fields.array()?))
        .map_err(|_| DecodeError("account id"))
}
