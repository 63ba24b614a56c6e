//! The stored form of the authorization server's events. What any released version has written is read for ever.
//!
//! ```text
//!  event               kind u8 | version u8 | fields
//!  1 client registered v1, v2: a client (`client.rs`)
//!  2 secret rotated    v1: id text | SHA-256, 32 bytes
//!  3 client removed    v1: id text
//!  4 revoked           v1: target u8 (1 token, 2 client, 3 grant, 4 session, 5 subject, 6 key) | id text | at u64 |
//!                      until u64
//!  5 to 11             persons and groups (`user.rs`)
//!  12, 13              sessions (`session.rs`)
//!  14 to 17            grants of persons (`grant.rs`)
//!  18 to 21            signing keys (`signing_key.rs`)
//!  22                  what was decided (`audit.rs`)
//!  30 to 33            second factors (`second_factor.rs`)
//!  34 to 36            passkeys (`passkey.rs`)
//!  37, 38              logouts that clients must hear of (`logout.rs`)
//!  39                  what opaque access tokens stand for (`opaque_token.rs`)
//!  40 client replaced  v1: whether its tokens end u8 | a client in version 2
//! ```

mod audit;
mod client;
mod grant;
mod logout;
mod opaque_token;
mod passkey;
mod second_factor;
mod session;
mod signing_key;
mod snapshot;
mod user;

use std::{str::FromStr, sync::Arc};

use lombard_auth_core::{Event, Target, clients};
use lombard_engine::{
    Codec, DecodeError,
    fields::{Reader, Writer},
};
use lombard_types::Timestamp;

