//! Access tokens: nothing is accepted but what was signed. One token is good; inputs are changes of it, or anything.
#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use libfuzzer_sys::fuzz_target;
use lombard_token::{Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier};
use lombard_types::Timestamp;

struct OneKey(Jwks);

impl KeySource for OneKey {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        let jwks = self.0.clone();
        async { Ok(jwks) }.boxed()
    }
}

struct Known {
    verifier: Verifier,
    token: String,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let key = SigningKey::generate().expect("a key");
    let now = SystemTime::now();
    let claims = Claims {
        issuer: "https://issuer".into(),
        subject: "s".into(),
        audience: "https://audience".into(),
        client_id: "c".into(),
        scope: "ledger:read".parse().expect("a scope"),
        token_id: "t".into(),
        issued_at: Timestamp::from_system_time(now),
        expires_at: Timestamp::from_system_time(now + Duration::from_secs(86_400)),
        ..Claims::default()
    };
    let token = claims.sign(&key).expect("a token");
    let jwks = Jwks { keys: vec![key.public_jwk().clone()] };
    let verifier = Verifier::new("https://issuer", "https://audience", Arc::new(OneKey(jwks)));
    verifier.refresh().now_or_never().expect("at once").expect("keys");
    verifier.verify(&token).expect("it is good");
    Known { verifier, token }
});

// Where to change the good token, and to what; and another text instead of it.
fuzz_target!(|input: (Vec<(u16, u8)>, &str)| {
    let (changes, other) = input;
    let Known { verifier, token } = &*KNOWN;
    let mut changed = token.clone().into_bytes();
    for (at, to) in changes {
        let at = usize::from(at) % changed.len();
        changed[at] = to;
    }
    let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    for candidate in [String::from_utf8_lossy(&changed).as_ref(), other] {
        if verifier.verify(candidate).is_ok() {
            assert_eq!(signed(candidate), signed(token), "accepted: {candidate}");
        }
    }
});
