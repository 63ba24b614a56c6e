//! Sealing what an event says of its subject.
//!
//! Sealed are the data, the CloudEvents `subject` and the extension attributes. Everything else stays readable, because
//! it is needed to find and order events; the seal holds only with exactly that.

use aws_lc_rs::aead::RandomizedNonceKey;
use lombard_eventstore_core::{EventType, Tag};
use lombard_master_key as master;
use lombard_types::{EventId, StreamName};

use super::{SubjectKey, SubjectKeys, SubjectKeysError};
use crate::{
    cloud_event::EventContent,
    codec::{self, bytes::Writer},
};
use lombard_engine::DecodeError;

/// What an event is beside its content, and what a seal holds with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) id: EventId,
    pub(crate) stream: &'a StreamName,
    pub(crate) event_type: &'a EventType,
    pub(crate) tags: &'a [Tag],
}

/// What became of a seal.
#[derive(Debug)]
pub(crate) enum Opened {
    /// There was none.
    Plain,
    Whole,
    /// The key is destroyed.
    Erased,
}

/// A seal was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Damage: the key is not there, or the seal does not hold.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No key can be had before the store is started again.
    #[error("the keys of data subjects cannot be used")]
    NoKeys,
}

/// Seals a content with a key. The error is the provider's.
pub(crate) fn seal<'a>(
    key: &RandomizedNonceKey,
    bound: Bound<'_>,
    content: EventContent<'a>,
) -> Result<EventContent<'a>, aws_lc_rs::error::Unspecified> {
    let (clear, hidden) = content.split();
    let plain = codec::encode_hidden(&hidden);
    let sealed = master::seal(key, &plain, &binding(bound, &clear))?;
    Ok(EventContent { sealed: Some(sealed.into()), ..clear })
}

/// Opens a content's seal.
pub(crate) fn open(
    keys: &SubjectKeys,
    bound: Bound<'_>,
    content: &mut EventContent<'_>,
) -> Result<Opened, OpenError> {
    let Some(sealed) = content.sealed.take() else { return Ok(Opened::Plain) };
    let subject = content.data_subject.as_deref().unwrap_or_default();
    let key = match keys.find(subject) {
        Ok(Some(SubjectKey::Live(key))) => key,
        Ok(Some(SubjectKey::Erased)) => return Ok(Opened::Erased),
        Ok(None) => return Err(DecodeError("the key of a data subject is lost").into()),
        Err(SubjectKeysError::Poisoned) => return Err(OpenError::NoKeys),
        Err(error) => {
            tracing::error!(%error, "failed to read the key of a data subject");
            return Err(DecodeError("the key of a data subject cannot be read").into());
        }
    };
    let plain = master::open(&key, &sealed, &binding(bound, content));
    let plain = plain.ok_or(DecodeError("the seal of an event does not hold"))?;
    codec::decode_hidden(&plain, content)?;
    Ok(Opened::Whole)
}

/// The associated data: whatever of the event is not sealed.
fn binding(bound: Bound<'_>, clear: &EventContent<'_>) -> Vec<u8> {
    let Bound { id, stream, event_type, tags } = bound;
    let mut bytes = Vec::new();
    let mut out = Writer(&mut bytes);
    out.put(&id.as_u128().to_be_bytes());
    out.text(stream.as_str());
    out.text(event_type.as_str());
    out.count(tags.len());
    tags.iter().for_each(|tag| out.text(tag.as_str()));
    out.slice(&codec::encode_content(clear).0);
    bytes
}
