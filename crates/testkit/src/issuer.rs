//! An authorization server reduced to its key: tokens for roles that run in the test's own process.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use lombard_token::{Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier};
use lombard_types::Timestamp;

/// Who makes the tokens: what the platform is called until somebody says its public URL.
const ISSUER: &str = "http://127.0.0.1:8080";

/// Issues tokens for one role. All in a process have one key, so that tokens outlive a restart of what is tested.
#[derive(Clone, Copy, Debug)]
pub struct Issuer {
    role: &'static str,
}

impl Issuer {
    /// For a role, such as `ledger`.
    pub const fn for_role(role: &'static str) -> Self {
        Self { role }
    }

    /// What accepts the tokens. It knows no key yet, as that of a role that has just started.
    pub fn verifier(self) -> Verifier {
        Verifier::new(ISSUER, self.audience(), Arc::new(Keys))
    }

    /// The same, with the key.
    #[expect(clippy::expect_used, reason = "the source is in memory and cannot fail")]
    pub async fn ready_verifier(self) -> Verifier {
        let verifier = self.verifier();
        verifier.refresh().await.expect("the key is there");
        verifier
    }

    /// What a token of the client says that is good for five minutes.
    #[expect(clippy::expect_used, reason = "a test that asks for no scope is wrong")]
    pub fn claims(self, client: &str, scope: &str) -> Claims {
        let now = Timestamp::from_system_time(SystemTime::now());
        Claims {
            issuer: ISSUER.into(),
            subject: client.into(),
            audience: self.audience(),
            client_id: client.into(),
            scope: scope.parse().expect("it is a scope"),
            token_id: "token-1".into(),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(300)),
            ..Claims::default()
        }
    }

    /// A token of the client.
    pub fn token(self, client: &str, scope: &str) -> String {
        Self::sign(&self.claims(client, scope))
    }

    /// A token that says this.
    #[expect(clippy::expect_used, reason = "signing with a key in memory cannot fail")]
    pub fn sign(claims: &Claims) -> String {
        claims.sign(key()).expect("it can be signed")
    }

    fn audience(self) -> Box<str> {
        format!("{ISSUER}/v1/{}", self.role).into()
    }
}

struct Keys;

impl KeySource for Keys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: vec![key().public_jwk().clone()] }) })
    }
}

#[expect(clippy::expect_used, reason = "without randomness no test can go on")]
fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().expect("there is randomness"))
}
