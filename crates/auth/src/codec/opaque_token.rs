//! The stored form of what opaque access tokens stand for. Handles are in no event.
//!
//! ```text
//!  39 issued  v1: an opaque token
//!
//!  opaque token  SHA-256 of the handle, 32 bytes | claims as JSON text, as a JWT has them (RFC 9068)
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{HandleSha256, opaque_tokens::Event};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_token::Claims;

use super::VERSION_1;

const ISSUED: u8 = 39;
pub(super) const KINDS: RangeInclusive<u8> = ISSUED..=ISSUED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    let Event::Issued { handle_sha256, claims } = event;
    writer.put(&[ISSUED, VERSION_1]);
    put(writer, handle_sha256, claims);
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    match kind {
        ISSUED => {
            let (handle_sha256, claims) = read(reader)?;
            Ok(Event::Issued { handle_sha256, claims: claims.into() })
        }
        _ => Err(DecodeError("unknown kind of event about an opaque token")),
    }
}

pub(super) fn put(writer: &mut Writer<'_>, handle_sha256: &HandleSha256, claims: &Claims) {
    writer.put(handle_sha256);
    writer.text(&claims.to_json());
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<(HandleSha256, Claims), DecodeError> {
    let handle_sha256 = reader.array()?;
    let claims = Claims::from_json(reader.text()?.as_bytes());
    Ok((handle_sha256, claims.map_err(|_| DecodeError("claims of an opaque token"))?))
}

/// Events of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    use lombard_types::Timestamp;

    let claims = Claims {
        issuer: "https://bank.example".into(),
        subject: "users/1".into(),
        audience: "https://bank.example/v1/ledger".into(),
        client_id: "shop".into(),
        scope: "ledger:read".parse().unwrap(),
        token_id: "t1".into(),
        issued_at: Timestamp::from_unix_seconds(7),
        expires_at: Timestamp::from_unix_seconds(307),
        ..Claims::default()
    };
    vec![Event::Issued { handle_sha256: [7; 32], claims: claims.into() }]
}
