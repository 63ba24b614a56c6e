//! The stored form of what happens to signing keys. Private halves are in no event.
//!
//! ```text
//!  18 published    v1: public JWK as JSON text | at u64
//!  19 activated    v1: kid text | at u64
//!  20 retired      v1: kid text
//!  21 compromised  v1: kid text
//!
//!  published key   public JWK as JSON text | published at u64 | phase u8 (0 standby, 1 active, 2 retiring) |
//!                  but for a standby: since u64
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{
    PublishedKey,
    signing_keys::{Event, Phase},
};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_token::PublicJwk;

use super::{VERSION_1, put_time, time};

const PUBLISHED: u8 = 18;
const ACTIVATED: u8 = 19;
const RETIRED: u8 = 20;
const COMPROMISED: u8 = 21;
pub(super) const KINDS: RangeInclusive<u8> = PUBLISHED..=COMPROMISED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Published { jwk, at } => {
            writer.put(&[PUBLISHED, VERSION_1]);
            put_jwk(writer, jwk);
            put_time(writer, *at);
        }
        Event::Activated { kid, at } => {
            writer.put(&[ACTIVATED, VERSION_1]);
            writer.text(kid);
            put_time(writer, *at);
        }
        Event::Retired { kid } => {
            writer.put(&[RETIRED, VERSION_1]);
            writer.text(kid);
        }
        Event::Compromised { kid } => {
            writer.put(&[COMPROMISED, VERSION_1]);
            writer.text(kid);
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    Ok(match kind {
        PUBLISHED => Event::Published { jwk: jwk(reader)?, at: time(reader)? },
        ACTIVATED => Event::Activated { kid: reader.text()?.into(), at: time(reader)? },
        RETIRED => Event::Retired { kid: reader.text()?.into() },
        COMPROMISED => Event::Compromised { kid: reader.text()?.into() },
        _ => return Err(DecodeError("unknown kind of event about a signing key")),
    })
}

pub(super) fn put(writer: &mut Writer<'_>, key: &PublishedKey) {
    put_jwk(writer, &key.jwk);
    put_time(writer, key.published_at);
    let (phase, since) = match key.phase {
        Phase::Standby => (0, None),
        Phase::Active(since) => (1, Some(since)),
        Phase::Retiring(since) => (2, Some(since)),
    };
    writer.put(&[phase]);
    since.into_iter().for_each(|since| put_time(writer, since));
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<PublishedKey, DecodeError> {
    Ok(PublishedKey {
        jwk: jwk(reader)?,
        published_at: time(reader)?,
        phase: match reader.byte()? {
            0 => Phase::Standby,
            1 => Phase::Active(time(reader)?),
            2 => Phase::Retiring(time(reader)?),
            _ => return Err(DecodeError("unknown phase of a signing key")),
        },
    })
}

fn put_jwk(writer: &mut Writer<'_>, jwk: &PublicJwk) {
    writer.text(&serde_json::to_string(jwk).unwrap_or_default());
}

fn jwk(reader: &mut Reader<'_>) -> Result<PublicJwk, DecodeError> {
    PublicJwk::parse(reader.text()?.as_bytes()).map_err(|_| DecodeError("public key"))
}

/// Events of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let jwk = lombard_token::SigningKey::generate().unwrap().public_jwk().clone();
    let at = lombard_types::Timestamp::from_unix_nanos(7);
    vec![
        Event::Published { jwk, at },
        Event::Activated { kid: "k1".into(), at },
        Event::Retired { kid: "k1".into() },
        Event::Compromised { kid: "k1".into() },
    ]
}
