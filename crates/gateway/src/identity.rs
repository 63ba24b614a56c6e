//! What upstreams are told of the caller: headers that only the gateway can have written, and a token of its own.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use lombard_token::{Claims, KeyError, PublicJwk, SigningKey};
use lombard_types::Timestamp;

use crate::{table::Identity, values::Values};

const CLIENT: HeaderName = HeaderName::from_static("x-lombard-client");
const SUBJECT: HeaderName = HeaderName::from_static("x-lombard-subject");
const SCOPE: HeaderName = HeaderName::from_static("x-lombard-scope");
const TOKEN: HeaderName = HeaderName::from_static("x-lombard-identity");

/// How long a token is good.
const LIFE: Duration = Duration::from_secs(60);
/// How long one is used again: what is left must be enough for a request.
const USED_FOR: Duration = Duration::from_secs(30);
/// Tokens of one worker that are used again.
const KEPT_MAX: usize = 4096;

/// Makes tokens for upstreams. One for each worker; all have the same key, which is made anew with each start.
pub(crate) struct Identities {
    key: Arc<SigningKey>,
    issuer: Box<str>,
    kept: RefCell<HashMap<Key, Kept>>,
}

/// A token's id, and the upstream that its stand-in is for.
type Key = (Box<str>, Box<str>);

struct Kept {
    value: HeaderValue,
    until: Timestamp,
}

impl Identities {
    /// `issuer`: the platform's public URL.
    pub(crate) fn new(key: Arc<SigningKey>, issuer: &str) -> Self {
        Self { key, issuer: format!("{issuer}/v1/gateway").into(), kept: RefCell::default() }
    }

    /// The public key, for those who check.
    pub(crate) fn jwk(&self) -> &PublicJwk {
        self.key.public_jwk()
    }

    /// Says to an upstream who calls.
    pub(crate) fn write(
        &self,
        identity: Identity,
        claims: &Claims,
        upstream: &str,
        values: &Values,
        headers: &mut HeaderMap,
    ) {
        if identity == Identity::None {
            return;
        }
        let said = [
            (CLIENT, values.text(&claims.client_id)),
            (SUBJECT, values.text(&claims.subject)),
            (SCOPE, values.write(format_args!("{}", claims.scope))),
        ];
        for (name, value) in said {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
        if identity == Identity::Token {
            match self.token(claims, upstream) {
                Ok(value) => drop(headers.insert(TOKEN, value)),
                Err(error) => tracing::error!(%error, "failed to sign a token for an upstream"),
            }
        }
    }

    fn token(&self, claims: &Claims, upstream: &str) -> Result<HeaderValue, KeyError> {
        let now = Timestamp::from_system_time(SystemTime::now());
        let key: Key = (claims.token_id.clone(), upstream.into());
        let mut kept = self.kept.borrow_mut();
        if let Some(known) = kept.get(&key).filter(|known| known.until > now) {
            return Ok(known.value.clone());
        }
        let own = Claims {
            issuer: self.issuer.clone(),
            audience: upstream.into(),
            issued_at: now,
            // Never longer than the token that it stands for.
            expires_at: now.plus(LIFE).min(claims.expires_at),
            // What the caller's token is bound to, this one is not: whoever has it is the upstream.
            confirmation: None,
            ..claims.clone()
        };
        let token = own.sign(&self.key)?;
        let mut value = HeaderValue::from_str(&token).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let until = now.plus(USED_FOR).min(claims.expires_at);
        kept.insert(key, Kept { value: value.clone(), until });
        Ok(value)
    }
}
