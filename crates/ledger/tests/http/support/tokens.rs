//! An authorization server reduced to its key.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use lombard_token::{
    AuthorizationDetails, Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier,
};
use lombard_types::Timestamp;

const ISSUER: &str = "http://127.0.0.1:8080";
const AUDIENCE: &str = "http://127.0.0.1:8080/v1/ledger";

/// Issues tokens that a ledger's verifier accepts.
pub(crate) struct Tokens;

struct Keys;

impl KeySource for Keys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: vec![key().public_jwk().clone()] }) })
    }
}

/// One key for all, so that tokens survive a restart.
fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().unwrap())
}

impl Tokens {
    pub(crate) async fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(Keys));
        verifier.refresh().await.unwrap();
        verifier
    }

    pub(crate) fn issue(&self, client: &str, scope: &str, details: Option<&str>) -> String {
        let now = Timestamp::from_system_time(SystemTime::now());
        let claims = Claims {
            issuer: ISSUER.into(),
            subject: client.into(),
            audience: AUDIENCE.into(),
            client_id: client.into(),
            scope: scope.parse().unwrap(),
            authorization_details: details
                .map(|details| AuthorizationDetails::parse_granted(details).unwrap())
                .unwrap_or_default(),
            token_id: "token-1".into(),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(300)),
            ..Claims::default()
        };
        claims.sign(key()).unwrap()
    }
}
