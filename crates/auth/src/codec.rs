//! The stored form of the authorization server's events. What any released version has written is read for ever.
//!
//! ```text
//!  event               kind u8 | version u8 | fields
//!  1 client registered v1, v2: a client (`client.rs`)
//!  2 secret rotated    v1: id text | SHA-256, 32 bytes
//!  3 client removed    v1: id text
//!  4 revoked           v1: target u8 (1 token, 2 client) | id text | at u64 | until u64
//! ```

mod client;
mod snapshot;

use std::{str::FromStr, sync::Arc};

use lombard_auth_core::{Event, Target};
use lombard_engine::{
    Codec, DecodeError,
    fields::{Reader, Writer},
};
use lombard_types::Timestamp;

const CLIENT_REGISTERED: u8 = 1;
const SECRET_ROTATED: u8 = 2;
const CLIENT_REMOVED: u8 = 3;
const REVOKED: u8 = 4;
const TARGET_TOKEN: u8 = 1;
const TARGET_CLIENT: u8 = 2;
const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;

/// Encodes and decodes [`Event`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCodec;

impl Codec for EventCodec {
    type Event = Event;

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut writer = Writer(out);
        match event {
            Event::ClientRegistered(client) => {
                writer.put(&[CLIENT_REGISTERED, VERSION_2]);
                client::put(&mut writer, client);
            }
            Event::SecretRotated { id, sha256 } => {
                writer.put(&[SECRET_ROTATED, VERSION_1]);
                writer.text(id.as_str());
                writer.put(sha256);
            }
            Event::ClientRemoved { id } => {
                writer.put(&[CLIENT_REMOVED, VERSION_1]);
                writer.text(id.as_str());
            }
            Event::Revoked { target, at, until } => {
                let (kind, id) = match target {
                    Target::Token(id) => (TARGET_TOKEN, id),
                    Target::Client(id) => (TARGET_CLIENT, id),
                };
                writer.put(&[REVOKED, VERSION_1, kind]);
                writer.text(id);
                put_time(&mut writer, *at);
                put_time(&mut writer, *until);
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut reader = Reader(bytes);
        let event = match reader.array()? {
            [CLIENT_REGISTERED, VERSION_1] => {
                Event::ClientRegistered(Arc::new(client::v1(&mut reader)?))
            }
            [CLIENT_REGISTERED, VERSION_2] => {
                Event::ClientRegistered(Arc::new(client::v2(&mut reader)?))
            }
            [SECRET_ROTATED, VERSION_1] => {
                Event::SecretRotated { id: parse(reader.text()?)?, sha256: reader.array()? }
            }
            [CLIENT_REMOVED, VERSION_1] => Event::ClientRemoved { id: parse(reader.text()?)? },
            [REVOKED, VERSION_1] => Event::Revoked {
                target: match (reader.byte()?, reader.text()?.into()) {
                    (TARGET_TOKEN, id) => Target::Token(id),
                    (TARGET_CLIENT, id) => Target::Client(id),
                    _ => return Err(DecodeError("unknown kind of revocation")),
                },
                at: time(&mut reader)?,
                until: time(&mut reader)?,
            },
            _ => return Err(DecodeError("unknown kind or version of event")),
        };
        reader.end()?;
        Ok(event)
    }
}

fn put_time(writer: &mut Writer<'_>, time: Timestamp) {
    writer.put(&time.unix_nanos().to_le_bytes());
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    Ok(Timestamp::from_unix_nanos(u64::from_le_bytes(reader.array()?)))
}

fn parse<T: FromStr>(text: &str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError("a name is not of its grammar"))
}

#[cfg(test)]
mod tests {
    use lombard_auth_core::{Authentication, Client, ClientName};
    use lombard_token::SigningKey;

    use super::*;

    fn events() -> Vec<Event> {
        let key = SigningKey::generate().unwrap().public_jwk().clone();
        let client = |types: &[&str], authentication| {
            let types = types.iter().map(|name| name.parse().unwrap()).collect();
            Event::ClientRegistered(Arc::new(Client {
                authorization_details_types: types,
                id: "shop".parse().unwrap(),
                name: ClientName::new("Shop").unwrap(),
                scope: "ledger:read".parse().unwrap(),
                authentication,
                registered_at: Timestamp::from_unix_nanos(0x0102),
                registered_by: "admin".into(),
            }))
        };
        vec![
            client(&[], Authentication::Secret { sha256: [7; 32] }),
            client(&["payment", "statement"], Authentication::Key(Box::new(key))),
            Event::SecretRotated { id: "shop".parse().unwrap(), sha256: [8; 32] },
            Event::ClientRemoved { id: "shop".parse().unwrap() },
            revoked(Target::Token("t1".into())),
            revoked(Target::Client("shop".into())),
        ]
    }

    fn revoked(target: Target) -> Event {
        let at = Timestamp::from_unix_nanos(0x0304);
        Event::Revoked { target, at, until: Timestamp::from_unix_nanos(0x0506) }
    }

    #[test]
    fn golden_bytes_of_a_revocation() {
        let mut bytes = Vec::new();
        EventCodec.encode(&revoked(Target::Token("t1".into())), &mut bytes);
        assert_eq!(bytes, b"\x04\x01\x01\x02t1\x04\x03\0\0\0\0\0\0\x06\x05\0\0\0\0\0\0");
    }

    #[test]
    fn golden_bytes() {
        let mut bytes = Vec::new();
        EventCodec.encode(&events()[0], &mut bytes);
        let mut expected = vec![1, 2];
        expected.extend_from_slice(b"\x04shop\x04Shop\x0bledger:read\x00");
        expected.extend_from_slice(&[7; 32]);
        expected.extend_from_slice(&[2, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(b"\x05admin");
        expected.push(0);
        assert_eq!(bytes, expected);
        // Version 1 had no attributes at its end.
        expected.pop();
        expected[1] = 1;
        assert_eq!(EventCodec.decode(&expected), Ok(events()[0].clone()));
    }

    #[test]
    fn events_round_trip_and_every_truncation_is_refused() {
        for event in events() {
            let mut bytes = Vec::new();
            EventCodec.encode(&event, &mut bytes);
            assert_eq!(EventCodec.decode(&bytes), Ok(event));
            for length in 0..bytes.len() {
                assert!(EventCodec.decode(&bytes[..length]).is_err(), "{length} of {bytes:?}");
            }
            bytes.push(0);
            assert!(EventCodec.decode(&bytes).is_err());
        }
    }
}
