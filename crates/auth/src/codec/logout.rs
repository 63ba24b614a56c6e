//! The stored form of logouts that clients must hear of.
//!
//! ```text
//!  37 due      v1: a logout
//!  38 settled  v1: number u64 | whether the client was told u8
//!
//!  logout  number u64 | client text | user, 16 bytes | session, 16 bytes | until u64
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{Logout, SessionId, UserId, logouts::Event};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};

use super::{VERSION_1, flag, parse, put_time, time};

const DUE: u8 = 37;
const SETTLED: u8 = 38;
pub(super) const KINDS: RangeInclusive<u8> = DUE..=SETTLED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Due(logout) => {
            writer.put(&[DUE, VERSION_1]);
            put(writer, logout);
        }
        Event::Settled { number, is_told } => {
            writer.put(&[SETTLED, VERSION_1]);
            writer.put(&number.to_le_bytes());
            writer.put(&[u8::from(*is_told)]);
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    Ok(match kind {
        DUE => Event::Due(read(reader)?.into()),
        SETTLED => {
            Event::Settled { number: u64::from_le_bytes(reader.array()?), is_told: flag(reader)? }
        }
        _ => return Err(DecodeError("unknown kind of event about a logout")),
    })
}

pub(super) fn put(writer: &mut Writer<'_>, logout: &Logout) {
    writer.put(&logout.number.to_le_bytes());
    writer.text(logout.client.as_str());
    writer.put(&logout.user.0);
    writer.put(&logout.session.0);
    put_time(writer, logout.until);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Logout, DecodeError> {
    Ok(Logout {
        number: u64::from_le_bytes(reader.array()?),
        client: parse(reader.text()?)?,
        user: UserId(reader.array()?),
        session: SessionId(reader.array()?),
        until: time(reader)?,
    })
}

/// One event of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let logout = Logout {
        number: 0x0102,
        client: "shop".parse().unwrap(),
        user: UserId([3; 16]),
        session: SessionId([4; 16]),
        until: lombard_types::Timestamp::from_unix_nanos(5),
    };
    vec![Event::Due(logout.into()), Event::Settled { number: 6, is_told: true }]
}
