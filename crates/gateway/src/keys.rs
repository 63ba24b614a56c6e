//! Keys and verifiers: one verifier for each resource, all fed by one fetch of the keys.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use lombard_chassis::{CancellationToken, Health};
use lombard_token::{
    Claims, DpopNonces, DpopRequest, Jwks, KeySource, KeySourceError, Presented, RevokedTokens,
    Verifier, VerifyError,
};
use parking_lot::RwLock;
use tokio::sync::Mutex;

/// Requests with unknown keys lead to one fetch in this time, whatever their number and resource.
const FETCH_AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// How often the keys are fetched anyway, so that a new one is known before it is used.
const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// How long to wait after a fetch that failed while there are no keys yet.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// A source that asks another one, seldom.
pub(crate) struct SharedKeys {
    source: Arc<dyn KeySource>,
    /// Held while keys are fetched, so that one fetch serves all who wait.
    fetched: Mutex<Option<(Instant, Result<Jwks, KeySourceError>)>>,
}

impl SharedKeys {
    async fn fetch_if_older_than(&self, age: Duration) -> Result<Jwks, KeySourceError> {
        let mut fetched = self.fetched.lock().await;
        if let Some((time, result)) = &*fetched
            && time.elapsed() < age
        {
            return result.clone();
        }
        let result = self.source.fetch().await;
        *fetched = Some((Instant::now(), result.clone()));
        result
    }
}

impl KeySource for SharedKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(self.fetch_if_older_than(FETCH_AT_MOST_EVERY))
    }

    fn follow_revocations(&self, revoked: Arc<RevokedTokens>) -> BoxFuture<'_, ()> {
        self.source.follow_revocations(revoked)
    }
}

/// The verifiers, by resource.
pub(crate) struct Verifiers {
    issuer: String,
    keys: Arc<SharedKeys>,
    /// Gives its keys to new ones and shares what was revoked; verifies nothing itself.
    first: Verifier,
    by_resource: RwLock<HashMap<Box<str>, Verifier>>,
    count_max: usize,
    /// Those of configured routes, by issuer and audience.
    configured: RwLock<HashMap<IssuerAndAudience, Verifier>>,
}

type IssuerAndAudience = (Box<str>, Box<str>);

