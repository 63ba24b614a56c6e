//! Verifies access tokens, remembering the ones it has seen.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use futures_util::future::BoxFuture;
use lombard_types::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use crate::{
    ACCESS_TOKEN_TYPE, Claims, ClaimsError, Confirmation, DpopError, DpopNonces, DpopRequest, Jwks,
    JwsError, OPAQUE_TOKEN_PREFIX, Presented, PublicJwk, RevokedTokens, claims,
    jws::{HeaderRules, KeyRule, Unverified},
    used_proofs::UsedProofs,
    verify_dpop_proof,
};

const RULES: HeaderRules =
    HeaderRules { types: &[ACCESS_TOKEN_TYPE], may_omit_type: false, key: KeyRule::Kid };
/// How far the issuer's clock and ours may differ.
const SKEW: Duration = Duration::from_secs(30);
/// After a fetch of keys, an unknown key id leads to another one only after this long.
const REFETCH_AFTER: Duration = Duration::from_secs(10);
/// Verified tokens that are remembered.
const CACHE_TOKENS_MAX: usize = 10_000;

/// Where the issuer's public keys come from, and what it took back.
pub trait KeySource: Send + Sync + 'static {
    /// Fetches the current keys.
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>>;

    /// Says what the issuer takes back, for ever. A source that knows nothing of it never says a word, and does not
    /// [follow](RevokedTokens::follow) either, so that its silence means nothing.
    fn follow_revocations(&self, _revoked: Arc<RevokedTokens>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// The keys could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to fetch the keys: {0}")]
pub struct KeySourceError(pub String);

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Its form or signature is bad.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is bad.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// It says nothing by itself.
    #[error(
        "it is opaque, and only the authorization server can say what it stands for: the client must be registered with \
         access_token_format jwt to call this"
    )]
    Opaque,
    /// Signed with a key that is not among the issuer's.
    #[error("it is signed with an unknown key")]
    UnknownKey,
    /// Taken back before it expired.
    #[error("it was revoked")]
    Revoked,
    /// It is bound to a key, and nothing proves that whoever sends it has that key.
    #[error("it is bound to a key: send it as DPoP, with a proof")]
    ProofMissing,
    /// Its proof must have a nonce of this server, and has none, or an old one (RFC 9449 section 9).
    #[error("its proof has no nonce of this server, or an old one: put in the one of DPoP-Nonce")]
    NonceNeeded {
        /// A good one.
        nonce: Box<str>,
    },
    /// The proof of the key is bad.
    #[error("its proof is not accepted: {0}")]
    Proof(#[from] DpopError),
    /// The proof is of another key than the token's.
    #[error("its proof is of another key")]
    ProofOfOtherKey,
    /// The proof was used before.
    #[error("its proof was used before")]
    ProofReplayed,
    /// It is bound to a certificate, and the connection has shown none.
    #[error("it is bound to a certificate: use it on a connection that shows that")]
    CertificateMissing,
    /// The certificate is another one than the token's.
    #[error("it is bound to another certificate")]
    OtherCertificate,
    /// So many proofs are remembered that another could not be told from a used one.
    #[error("too many proofs at once")]
    TooManyProofs,
    /// It permits payments, and the issuer was not heard of for so long that they may have been taken back.
    #[error("it cannot be told whether it was revoked")]
    RevocationsUnknown,
    /// No key was ever fetched, so nothing can be said about any token.
    #[error("no keys are known yet")]
    NoKeys,
}

/// Verifies tokens of one issuer for one audience. Cheap to clone; clones share keys and memory.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
}

