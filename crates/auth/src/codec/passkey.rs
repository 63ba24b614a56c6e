//! The stored form of passkeys.
//!
//! ```text
//!  34 registered  v1: a passkey
//!  35 used        v1: id: byte string | sign count u32 | at u64
//!  36 removed     v1: user, 16 bytes | id: byte string
//!
//!  passkey  id: byte string | user, 16 bytes | name text | public key: byte string | sign count u32 | created at u64 |
//!           used at: option of u64
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{CredentialId, Passkey, UserId, passkeys::Event};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};

use super::{VERSION_1, option, parse, put_option, put_time, time};

const REGISTERED: u8 = 34;
const USED: u8 = 35;
const REMOVED: u8 = 36;
pub(super) const KINDS: RangeInclusive<u8> = REGISTERED..=REMOVED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Registered(passkey) => {
            writer.put(&[REGISTERED, VERSION_1]);
            put(writer, passkey);
        }
        Event::Used { id, sign_count, at } => {
            writer.put(&[USED, VERSION_1]);
            writer.bytes(&id.0);
            writer.put(&sign_count.to_le_bytes());
            put_time(writer, *at);
        }
        Event::Removed { user, id } => {
            writer.put(&[REMOVED, VERSION_1]);
            writer.put(&user.0);
            writer.bytes(&id.0);
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    Ok(match kind {
        REGISTERED => Event::Registered(read(reader)?.into()),
        USED => Event::Used {
            id: CredentialId(reader.bytes()?.into()),
            sign_count: u32::from_le_bytes(reader.array()?),
            at: time(reader)?,
        },
        REMOVED => Event::Removed {
            user: UserId(reader.array()?),
            id: CredentialId(reader.bytes()?.into()),
        },
        _ => return Err(DecodeError("unknown kind of event about a passkey")),
    })
}

pub(super) fn put(writer: &mut Writer<'_>, passkey: &Passkey) {
    writer.bytes(&passkey.id.0);
    writer.put(&passkey.user.0);
    writer.text(passkey.name.as_str());
    writer.bytes(&passkey.public_key);
    writer.put(&passkey.sign_count.to_le_bytes());
    put_time(writer, passkey.created_at);
    put_option(writer, passkey.used_at, put_time);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Passkey, DecodeError> {
    Ok(Passkey {
        id: CredentialId(reader.bytes()?.into()),
        user: UserId(reader.array()?),
        name: parse(reader.text()?)?,
        public_key: reader.bytes()?.into(),
        sign_count: u32::from_le_bytes(reader.array()?),
        created_at: time(reader)?,
        used_at: option(reader, time)?,
    })
}

/// Events of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let time = lombard_types::Timestamp::from_unix_nanos;
    let (id, user) = (CredentialId([1, 2, 3].into()), UserId([3; 16]));
    let passkey = Passkey {
        id: id.clone(),
        user,
        name: "phone".parse().unwrap(),
        public_key: [4, 5].into(),
        sign_count: 6,
        created_at: time(7),
        used_at: None,
    };
    let used = Passkey { used_at: Some(time(8)), ..passkey.clone() };
    vec![
        Event::Registered(passkey.into()),
        Event::Registered(used.into()),
        Event::Used { id: id.clone(), sign_count: 9, at: time(10) },
        Event::Removed { user, id },
    ]
}
