//! `Idempotency-Key`: the key of a request is the id of its transfer.
//!
//! There is no table of keys beside the ledger. The id of a transfer is either chosen by the caller or derived from the
//! client and its key, and the ledger spends each id once; so a retry finds the first result after any crash, for ever,
//! without a second mechanism that could disagree.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Problem, extract::single_header};
use lombard_types::{ClientId, TransferId};
use uuid::Builder;

use super::authority::Caller;
use crate::problem;

/// A key of 1 to 255 visible ASCII characters. The extractor refuses requests without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Box<str>);

/// A key where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OptionalIdempotencyKey(pub(super) Option<IdempotencyKey>);

impl IdempotencyKey {
    const BYTES_MAX: usize = 255;

    fn parse(text: &str) -> Result<Self, Problem> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::BYTES_MAX || !is_visible {
            return Err(Problem::new(&problem::IDEMPOTENCY_KEY_INVALID)
                .detail("Idempotency-Key must be 1 to 255 visible ASCII characters"));
        }
        Ok(Self(text.into()))
    }

    /// The key of one of several things that a request asks for.
    pub(super) fn numbered(&self, number: usize) -> Self {
        // A space is in no key that a client sends.
        Self(format!("{} {number}", self.0).into())
    }

    pub(crate) fn into_text(self) -> Box<str> {
        self.0
    }

    /// The id of the transfer that this client means by this key: the first 128 bits of a SHA-256, as a UUIDv8
    /// (RFC 9562 section 5.8). Stable for ever: retries after an upgrade must find the same id.
    pub(super) fn transfer_id(&self, client: &ClientId) -> TransferId {
        let mut context = Context::new(&SHA256);
        context.update(b"lombard ledger transfer id v1\0");
        // Neither a client id nor a key contains a zero byte, so the two cannot run into each other.
        context.update(client.as_str().as_bytes());
        context.update(b"\0");
        context.update(self.0.as_bytes());
        let digest = context.finish();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        into_id(bytes)
    }
}

/// The ids made of keys that are being worked on. Whoever sends a key twice at once is told so, rather than left to wait
/// behind himself; that the effect happens once does not depend on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct InProgress(Arc<Mutex<BTreeSet<TransferId>>>);

/// Holds an id until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: InProgress,
    id: TransferId,
}

impl InProgress {
    /// Holds an id, unless it is held already.
    pub(super) fn hold(&self, id: TransferId) -> Result<Held, Problem> {
        if !self.ids().insert(id) {
            return Err(Problem::new(&problem::IDEMPOTENCY_KEY_IN_PROGRESS)
                .detail("a request with this Idempotency-Key is being worked on; ask again for its answer")
                .retry_after(Duration::from_secs(1)));
        }
        Ok(Held { all: self.clone(), id })
    }

    /// The id of a set: the one that the client has chosen, or one made of its key, which is then held. To be asked before
    /// anything is looked up: that waits for the writer, and who is told to wait must not be kept waiting.
    pub(super) fn id_of(
        &self,
        chosen: Option<TransferId>,
        key: &IdempotencyKey,
        caller: &Caller,
    ) -> Result<(TransferId, Option<Held>), Problem> {
        if let Some(id) = chosen {
            return Ok((id, None));
        }
        let id = key.transfer_id(caller.client_id());
        Ok((id, Some(self.hold(id)?)))
    }

    fn ids(&self) -> MutexGuard<'_, BTreeSet<TransferId>> {
        // Nothing that holds the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.ids().remove(&self.id);
    }
}

#[expect(
    clippy::expect_used,
    reason = "the version and variant bits make it neither all zeros nor all ones"
)]
fn into_id(bytes: [u8; 16]) -> TransferId {
    let uuid = Builder::from_custom_bytes(bytes).into_uuid();
    TransferId::try_from(uuid).expect("a UUIDv8 is an id")
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OptionalIdempotencyKey(key) =
            OptionalIdempotencyKey::from_request_parts(parts, state).await?;
        key.ok_or_else(|| {
            Problem::new(&problem::IDEMPOTENCY_KEY_MISSING).detail(
                "send an Idempotency-Key header with a value that is new for each transfer and the same for its \
                 retries",
            )
        })
    }
}

impl<S: Sync> FromRequestParts<S> for OptionalIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let text = single_header(&parts.headers, "idempotency-key")?;
        text.map(IdempotencyKey::parse).transpose().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    #[test]
    fn keys_are_visible_ascii() {
        for text in ["a", "order-1", "\"quoted\"", "open:customers/42", &"x".repeat(255)] {
            assert_eq!(&*key(text).into_text(), text);
        }
        for text in ["", "two words", "tab\t", "ä", &"x".repeat(256)] {
            assert!(IdempotencyKey::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ids_depend_on_client_and_key_only() {
        let client = |text: &str| text.parse::<ClientId>().unwrap();
        let id = key("order-1").transfer_id(&client("shop"));
        // Golden: this id is in people's logs.
        assert_eq!(id.to_string(), "e167781a-3f18-8f8a-8677-d3e98e17e70f");
        assert_eq!(id.as_uuid().get_version_num(), 8);
        assert_ne!(id, key("order-2").transfer_id(&client("shop")));
        assert_ne!(id, key("order-1").transfer_id(&client("shop2")));
        assert_ne!(key("bc").transfer_id(&client("a")), key("c").transfer_id(&client("ab")));
    }
}
