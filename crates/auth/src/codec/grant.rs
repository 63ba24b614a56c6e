//! The stored form of persons' grants.
//!
//! ```text
//!  14 started   v1: a grant
//!  15 redeemed  v1: id, 16 bytes | at u64 | has refresh tokens u8 | thumbprint: option of text
//!  16 rotated   v1: id, 16 bytes | generation u32 | at u64
//!  17 ended     v1: id, 16 bytes | reason u8 (1 revoked, 2 code replayed, 3 refresh token reused)
//!
//!  grant  id, 16 bytes | user, 16 bytes | client text | session, 16 bytes | is offline u8 | audience text | scope text |
//!         authorization details JSON text (empty where there are none) | authenticated at u64 | acr text | page: option of SHA-256 | started at u64 |
//!         expires at u64 | lasts until u64 | thumbprint: option of text | option of code | option of refresh
//!  code   SHA-256, 32 bytes | redirect URI text | challenge, 32 bytes | thumbprint: option of text |
//!         nonce: option of text | expires at u64 | redeemed at: option of u64 | remembered until u64
//!  refresh  generation u32 | rotated at u64
//!  option   0  |  1, the thing
//! ```

use std::ops::RangeInclusive;

use lombard_auth_core::{
    Code, GrantId, Refresh, SessionId, UserGrant, UserId,
    grants::{EndReason, Event},
};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_token::AuthorizationDetails;

use super::{VERSION_1, flag, option, parse, put_option, put_time, session::acr, time};

const STARTED: u8 = 14;
const REDEEMED: u8 = 15;
const ROTATED: u8 = 16;
const ENDED: u8 = 17;
pub(super) const KINDS: RangeInclusive<u8> = STARTED..=ENDED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Started(grant) => {
            writer.put(&[STARTED, VERSION_1]);
            put(writer, grant);
        }
        Event::Redeemed { id, at, has_refresh, key_thumbprint } => {
            writer.put(&[REDEEMED, VERSION_1]);
            writer.put(&id.0);
            put_time(writer, *at);
            writer.put(&[u8::from(*has_refresh)]);
            put_text(writer, key_thumbprint.as_deref());
        }
        Event::Rotated { id, generation, at } => {
            writer.put(&[ROTATED, VERSION_1]);
            writer.put(&id.0);
            writer.put(&generation.to_le_bytes());
            put_time(writer, *at);
        }
        Event::Ended { id, reason } => {
            writer.put(&[ENDED, VERSION_1]);
            writer.put(&id.0);
            writer.put(&[match reason {
                EndReason::Revoked => 1,
                EndReason::CodeReplayed => 2,
                EndReason::RefreshReused => 3,
            }]);
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    let id = |reader: &mut Reader<'_>| reader.array().map(GrantId);
    Ok(match kind {
        STARTED => Event::Started(read(reader)?.into()),
        REDEEMED => Event::Redeemed {
            id: id(reader)?,
            at: time(reader)?,
            has_refresh: flag(reader)?,
            key_thumbprint: text(reader)?,
        },
        ROTATED => Event::Rotated {
            id: id(reader)?,
            generation: u32::from_le_bytes(reader.array()?),
            at: time(reader)?,
        },
        ENDED => Event::Ended {
            id: id(reader)?,
            reason: match reader.byte()? {
                1 => EndReason::Revoked,
                2 => EndReason::CodeReplayed,
                3 => EndReason::RefreshReused,
                _ => return Err(DecodeError("unknown reason of an end")),
            },
        },
        _ => return Err(DecodeError("unknown kind of event about a grant")),
    })
}

