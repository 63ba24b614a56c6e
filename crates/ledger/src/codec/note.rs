//! What a posting set carries besides its transfers.

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{AuthorityUse, Check, Condition, EntrySide, ExternalId, Metadata, Note};

use super::{balance, put_balance};

const DEBIT: u8 = 0;
const CREDIT: u8 = 1;

const AVAILABLE_AT_LEAST: u8 = 1;
const AVAILABLE_AT_MOST: u8 = 2;
const POSTED_AT_LEAST: u8 = 3;
const POSTED_AT_MOST: u8 = 4;
const VERSION: u8 = 5;

pub(super) fn put(writer: &mut Writer<'_>, note: &Note) {
    let Note { metadata, external_id, conditions, authority } = note;
    writer.text(metadata.as_str());
    writer.text(external_id.as_ref().map(ExternalId::as_str).unwrap_or_default());
    let count = u16::try_from(conditions.len()).unwrap_or(u16::MAX);
    writer.put(&count.to_le_bytes());
    for condition in conditions.iter().take(usize::from(count)) {
        put_condition(writer, condition);
    }
    match authority {
        None => writer.put(&[0]),
        Some(AuthorityUse { id, number }) => {
            writer.put(&[1]);
            writer.put(&id.to_le_bytes());
            writer.put(&number.to_le_bytes());
        }
    }
}

fn put_condition(writer: &mut Writer<'_>, condition: &Condition) {
    writer.put(&condition.transfer.to_le_bytes());
    writer.put(&[match condition.side {
        EntrySide::Debit => DEBIT,
        EntrySide::Credit => CREDIT,
    }]);
    let (code, limit) = match condition.check {
        Check::AvailableAtLeast(limit) => (AVAILABLE_AT_LEAST, limit),
        Check::AvailableAtMost(limit) => (AVAILABLE_AT_MOST, limit),
        Check::PostedAtLeast(limit) => (POSTED_AT_LEAST, limit),
        Check::PostedAtMost(limit) => (POSTED_AT_MOST, limit),
        Check::Version(version) => {
            writer.put(&[VERSION]);
            return writer.put(&version.to_le_bytes());
        }
    };
    writer.put(&[code]);
    put_balance(writer, limit);
}

pub(super) fn take(fields: &mut Reader<'_>) -> Result<Note, DecodeError> {
    let metadata =
        Metadata::new(fields.text()?).map_err(|_| DecodeError("metadata is too long"))?;
    let external_id = match fields.text()? {
        "" => None,
        text => Some(ExternalId::new(text).map_err(|_| DecodeError("external id"))?),
    };
    let count = u16::from_le_bytes(fields.array()?);
    let conditions = (0..count).map(|_| condition(fields)).collect::<Result<_, _>>()?;
    let authority = match fields.byte()? {
        0 => None,
        1 => Some(AuthorityUse {
            id: u128::from_le_bytes(fields.array()?),
            number: u32::from_le_bytes(fields.array()?),
        }),
        _ => return Err(DecodeError("payment authority")),
    };
    Ok(Note { metadata, external_id, conditions, authority })
}

fn condition(fields: &mut Reader<'_>) -> Result<Condition, DecodeError> {
    let transfer = u16::from_le_bytes(fields.array()?);
    let side = match fields.byte()? {
        DEBIT => EntrySide::Debit,
        CREDIT => EntrySide::Credit,
        _ => return Err(DecodeError("side of a condition")),
    };
    let check = match fields.byte()? {
        AVAILABLE_AT_LEAST => Check::AvailableAtLeast(balance(fields)?),
        AVAILABLE_AT_MOST => Check::AvailableAtMost(balance(fields)?),
        POSTED_AT_LEAST => Check::PostedAtLeast(balance(fields)?),
        POSTED_AT_MOST => Check::PostedAtMost(balance(fields)?),
        VERSION => Check::Version(u64::from_le_bytes(fields.array()?)),
        _ => return Err(DecodeError("kind of a condition")),
    };
    Ok(Condition { transfer, side, check })
}
