//! Whose call it is. A connection sends the same token with each call; what was verified once is remembered for the
//! connection, and asked again whether it is still good.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, header};
use lombard_chassis::{Problem, authenticate};
use lombard_token::{Claims, Confirmation, Generation, Verifier};
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
        let claims = authenticate::authenticate_unproved(&self.verifier, headers).await?;
        if let Some(confirmation) = &claims.confirmation {
            return Err(bound(confirmation));
        }
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

/// A bound token is good for nothing here: RFC 9449 proves a key for requests of HTTP that a URL names, and these connections have no
/// TLS of their own in which a certificate was shown.
fn bound(confirmation: &Confirmation) -> Problem {
    let detail = match confirmation {
        Confirmation::Key(_) => {
            "the access token is bound to a key (DPoP), which cannot be proved over gRPC: call over HTTP, or ask for a token without \
             a proof"
        }
        Confirmation::Certificate(_) => {
            "the access token is bound to a certificate, which this connection does not show: call over HTTP, by way of the gateway"
        }
    };
    authenticate::unauthenticated(detail, true)
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use lombard_chassis::problems;
    use lombard_token::{Jwks, KeySource, KeySourceError, SigningKey};

    use super::*;

    const ISSUER: &str = "https://bank.example";
    const AUDIENCE: &str = "https://bank.example/v1/ledger";

    struct Keys(Jwks);

    impl KeySource for Keys {
        fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    #[tokio::test]
    async fn bound_tokens_are_refused_and_the_caller_is_told_why() {
        let key = SigningKey::generate().unwrap();
        let keys = Jwks { keys: vec![key.public_jwk().clone()] };
        let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(Keys(keys)));
        verifier.refresh().await.unwrap();
        let authentication = Authentication::new(verifier, None);
        let thumbprint = key.public_jwk().thumbprint().into();
        for (confirmation, said) in [
            (None, None),
            (Some(Confirmation::Key(thumbprint)), Some("cannot be proved over gRPC")),
            (Some(Confirmation::of_certificate(b"certificate")), Some("does not show")),
        ] {
            let now = Timestamp::from_system_time(SystemTime::now());
            let claims = Claims {
                issuer: ISSUER.into(),
                subject: "shop".into(),
                audience: AUDIENCE.into(),
                client_id: "shop".into(),
                scope: "ledger:write".parse().unwrap(),
                token_id: "t1".into(),
                issued_at: now,
                expires_at: now.plus(Duration::from_secs(300)),
                confirmation,
                ..Claims::default()
            };
            let token = claims.sign(&key).unwrap();
            for scheme in ["Bearer", "DPoP"] {
                let mut headers = HeaderMap::new();
                let value = HeaderValue::from_str(&format!("{scheme} {token}")).unwrap();
                headers.insert(header::AUTHORIZATION, value);
                headers.insert("dpop", HeaderValue::from_static("a proof"));
                // Also the second time, when a good one is remembered.
                for _ in 0..2 {
                    match (authentication.claims(&headers).await, said) {
                        (Ok((claims, _)), None) => assert_eq!(&*claims.client_id, "shop"),
                        (Err(problem), Some(said)) => {
                            assert_eq!(problem.kind().slug, problems::UNAUTHENTICATED.slug);
                            let detail = problem.detail_text().to_owned();
                            assert!(detail.contains(said), "{detail}");
                        }
                        (found, said) => panic!("{:?} {said:?}", found.map(drop)),
                    }
                }
            }
        }
    }
}