pub(super) fn put(writer: &mut Writer<'_>, grant: &UserGrant) {
    writer.put(&grant.id.0);
    writer.put(&grant.user.0);
    writer.text(grant.client.as_str());
    writer.put(&grant.session.0);
    writer.put(&[u8::from(grant.is_offline)]);
    writer.text(&grant.audience);
    writer.text(&grant.scope.to_string());
    let details = &grant.authorization_details;
    writer.text(&if details.is_empty() { String::new() } else { details.to_value().to_string() });
    put_time(writer, grant.authenticated_at);
    writer.text(grant.acr.name());
    put_option(writer, grant.page_sha256, |writer, sha256| writer.put(&sha256));
    put_time(writer, grant.started_at);
    put_time(writer, grant.expires_at);
    put_time(writer, grant.lasts_until);
    put_text(writer, grant.key_thumbprint.as_deref());
    put_option(writer, grant.code.as_deref(), put_code);
    put_option(writer, grant.refresh, |writer, refresh| {
        writer.put(&refresh.generation.to_le_bytes());
        put_time(writer, refresh.rotated_at);
    });
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<UserGrant, DecodeError> {
    Ok(UserGrant {
        id: GrantId(reader.array()?),
        user: UserId(reader.array()?),
        client: parse(reader.text()?)?,
        session: SessionId(reader.array()?),
        is_offline: flag(reader)?,
        audience: reader.text()?.into(),
        scope: parse(reader.text()?)?,
        authorization_details: match reader.text()? {
            "" => AuthorizationDetails::default(),
            text => AuthorizationDetails::parse_granted(text)
                .map_err(|_| DecodeError("authorization details"))?,
        },
        authenticated_at: time(reader)?,
        acr: acr(reader)?,
        page_sha256: option(reader, |reader| reader.array())?,
        started_at: time(reader)?,
        expires_at: time(reader)?,
        lasts_until: time(reader)?,
        key_thumbprint: text(reader)?,
        code: option(reader, code)?.map(Box::new),
        refresh: option(reader, |reader| {
            let generation = u32::from_le_bytes(reader.array()?);
            Ok(Refresh { generation, rotated_at: time(reader)? })
        })?,
    })
}

fn put_code(writer: &mut Writer<'_>, code: &Code) {
    writer.put(&code.sha256);
    writer.text(&code.redirect_uri);
    writer.put(&code.challenge);
    put_text(writer, code.key_thumbprint.as_deref());
    put_text(writer, code.nonce.as_deref());
    put_time(writer, code.expires_at);
    put_option(writer, code.redeemed_at, put_time);
    put_time(writer, code.remembered_until);
}

fn code(reader: &mut Reader<'_>) -> Result<Code, DecodeError> {
    Ok(Code {
        sha256: reader.array()?,
        redirect_uri: reader.text()?.into(),
        challenge: reader.array()?,
        key_thumbprint: text(reader)?,
        nonce: text(reader)?,
        expires_at: time(reader)?,
        redeemed_at: option(reader, time)?,
        remembered_until: time(reader)?,
    })
}

fn put_text(writer: &mut Writer<'_>, text: Option<&str>) {
    put_option(writer, text, |writer, text| writer.text(text));
}

fn text(reader: &mut Reader<'_>) -> Result<Option<Box<str>>, DecodeError> {
    option(reader, |reader| reader.text().map(Into::into))
}

/// Events of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let time = lombard_types::Timestamp::from_unix_nanos;
    let id = GrantId([6; 16]);
    let details = r#"[{"type":"payment","id":"00000000000000000000000000000001","amount":"1.00","asset":"EUR","debtor_account":"a","creditor_account":"b","uses":1}]"#;
    let grant = UserGrant {
        id,
        user: UserId([3; 16]),
        client: "shop".parse().unwrap(),
        session: SessionId([4; 16]),
        is_offline: true,
        audience: "https://bank.example/v1/ledger".into(),
        scope: "openid ledger:read".parse().unwrap(),
        authorization_details: AuthorizationDetails::parse_granted(details).unwrap(),
        authenticated_at: time(6),
        acr: lombard_auth_core::Acr::Password,
        page_sha256: Some([7; 32]),
        started_at: time(8),
        expires_at: time(9),
        lasts_until: time(10),
        key_thumbprint: Some("thumb".into()),
        code: Some(Box::new(Code {
            sha256: [8; 32],
            redirect_uri: "https://shop.example/cb".into(),
            challenge: [9; 32],
            key_thumbprint: None,
            nonce: Some("n".into()),
            expires_at: time(11),
            redeemed_at: Some(time(12)),
            remembered_until: time(13),
        })),
        refresh: Some(Refresh { generation: 2, rotated_at: time(14) }),
    };
    let bare = UserGrant {
        authorization_details: AuthorizationDetails::default(),
        code: None,
        refresh: None,
        page_sha256: None,
        ..grant.clone()
    };
    let ended = |reason| Event::Ended { id, reason };
    vec![
        Event::Started(grant.into()),
        Event::Started(bare.into()),
        Event::Redeemed { id, at: time(1), has_refresh: true, key_thumbprint: None },
        Event::Rotated { id, generation: 3, at: time(2) },
        ended(EndReason::Revoked),
        ended(EndReason::CodeReplayed),
        ended(EndReason::RefreshReused),
    ]
}
