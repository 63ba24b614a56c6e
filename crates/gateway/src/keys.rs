//! Keys and verifiers: one verifier for each resource, all fed by one fetch of the keys.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use lombard_chassis::{CancellationToken, Health};
use lombard_token::{Jwks, KeySource, KeySourceError, RevokedTokens, Verifier};
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
}

impl Verifiers {
    pub(crate) fn new(issuer: String, source: Arc<dyn KeySource>, count_max: usize) -> Self {
        let keys = Arc::new(SharedKeys { source, fetched: Mutex::new(None) });
        let first = Verifier::new(&issuer, issuer.as_str(), Arc::clone(&keys) as _);
        Self { issuer, keys, first, by_resource: RwLock::default(), count_max }
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

    async fn refresh(&self, age: Duration) -> Result<(), KeySourceError> {
        // Fills the shared memory, from which the verifiers then take.
        drop(self.keys.fetch_if_older_than(age).await?);
        self.first.refresh().await?;
        let kept: Vec<Verifier> = self.by_resource.read().values().cloned().collect();
        for verifier in kept {
            verifier.refresh().await?;
        }
        Ok(())
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

    use lombard_token::{SigningKey, VerifyError};

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