/// The longest file of keys that is read.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// The public keys of another issuer.
pub(crate) fn read_key_file(path: &std::path::Path) -> Result<Jwks, String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(format!("{shown} is longer than {KEY_FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    Jwks::parse(&text).map_err(|error| format!("{shown}: {error}"))
}

/// Keys that stay as they are.
struct FileKeys(Jwks);

impl KeySource for FileKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

impl Verifiers {
    pub(crate) fn new(issuer: String, source: Arc<dyn KeySource>, count_max: usize) -> Self {
        let keys = Arc::new(SharedKeys { source, fetched: Mutex::new(None) });
        let first = Verifier::new(&issuer, issuer.as_str(), Arc::clone(&keys) as _);
        let (by_resource, configured) = (RwLock::default(), RwLock::default());
        Self { issuer, keys, first, by_resource, count_max, configured }
    }

    /// From now on proofs of possession must have one of these nonces.
    pub(crate) fn require_nonces(&self, nonces: Arc<DpopNonces>) {
        self.first.require_nonces(nonces);
    }

    /// The verifier of a resource, and whether it is one that is kept.
    pub(crate) fn of(&self, resource: &str) -> (Verifier, bool) {
        if let Some(verifier) = self.by_resource.read().get(resource) {
            return (verifier.clone(), true);
        }
        (self.first.for_audience(format!("{}{resource}", self.issuer)), false)
    }

    /// Keeps a verifier with its memory of tokens. Called once a good token for the resource was seen: names that
    /// callers make up take no memory.
    pub(crate) fn keep(&self, resource: &str, verifier: Verifier) {
        let mut by_resource = self.by_resource.write();
        if by_resource.len() < self.count_max {
            by_resource.entry(resource.into()).or_insert(verifier);
        }
    }

    /// The platform's public URL, which is the issuer of its tokens.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Checks what comes with a bound token, whoever issued that: a proof is used once at this gateway, whatever for,
    /// and also where the routes and their verifiers were made anew since.
    pub(crate) fn check_proof(
        &self,
        claims: &Claims,
        presented: Presented<'_>,
        request: DpopRequest<'_>,
    ) -> Result<(), VerifyError> {
        self.first.check_proof(claims, presented, request)
    }

    /// A verifier for a configured route: of the platform's tokens, or of those of another issuer with the keys of a file.
    pub(crate) fn of_route(
        &self,
        issuer: Option<(&str, &std::path::Path)>,
        audience: &str,
    ) -> Result<Verifier, String> {
        let Some((issuer, key_file)) = issuer else {
            let key = (self.issuer.as_str().into(), audience.into());
            let new = || self.first.for_audience(audience);
            return Ok(self.configured.write().entry(key).or_insert_with(new).clone());
        };
        let keys = FileKeys(read_key_file(key_file)?);
        let verifier = Verifier::new(issuer, audience, Arc::new(keys));
        // The keys are there already: nothing is waited for.
        match verifier.refresh().now_or_never() {
            Some(Ok(())) => Ok(verifier),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("its keys are not there".to_owned()),
        }
    }

    async fn refresh(&self, age: Duration) -> Result<(), KeySourceError> {
        // Fills the shared memory, from which the verifiers then take.
        drop(self.keys.fetch_if_older_than(age).await?);
        let mut result = self.first.refresh().await;
        let mut kept: Vec<Verifier> = self.by_resource.read().values().cloned().collect();
        kept.extend(self.configured.read().values().cloned());
        for verifier in kept {
            result = result.and(verifier.refresh().await);
        }
        result
    }

    /// Keeps the keys fresh, and hears what is revoked. The obstacle `keys` is cleared once they were fetched; when the issuer goes away later,
    /// the keys that are known keep working.
    pub(crate) async fn run(&self, health: &Health, drain: &CancellationToken) {
        tokio::select! {
            () = drain.cancelled() => {}
            () = self.refresh_for_ever(health) => {}
            () = self.keys.follow_revocations(Arc::clone(self.first.revoked())) => {}
        }
    }

    async fn refresh_for_ever(&self, health: &Health) {
        let mut is_known = false;
        loop {
            match self.refresh(RETRY_EVERY / 2).await {
                Ok(()) => {
                    is_known = true;
                    health.clear("keys");
                }
                Err(error) if is_known => {
                    tracing::warn!(%error, "failed to refresh the keys of the authorization server");
                }
                Err(error) => {
                    tracing::debug!(%error, "waiting for the authorization server's keys");
                }
            }
            tokio::time::sleep(if is_known { REFRESH_EVERY } else { RETRY_EVERY }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use lombard_token::SigningKey;

    use super::*;

    struct Counting {
        keys: Jwks,
        fetches: AtomicUsize,
    }

    impl KeySource for Counting {
        fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
            self.fetches.fetch_add(1, SeqCst);
            Box::pin(async { Ok(self.keys.clone()) })
        }
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_leads_to_one_fetch() {
        let known = SigningKey::generate().unwrap();
        let source = Arc::new(Counting {
            keys: Jwks { keys: vec![known.public_jwk().clone()] },
            fetches: AtomicUsize::new(0),
        });
        let verifiers = Verifiers::new("http://a".to_owned(), Arc::clone(&source) as _, 2);
        for number in 0..20 {
            let unknown = SigningKey::generate().unwrap();
            let token = unknown.sign("at+jwt", b"{}").unwrap();
            let (verifier, is_kept) = verifiers.of(&format!("/made-up-{number}"));
            assert!(!is_kept);
            assert_eq!(verifier.verify_or_refresh(&token).await, Err(VerifyError::UnknownKey));
        }
        assert_eq!(source.fetches.load(SeqCst), 1);
    }

    #[test]
    fn the_number_of_kept_verifiers_is_bounded() {
        let source = Counting { keys: Jwks::default(), fetches: AtomicUsize::new(0) };
        let verifiers = Verifiers::new("http://a".to_owned(), Arc::new(source), 2);
        for resource in ["/a", "/b", "/c"] {
            verifiers.keep(resource, verifiers.of(resource).0);
        }
        assert_eq!(
            ["/a", "/b", "/c"].map(|resource| verifiers.of(resource).1),
            [true, true, false]
        );
    }
}
