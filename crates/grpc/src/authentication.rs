//! Whose call it is. A connection sends the same token with each call; what was verified once is remembered for the
//! connection, and asked again whether it is still good.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, header};
use lombard_chassis::{Problem, authenticate};
use lombard_token::{Claims, Generation, Verifier};
use lombard_types::Timestamp;
use parking_lot::Mutex;

/// Tokens that a connection remembers: a gateway in front sends those of its clients on one.
const TOKENS_MAX: usize = 8;

/// Verifies the tokens of one connection.
#[derive(Debug)]
pub(crate) struct Authentication {
    verifier: Verifier,
    /// Whom a call without a token is from, where that is permitted.
    anonymous: Option<Claims>,
    seen: Mutex<VecDeque<Seen>>,
}

/// How long a call without a token may last before it must be made again: as long as a token might.
const ANONYMOUS_FOR: Duration = Duration::from_secs(24 * 60 * 60);

struct Seen {
    /// The whole header: equal bytes are the same token.
    authorization: HeaderValue,
    claims: Arc<Claims>,
    generation: Generation,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seen").field(&self.claims.client_id).finish()
    }
}

impl Authentication {
    pub(crate) const fn new(verifier: Verifier, anonymous: Option<Claims>) -> Self {
        Self { verifier, anonymous, seen: Mutex::new(VecDeque::new()) }
    }

    pub(crate) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The claims of a call's token.
    pub(crate) async fn claims(
        &self,
        headers: &HeaderMap,
    ) -> Result<(Arc<Claims>, Generation), Problem> {
        let authorization = headers.get(header::AUTHORIZATION);
        if let (None, Some(anonymous)) = (authorization, &self.anonymous) {
            let now = Timestamp::from_system_time(SystemTime::now());
            let expires_at = now.plus(ANONYMOUS_FOR);
            let claims = Claims { issued_at: now, expires_at, ..anonymous.clone() };
            return Ok((Arc::new(claims), self.verifier.generation()));
        }
        if let Some(authorization) = authorization
            && let Some(remembered) = self.remembered(authorization)
        {
            return Ok(remembered);
        }
        let generation = self.verifier.generation();
        let claims = authenticate::authenticate(&self.verifier, headers).await?;
        if let Some(authorization) = authorization {
            let mut seen = self.seen.lock();
            seen.truncate(TOKENS_MAX - 1);
            let (authorization, claims) = (authorization.clone(), Arc::clone(&claims));
            seen.push_front(Seen { authorization, claims, generation });
        }
        Ok((claims, generation))
    }

    fn remembered(&self, authorization: &HeaderValue) -> Option<(Arc<Claims>, Generation)> {
        let mut seen = self.seen.lock();
        let index = seen.iter().position(|seen| seen.authorization == *authorization)?;
        let found = seen.get(index)?;
        if !self.verifier.is_still_good(&found.claims, found.generation) {
            seen.remove(index);
            return None;
        }
        Some((Arc::clone(&found.claims), found.generation))
    }
}
