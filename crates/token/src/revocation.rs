//! What was taken back before it expired, and how a verifier knows.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_types::Timestamp;
use parking_lot::RwLock;

use crate::Claims;

/// Names tokens without telling which: the first half of a SHA-256. So the list of revocations may be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevocationKey([u8; 16]);

/// A text is no key of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 16 bytes in base64url")]
pub struct ParseRevocationKeyError;

impl RevocationKey {
    /// Of the token with this `jti`.
    pub fn of_token(token_id: &str) -> Self {
        Self::of("token", token_id)
    }

    /// Of all tokens of this client.
    pub fn of_client(client_id: &str) -> Self {
        Self::of("client", client_id)
    }

    /// Of all tokens of this grant of a person.
    pub fn of_grant(grant_id: &str) -> Self {
        Self::of("grant", grant_id)
    }

    /// Of all tokens whose grants end with this session.
    pub fn of_session(session_id: &str) -> Self {
        Self::of("session", session_id)
    }

    /// Of all tokens about this person.
    pub fn of_subject(subject: &str) -> Self {
        Self::of("subject", subject)
    }

    /// Of all tokens that are signed with this key.
    pub fn of_key(kid: &str) -> Self {
        Self::of("key", kid)
    }

    /// All keys under which a token could be taken back.
    pub fn all_of(claims: &Claims) -> impl Iterator<Item = Self> {
        let of_grant = claims.grant.iter().flat_map(|grant| {
            let of_session = grant.session_id.as_deref().map(Self::of_session);
            [Self::of_grant(&grant.id), Self::of_subject(&claims.subject)]
                .into_iter()
                .chain(of_session)
        });
        let of_key = Some(&*claims.signed_by).filter(|kid| !kid.is_empty()).map(Self::of_key);
        [Self::of_token(&claims.token_id), Self::of_client(&claims.client_id)]
            .into_iter()
            .chain(of_key)
            .chain(of_grant)
    }

    /// The bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A key from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn of(kind: &str, id: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(id.as_bytes());
        let mut bytes = [0; 16];
        for (byte, hashed) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *byte = *hashed;
        }
        Self(bytes)
    }
}

impl fmt::Display for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for RevocationKey {
    type Err = ParseRevocationKeyError;

    fn from_str(text: &str) -> Result<Self, ParseRevocationKeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseRevocationKeyError)?;
        Ok(Self(bytes.try_into().map_err(|_| ParseRevocationKeyError)?))
    }
}

/// Tokens that are good no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Which.
    pub key: RevocationKey,
    /// Those that were issued in this second or before: a token says in which second it was issued, and no more.
    pub at: Timestamp,
    /// When the last of them has expired, and the revocation can be forgotten.
    pub until: Timestamp,
}

impl Revocation {
    /// What `at` is where a key is taken back: whoever has it can sign tokens that say any time.
    pub const WHENEVER: Timestamp = Timestamp::from_unix_seconds(Timestamp::MAX.unix_seconds());

    /// Whether a token with its key that was issued at this time is among them.
    pub fn concerns(&self, issued_at: Timestamp) -> bool {
        issued_at.unix_seconds() <= self.at.unix_seconds()
    }
}

/// The revocations that a verifier knows. Shared by the verifiers of one issuer.
#[derive(Debug, Default)]
pub struct RevokedTokens {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_key: HashMap<RevocationKey, Revocation>,
    /// When the issuer was last heard of; `None` where revocations are not followed.
    heard_at: Option<Instant>,
}

impl RevokedTokens {
    /// After this long without a word of the issuer, what it may have taken back is unknown.
    pub const SILENCE_MAX: Duration = Duration::from_secs(30);

    /// Adds what the issuer said, which may be nothing new: that too is a sign of life. Forgets what has expired, but
    /// never that a key was taken back: where the issuer's key set cannot be fetched, the key may be known for ever.
    pub fn hear(&self, revocations: impl IntoIterator<Item = Revocation>, now: Timestamp) {
        let mut inner = self.inner.write();
        inner.heard_at = Some(Instant::now());
        inner.by_key.retain(|_, revocation| {
            revocation.until > now || revocation.at == Revocation::WHENEVER
        });
        for revocation in revocations {
            inner
                .by_key
                .entry(revocation.key)
                .and_modify(|known| {
                    known.at = known.at.max(revocation.at);
                    known.until = known.until.max(revocation.until);
                })
                .or_insert(revocation);
        }
    }

    /// Revocations are followed from now on: silence counts.
    pub fn follow(&self) {
        self.inner.write().heard_at.get_or_insert_with(Instant::now);
    }

    /// Whether a token was taken back.
    pub fn contains(&self, claims: &Claims) -> bool {
        let inner = self.inner.read();
        !inner.by_key.is_empty()
            && RevocationKey::all_of(claims)
                .filter_map(|key| inner.by_key.get(&key))
                .any(|revocation| revocation.concerns(claims.issued_at))
    }

    /// Whether revocations are followed, and nothing was heard for [`Self::SILENCE_MAX`].
    pub fn is_silent(&self) -> bool {
        self.inner.read().heard_at.is_some_and(|heard_at| heard_at.elapsed() > Self::SILENCE_MAX)
    }
}
