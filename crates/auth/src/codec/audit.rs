//! The stored form of the audit.
//!
//! ```text
//!  22 audited  v1: count u8 | entries
//!
//!  entry  at u64 | action text | refused: option of text | client text | subject text | address text | request id text |
//!         detail text
//! ```

use lombard_auth_core::AuditEntry;
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};

use super::{VERSION_1, option, put_option, put_time, time};

pub(super) const AUDITED: u8 = 22;

pub(super) fn put_event(writer: &mut Writer<'_>, entries: &[AuditEntry]) {
    writer.put(&[AUDITED, VERSION_1, u8::try_from(entries.len()).unwrap_or(u8::MAX)]);
    for entry in entries.iter().take(usize::from(u8::MAX)) {
        put_time(writer, entry.at);
        writer.text(&entry.action);
        put_option(writer, entry.refused.as_deref(), |writer, text| writer.text(text));
        let texts =
            [&entry.client, &entry.subject, &entry.address, &entry.request_id, &entry.detail];
        texts.into_iter().for_each(|text| writer.text(text));
    }
}

pub(super) fn entries(reader: &mut Reader<'_>) -> Result<Vec<AuditEntry>, DecodeError> {
    (0..reader.byte()?).map(|_| entry(reader)).collect()
}

fn entry(reader: &mut Reader<'_>) -> Result<AuditEntry, DecodeError> {
    Ok(AuditEntry {
        at: time(reader)?,
        action: reader.text()?.into(),
        refused: option(reader, |reader| Ok(reader.text()?.into()))?,
        client: reader.text()?.into(),
        subject: reader.text()?.into(),
        address: reader.text()?.into(),
        request_id: reader.text()?.into(),
        detail: reader.text()?.into(),
    })
}

/// Entries of both kinds, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<AuditEntry> {
    let allowed = AuditEntry {
        at: lombard_types::Timestamp::from_unix_nanos(7),
        action: "token".into(),
        refused: None,
        client: "shop".into(),
        subject: "users/1".into(),
        address: "192.0.2.1".into(),
        request_id: "r1".into(),
        detail: "jti=1".into(),
    };
    vec![AuditEntry { refused: Some("invalid_grant".into()), ..allowed.clone() }, allowed]
}