const CLIENT_REGISTERED: u8 = 1;
const SECRET_ROTATED: u8 = 2;
const CLIENT_REMOVED: u8 = 3;
const REVOKED: u8 = 4;
const CLIENT_REPLACED: u8 = 40;
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
            Event::Client(event) => put_client_event(&mut writer, event),
            Event::User(event) => user::put_event(&mut writer, event),
            Event::Logout(event) => logout::put_event(&mut writer, event),
            Event::OpaqueToken(event) => opaque_token::put_event(&mut writer, event),
            Event::Passkey(event) => passkey::put_event(&mut writer, event),
            Event::SecondFactor(event) => second_factor::put_event(&mut writer, event),
            Event::Session(event) => session::put_event(&mut writer, event),
            Event::Grant(event) => grant::put_event(&mut writer, event),
            Event::SigningKey(event) => signing_key::put_event(&mut writer, event),
            Event::Audited(entries) => audit::put_event(&mut writer, entries),
            Event::Revoked { target, at, until } => {
                let (kind, id) = match target {
                    Target::Token(id) => (1, id),
                    Target::Client(id) => (2, id),
                    Target::Grant(id) => (3, id),
                    Target::Session(id) => (4, id),
                    Target::Subject(id) => (5, id),
                    Target::Key(kid) => (6, kid),
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
                Event::Client(clients::Event::Registered(Arc::new(client::v1(&mut reader)?)))
            }
            [CLIENT_REGISTERED, VERSION_2] => {
                Event::Client(clients::Event::Registered(Arc::new(client::v2(&mut reader)?)))
            }
            [SECRET_ROTATED, VERSION_1] => {
                let (id, sha256) = (parse(reader.text()?)?, reader.array()?);
                Event::Client(clients::Event::SecretRotated { id, sha256 })
            }
            [CLIENT_REMOVED, VERSION_1] => {
                Event::Client(clients::Event::Removed { id: parse(reader.text()?)? })
            }
            [CLIENT_REPLACED, VERSION_1] => {
                let (ends_tokens, client) = (flag(&mut reader)?, client::v2(&mut reader)?);
                let client = Arc::new(client);
                Event::Client(clients::Event::Replaced { client, ends_tokens })
            }
            [REVOKED, VERSION_1] => Event::Revoked {
                target: match (reader.byte()?, reader.text()?.into()) {
                    (1, id) => Target::Token(id),
                    (2, id) => Target::Client(id),
                    (3, id) => Target::Grant(id),
                    (4, id) => Target::Session(id),
                    (5, id) => Target::Subject(id),
                    (6, kid) => Target::Key(kid),
                    _ => return Err(DecodeError("unknown kind of revocation")),
                },
                at: time(&mut reader)?,
                until: time(&mut reader)?,
            },
            [kind, VERSION_1] if user::KINDS.contains(&kind) => {
                Event::User(user::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if logout::KINDS.contains(&kind) => {
                Event::Logout(logout::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if opaque_token::KINDS.contains(&kind) => {
                Event::OpaqueToken(opaque_token::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if passkey::KINDS.contains(&kind) => {
                Event::Passkey(passkey::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if second_factor::KINDS.contains(&kind) => {
                Event::SecondFactor(second_factor::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if session::KINDS.contains(&kind) => {
                Event::Session(session::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if grant::KINDS.contains(&kind) => {
                Event::Grant(grant::event(kind, &mut reader)?)
            }
            [kind, VERSION_1] if signing_key::KINDS.contains(&kind) => {
                Event::SigningKey(signing_key::event(kind, &mut reader)?)
            }
            [audit::AUDITED, VERSION_1] => Event::Audited(audit::entries(&mut reader)?),
            _ => return Err(DecodeError("unknown kind or version of event")),
        };
        reader.end()?;
        Ok(event)
    }
}

fn put_client_event(writer: &mut Writer<'_>, event: &clients::Event) {
    match event {
        clients::Event::Registered(client) => {
            writer.put(&[CLIENT_REGISTERED, VERSION_2]);
            client::put(writer, client);
        }
        clients::Event::Replaced { client, ends_tokens } => {
            writer.put(&[CLIENT_REPLACED, VERSION_1, u8::from(*ends_tokens)]);
            client::put(writer, client);
        }
        clients::Event::SecretRotated { id, sha256 } => {
            writer.put(&[SECRET_ROTATED, VERSION_1]);
            writer.text(id.as_str());
            writer.put(sha256);
        }
        clients::Event::Removed { id } => {
            writer.put(&[CLIENT_REMOVED, VERSION_1]);
            writer.text(id.as_str());
        }
    }
}

/// Something that may be missing: 0, or 1 and then the thing.
fn put_option<T>(writer: &mut Writer<'_>, value: Option<T>, put: impl FnOnce(&mut Writer<'_>, T)) {
    match value {
        None => writer.put(&[0]),
        Some(value) => {
            writer.put(&[1]);
            put(writer, value);
        }
    }
}

fn option<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if flag(reader)? { read(reader).map(Some) } else { Ok(None) }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError("a flag is neither 0 nor 1")),
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
    use lombard_auth_core::{
        AccessTokenFormat, Authentication, CertificateSubject, Client, ClientName, ClientOptions,
        GrantType, Profile,
    };
    use lombard_token::{Algorithm, SigningKey};

    use super::*;

    fn events() -> Vec<Event> {
        let key = SigningKey::generate().unwrap().public_jwk().clone();
        let client = |types: &[&str], authentication| {
            let types = types.iter().map(|name| name.parse().unwrap()).collect();
            Client {
                authorization_details_types: types,
                id: "shop".parse().unwrap(),
                name: ClientName::new("Shop").unwrap(),
                scope: "ledger:read".parse().unwrap(),
                profile: Profile::OAuth21,
                authentication,
                grant_types: [GrantType::ClientCredentials].into(),
                redirect_uris: Vec::new(),
                post_logout_redirect_uris: Vec::new(),
                backchannel_logout_uri: None,
                options: Default::default(),
                registered_at: Timestamp::from_unix_nanos(0x0102),
                registered_by: "admin".into(),
            }
        };
        let app = Client {
            grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
            redirect_uris: vec!["https://a.example/cb".parse().unwrap()],
            post_logout_redirect_uris: vec!["https://a.example/".parse().unwrap()],
            backchannel_logout_uri: Some("https://a.example/out".parse().unwrap()),
            ..client(&[], Authentication::Nothing)
        };
        let registered = |client| Event::Client(clients::Event::Registered(Arc::new(client)));
        let mut events = vec![
            registered(client(&[], Authentication::Secret { sha256: [7; 32] })),
            registered(Client {
                profile: Profile::Fapi2,
                ..client(&["payment", "statement"], Authentication::Key(Box::new(key.clone())))
            }),
            Event::Client(clients::Event::Replaced {
                client: Arc::new(app.clone()),
                ends_tokens: true,
            }),
            registered(app),
            registered(Client {
                options: ClientOptions {
                    certificate_bound_tokens: true,
                    signed_requests_only: true,
                    request_object_key: Some(Box::new(key.clone())),
                    access_token_format: AccessTokenFormat::Opaque,
                    access_token_algorithm: Some(Algorithm::Ps256),
                    id_token_algorithm: Algorithm::EdDsa,
                    registration_sha256: Some(Box::new([9; 32])),
                },
                ..client(&[], certificate("tls_client_auth_subject_dn", "CN=shop,O=Shop\\, Co."))
            }),
            registered(client(&[], certificate("tls_client_auth_san_ip", "10.0.0.7"))),
            registered(client(
                &[],
                Authentication::SelfSignedCertificate { sha256s: [[1; 32], [2; 32]].into() },
            )),
            Event::Client(clients::Event::SecretRotated {
                id: "shop".parse().unwrap(),
                sha256: [8; 32],
            }),
            Event::Client(clients::Event::Removed { id: "shop".parse().unwrap() }),
            revoked(Target::Token("t1".into())),
            revoked(Target::Client("shop".into())),
            revoked(Target::Grant("g1".into())),
            revoked(Target::Session("s1".into())),
            revoked(Target::Subject("u1".into())),
            revoked(Target::Key("k1".into())),
        ];
        events.push(Event::Audited(audit::samples()));
        events.extend(user::samples().into_iter().map(Event::User));
        events.extend(logout::samples().into_iter().map(Event::Logout));
        events.extend(opaque_token::samples().into_iter().map(Event::OpaqueToken));
        events.extend(passkey::samples().into_iter().map(Event::Passkey));
        events.extend(second_factor::samples().into_iter().map(Event::SecondFactor));
        events.extend(session::samples().into_iter().map(Event::Session));
        events.extend(grant::samples().into_iter().map(Event::Grant));
        events.extend(signing_key::samples().into_iter().map(Event::SigningKey));
        events
    }

    fn certificate(member: &str, value: &str) -> Authentication {
        Authentication::Certificate(Box::new(CertificateSubject::parse(member, value).unwrap()))
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
