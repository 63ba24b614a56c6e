//! The stored form of sessions.
//!
//! ```text
//!  12 started  v1: a session
//!  13 ended    v1: id, 16 bytes
//!
//!  session  id, 16 bytes | SHA-256 of its secret, 32 bytes | user, 16 bytes | acr text | authenticated at u64 |
//!           expires at u64
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{Acr, Session, SessionId, UserId, sessions::Event};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};

use super::{VERSION_1, put_time, time};

const STARTED: u8 = 12;
const ENDED: u8 = 13;
pub(super) const KINDS: RangeInclusive<u8> = STARTED..=ENDED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Started(session) => {
            writer.put(&[STARTED, VERSION_1]);
            put(writer, session);
        }
        Event::Ended { id } => {
            writer.put(&[ENDED, VERSION_1]);
            writer.put(&id.0);
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    match kind {
        STARTED => Ok(Event::Started(read(reader)?.into())),
        ENDED => Ok(Event::Ended { id: SessionId(reader.array()?) }),
        _ => Err(DecodeError("unknown kind of event about a session")),
    }
}

pub(super) fn put(writer: &mut Writer<'_>, session: &Session) {
    writer.put(&session.id.0);
    writer.put(&session.secret_sha256);
    writer.put(&session.user.0);
    writer.text(session.acr.name());
    put_time(writer, session.authenticated_at);
    put_time(writer, session.expires_at);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Session, DecodeError> {
    Ok(Session {
        id: SessionId(reader.array()?),
        secret_sha256: reader.array()?,
        user: UserId(reader.array()?),
        acr: acr(reader)?,
        authenticated_at: time(reader)?,
        expires_at: time(reader)?,
    })
}

pub(super) fn acr(reader: &mut Reader<'_>) -> Result<Acr, DecodeError> {
    Acr::from_name(reader.text()?).ok_or(DecodeError("unknown acr"))
}

/// One event of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let time = lombard_types::Timestamp::from_unix_nanos;
    let id = SessionId([4; 16]);
    let session = Session {
        id,
        secret_sha256: [5; 32],
        user: UserId([3; 16]),
        acr: Acr::Password,
        authenticated_at: time(6),
        expires_at: time(7),
    };
    vec![Event::Started(session.into()), Event::Ended { id }]
}