struct Shared {
    issuer: Box<str>,
    audience: Box<str>,
    keys: ArcSwap<Keys>,
    source: Arc<dyn KeySource>,
    revoked: Arc<RevokedTokens>,
    /// Shared like the revocations: a proof is good once, whatever for.
    used_proofs: Arc<UsedProofs>,
    /// Set where proofs must have nonces.
    nonces: OnceLock<Arc<DpopNonces>>,
    /// When keys were last asked for. Held while they are fetched, so that one fetch serves all who wait.
    fetched: Mutex<Option<Instant>>,
    /// By SHA-256 of the token: whoever can read this memory must not find tokens.
    seen: RwLock<HashMap<[u8; 32], Arc<Claims>>>,
    /// How often `seen` was emptied because what it holds may not be good any more.
    generation: AtomicU64,
}

/// What was true of the keys at one moment: for callers that remember claims themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

#[derive(Default)]
struct Keys {
    by_id: HashMap<Box<str>, PublicJwk>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.shared.issuer)
            .field("audience", &self.shared.audience)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Accepts tokens that `issuer` made for exactly `audience`. No key is known before the first [`Self::refresh`].
    pub fn new(issuer: &str, audience: impl Into<Box<str>>, source: Arc<dyn KeySource>) -> Self {
        Self::with_shared(issuer, audience.into(), source, Arc::default(), Arc::default())
    }

    fn with_shared(
        issuer: &str,
        audience: Box<str>,
        source: Arc<dyn KeySource>,
        revoked: Arc<RevokedTokens>,
        used_proofs: Arc<UsedProofs>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                issuer: issuer.into(),
                audience,
                keys: ArcSwap::default(),
                source,
                revoked,
                used_proofs,
                nonces: OnceLock::new(),
                fetched: Mutex::new(None),
                seen: RwLock::new(HashMap::new()),
                generation: AtomicU64::new(0),
            }),
        }
    }

    /// The same issuer, keys and revocations for another audience. Keys are fetched for each on its own, revocations
    /// are shared.
    #[must_use]
    pub fn for_audience(&self, audience: impl Into<Box<str>>) -> Self {
        let Shared { issuer, source, revoked, used_proofs, .. } = &*self.shared;
        let (source, revoked) = (Arc::clone(source), Arc::clone(revoked));
        let used_proofs = Arc::clone(used_proofs);
        let other = Self::with_shared(issuer, audience.into(), source, revoked, used_proofs);
        other.shared.keys.store(self.shared.keys.load_full());
        if let Some(nonces) = self.shared.nonces.get() {
            other.require_nonces(Arc::clone(nonces));
        }
        other
    }

    /// From now on proofs must have one of these nonces. Said once; verifiers that are made of this one for other audiences
    /// hold to it.
    pub fn require_nonces(&self, nonces: Arc<DpopNonces>) {
        self.shared.nonces.get_or_init(|| nonces);
    }

    /// What the issuer took back. Whoever hears of it says it here.
    pub fn revoked(&self) -> &Arc<RevokedTokens> {
        &self.shared.revoked
    }

    /// Fetches the keys now. What was known before stays when that fails.
    pub async fn refresh(&self) -> Result<(), KeySourceError> {
        let mut fetched = self.shared.fetched.lock().await;
        self.fetch(&mut fetched).await
    }

    async fn fetch(&self, fetched: &mut Option<Instant>) -> Result<(), KeySourceError> {
        *fetched = Some(Instant::now());
        let jwks = self.shared.source.fetch().await?;
        if jwks.keys.is_empty() {
            // It has just started for the first time. Taking that for its keys would be believing it for a while.
            return Err(KeySourceError("the authorization server has no keys yet".to_owned()));
        }
        let mut keys = Keys::default();
        for key in &jwks.keys {
            if key.verification_key().is_err() {
                return Err(KeySourceError(format!("key {} is malformed", key.kid())));
            }
            keys.by_id.insert(key.kid().into(), key.clone());
        }
        self.shared.keys.store(Arc::new(keys));
        // A key that was taken away takes its tokens with it.
        let mut seen = self.shared.seen.write();
        self.shared.generation.fetch_add(1, Ordering::Release);
        seen.clear();
        Ok(())
    }

    /// Verifies a token of the bearer's with the keys that are known. One that is bound to a key is refused.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>, VerifyError> {
        let claims = self.inspect(token)?;
        match claims.confirmation {
            None => Ok(claims),
            Some(Confirmation::Key(_)) => Err(VerifyError::ProofMissing),
            Some(Confirmation::Certificate(_)) => Err(VerifyError::CertificateMissing),
        }
    }

    /// What a good token says, whoever sends it: for the issuer, who answers questions about tokens. Nobody may act on it.
    pub fn inspect(&self, token: &str) -> Result<Arc<Claims>, VerifyError> {
        self.inspect_of(Some(&self.shared.audience), token)
    }

    /// The same for a token of the issuer's, whatever its audience is: one memory of good tokens serves all.
    pub fn inspect_any(&self, token: &str) -> Result<Arc<Claims>, VerifyError> {
        self.inspect_of(None, token)
    }

    /// `None` for any audience.
    fn inspect_of(&self, audience: Option<&str>, token: &str) -> Result<Arc<Claims>, VerifyError> {
        let now = Timestamp::from_system_time(SystemTime::now());
        let hash = hash(token);
        if let Some(claims) = self.shared.seen.read().get(&hash).cloned() {
            // It may have been seen for another audience.
            claims.check(&self.shared.issuer, audience, now, SKEW)?;
            self.check_revoked(&claims)?;
            return Ok(claims);
        }
        if token.starts_with(OPAQUE_TOKEN_PREFIX) {
            return Err(VerifyError::Opaque);
        }
        let unverified = Unverified::parse(token, RULES)?;
        let keys = self.shared.keys.load();
        if keys.by_id.is_empty() {
            return Err(VerifyError::NoKeys);
        }
        let kid = unverified.header.kid.as_deref().ok_or(JwsError::KeyId)?;
        let key = keys.by_id.get(kid).ok_or(VerifyError::UnknownKey)?;
        let signed_by: Box<str> = kid.into();
        let key = key.verification_key().map_err(|_| JwsError::Signature)?;
        let members = unverified.verify(key)?;
        let claims = Claims::read(&members, &signed_by)?;
        claims::check_not_before(&members, now, SKEW)?;
        claims.check(&self.shared.issuer, audience, now, SKEW)?;
        self.check_revoked(&claims)?;
        let claims = Arc::new(claims);
        self.remember(hash, &claims, now);
        Ok(claims)
    }

    fn check_revoked(&self, claims: &Claims) -> Result<(), VerifyError> {
        let revoked = &self.shared.revoked;
        if revoked.contains(claims) {
            return Err(VerifyError::Revoked);
        }
        if claims.authorization_details.has_payment() && revoked.is_silent() {
            return Err(VerifyError::RevocationsUnknown);
        }
        Ok(())
    }

    /// The present generation: to be asked for before a token is verified whose claims are remembered.
    pub fn generation(&self) -> Generation {
        Generation(self.shared.generation.load(Ordering::Acquire))
    }

    /// Whether claims that were verified in a generation are as good now as if the token were verified again: no
    /// key was taken back since, and the token has neither expired nor been revoked. For a connection that sends the same token with each call;
    /// it spares the hash of the token.
    pub fn is_still_good(&self, claims: &Claims, generation: Generation) -> bool {
        let now = Timestamp::from_system_time(SystemTime::now());
        self.generation() == generation
            && claims.check_time(now, SKEW).is_ok()
            && self.check_revoked(claims).is_ok()
    }

    /// Verifies a token; if its key is unknown, fetches the keys once, at most every ten seconds whatever the number of
    /// unknown keys.
    pub async fn verify_or_refresh(&self, token: &str) -> Result<Arc<Claims>, VerifyError> {
        let claims = self.inspect_or_refresh(token).await?;
        match claims.confirmation {
            None => Ok(claims),
            Some(Confirmation::Key(_)) => Err(VerifyError::ProofMissing),
            Some(Confirmation::Certificate(_)) => Err(VerifyError::CertificateMissing),
        }
    }

    /// The same for a token that may be bound to a key: whoever acts on it has checked the proof that comes with it
    /// ([`Self::check_proof`]).
    pub async fn inspect_or_refresh(&self, token: &str) -> Result<Arc<Claims>, VerifyError> {
        self.inspect_of_or_refresh(Some(&self.shared.audience), token).await
    }

    /// The same for a token of the issuer's, whatever its audience is.
    pub async fn inspect_any_or_refresh(&self, token: &str) -> Result<Arc<Claims>, VerifyError> {
        self.inspect_of_or_refresh(None, token).await
    }

    async fn inspect_of_or_refresh(
        &self,
        audience: Option<&str>,
        token: &str,
    ) -> Result<Arc<Claims>, VerifyError> {
        let error = match self.inspect_of(audience, token) {
            Err(error @ (VerifyError::UnknownKey | VerifyError::NoKeys)) => error,
            result => return result,
        };
        let asked = Instant::now();
        let mut fetched = self.shared.fetched.lock().await;
        match *fetched {
            // Somebody fetched while this one waited for the lock.
            Some(time) if time >= asked => {}
            Some(time) if time.elapsed() < REFETCH_AFTER => return Err(error),
            _ => {
                if self.fetch(&mut fetched).await.is_err() {
                    return Err(error);
                }
            }
        }
        drop(fetched);
        self.inspect_of(audience, token)
    }

    /// Checks that a request with a bound token comes from whom it is bound to: by a proof of the key, once (RFC 9449
    /// section 4.3), whose access token must be named in `request`; or by the certificate (RFC 8705 section 3). A token that is
    /// not bound needs neither.
    pub fn check_proof(
        &self,
        claims: &Claims,
        presented: Presented<'_>,
        request: DpopRequest<'_>,
    ) -> Result<(), VerifyError> {
        match &claims.confirmation {
            None => Ok(()),
            Some(Confirmation::Key(thumbprint)) => {
                self.check_key(thumbprint, presented.proof, request)
            }
            Some(wanted @ Confirmation::Certificate(_)) => {
                let shown = presented.certificate_sha256.ok_or(VerifyError::CertificateMissing)?;
                if Confirmation::of_certificate_sha256(shown) == *wanted {
                    Ok(())
                } else {
                    Err(VerifyError::OtherCertificate)
                }
            }
        }
    }

    fn check_key(
        &self,
        thumbprint: &str,
        proof: Option<&str>,
        request: DpopRequest<'_>,
    ) -> Result<(), VerifyError> {
        let now = Timestamp::from_system_time(SystemTime::now());
        let proof = verify_dpop_proof(proof.ok_or(VerifyError::ProofMissing)?, request, now, SKEW)?;
        if *proof.key_thumbprint != *thumbprint {
            return Err(VerifyError::ProofOfOtherKey);
        }
        if let Some(nonces) = self.shared.nonces.get()
            && !proof.nonce.as_deref().is_some_and(|nonce| nonces.is_good(nonce, now))
        {
            return Err(VerifyError::NonceNeeded { nonce: nonces.fresh(now).into() });
        }
        self.shared.used_proofs.spend(&proof, now)
    }

    /// Who makes the tokens: the platform's public URL.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    fn remember(&self, hash: [u8; 32], claims: &Arc<Claims>, now: Timestamp) {
        let mut seen = self.shared.seen.write();
        if seen.len() >= CACHE_TOKENS_MAX {
            seen.retain(|_, claims| claims.check_time(now, SKEW).is_ok());
        }
        // Still full of good tokens: starting over costs each of them one verification.
        if seen.len() >= CACHE_TOKENS_MAX {
            seen.clear();
        }
        seen.insert(hash, Arc::clone(claims));
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}
