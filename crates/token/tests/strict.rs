//! What a verifier accepts and remembers, and how it follows keys and revocations. What it refuses is in `malformed`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use lombard_token::{
    Actor, Algorithm, AuthorizationDetails, Claims, ClaimsError, Confirmation, DpopRequest, Jwks,
    JwsError, KeySource, KeySourceError, ParseJwkError, PaymentId, Presented, PublicJwk,
    Revocation, RevocationKey, SigningKey, UserGrant, Verifier, VerifyError,
};
use lombard_types::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://issuer.example/v1/ledger";

/// Keys that a test can change, counting how often they are fetched.
#[derive(Clone, Default)]
struct Source {
    jwks: Arc<Mutex<Option<Jwks>>>,
    fetch_count: Arc<AtomicUsize>,
}

impl Source {
    fn of(keys: &[&SigningKey]) -> Self {
        let source = Self::default();
        source.set(keys);
        source
    }

    fn set(&self, keys: &[&SigningKey]) {
        *self.jwks.lock() =
            Some(Jwks { keys: keys.iter().map(|key| key.public_jwk().clone()).collect() });
    }
}

impl KeySource for Source {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        self.fetch_count.fetch_add(1, Ordering::SeqCst);
        let jwks = self.jwks.lock().clone();
        Box::pin(async { jwks.ok_or_else(|| KeySourceError("away".to_owned())) })
    }
}

fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "shop", "aud": AUDIENCE, "client_id": "shop", "scope": "ledger:read",
        "jti": "1", "iat": now().unix_seconds(), "exp": now().unix_seconds() + 60,
    })
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    claims.to_string()
}

/// A token with this header and these claims, with a good signature of `key`.
fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    // What `sign` puts in front is replaced: it signs whatever follows the typ, so the header is smuggled in by hand.
    let pair = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &key.to_pkcs8().unwrap(),
    )
    .unwrap();
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn payments() -> AuthorizationDetails {
    let text = r#"[{"type":"payment","amount":"5.00","asset":"EUR","debtor_account":"a","creditor_account":"b"}]"#;
    AuthorizationDetails::parse_request(text, || PaymentId::from_bytes([3; 16])).unwrap()
}

async fn verifier(source: &Source) -> Verifier {
    let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(source.clone()));
    verifier.refresh().await.unwrap();
    verifier
}

#[tokio::test]
async fn one_audience_in_a_list_and_types_as_media_types_are_accepted() {
    let key = SigningKey::generate().unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    for (typ, audience) in [("application/at+jwt", json!(AUDIENCE)), ("AT+JWT", json!([AUDIENCE]))]
    {
        let token = key.sign(typ, with("aud", audience).as_bytes()).unwrap();
        assert_eq!(&*verifier.verify(&token).unwrap().token_id, "1");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_once_whatever_the_number_of_unknown_ones() {
    let (old, new) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let source = Source::of(&[&old]);
    let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(source.clone()));
    let token = |key: &SigningKey| key.sign("at+jwt", claims().to_string().as_bytes()).unwrap();
    verifier.verify_or_refresh(&token(&old)).await.unwrap();
    source.set(&[&old, &new]);
    let floods = (0..50).map(|_| {
        let (verifier, token) = (verifier.clone(), token(&SigningKey::generate().unwrap()));
        async move { verifier.verify_or_refresh(&token).await }
    });
    for flood in floods {
        assert_eq!(flood.await.map(|_| ()), Err(VerifyError::UnknownKey));
    }
    assert_eq!(
        source.fetch_count.load(Ordering::SeqCst),
        1,
        "within the interval nothing is fetched"
    );
    verifier.refresh().await.unwrap();
    verifier.verify(&token(&new)).unwrap();
    // The issuer is away: what is known keeps working.
    *source.jwks.lock() = None;
    verifier.refresh().await.unwrap_err();
    verifier.verify(&token(&old)).unwrap();
    // A key that is taken away takes its tokens with it, also those that were seen.
    let seen = token(&old);
    verifier.verify(&seen).unwrap();
    source.set(&[&new]);
    verifier.refresh().await.unwrap();
    assert_eq!(verifier.verify(&seen).map(|_| ()), Err(VerifyError::UnknownKey));
}

#[tokio::test]
async fn a_remembered_token_is_good_for_its_own_audience_only() {
    let key = SigningKey::generate().unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    let shop = "https://issuer.example/shop";
    let token = key.sign("at+jwt", with("aud", json!(shop)).as_bytes()).unwrap();
    let refused = || Err(VerifyError::Claims(ClaimsError::Audience { audience: shop.into() }));
    // Before it is remembered, and after.
    for _ in 0..2 {
        assert_eq!(verifier.verify(&token).map(|_| ()), refused());
        assert_eq!(verifier.inspect(&token).map(|_| ()), refused());
        assert_eq!(&*verifier.inspect_any(&token).unwrap().audience, shop);
    }
}

/// Whoever takes tokens of all audiences, as userinfo does, checks each signature once, and learns new keys as others do.
#[tokio::test]
async fn tokens_of_other_audiences_are_remembered_and_lead_to_new_keys() {
    let (key, new) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let source = Source::of(&[&key]);
    let verifier = verifier(&source).await;
    let shop = "https://issuer.example/shop";
    let token = key.sign("at+jwt", with("aud", json!(shop)).as_bytes()).unwrap();
    let first = verifier.inspect_any_or_refresh(&token).await.unwrap();
    let second = verifier.inspect_any_or_refresh(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "read once");
    let refused = verifier.inspect_or_refresh(&token).await.map(|_| ());
    assert_eq!(refused, Err(VerifyError::Claims(ClaimsError::Audience { audience: shop.into() })));
    // Its keys were never asked for but at the start, so that the new one leads to a fetch at once.
    let unseen = Verifier::new(ISSUER, AUDIENCE, Arc::new(Source::of(&[&new])));
    let token = new.sign("at+jwt", with("aud", json!(shop)).as_bytes()).unwrap();
    assert_eq!(&*unseen.inspect_any_or_refresh(&token).await.unwrap().audience, shop);
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_it_is_revoked() {
    let key = SigningKey::generate().unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    let elsewhere = verifier.for_audience("https://issuer.example/shop");
    let token =
        |name: &str, value: &str| key.sign("at+jwt", with(name, json!(value)).as_bytes()).unwrap();
    let (one, two) = (token("jti", "1"), token("jti", "2"));
    let other_client = token("client_id", "bank");
    for token in [&one, &two, &other_client] {
        verifier.verify(token).unwrap();
    }
    let until = now().plus(Duration::from_secs(300));
    let revoke = |key, at| verifier.revoked().hear([Revocation { key, at, until }], now());
    revoke(RevocationKey::of_token("2"), now());
    verifier.verify(&one).unwrap();
    assert_eq!(verifier.verify(&two).map(|_| ()), Err(VerifyError::Revoked));
    // Of a client: what was issued before, not after. Other audiences share the knowledge.
    let before = Timestamp::from_unix_seconds(now().unix_seconds() - 100);
    revoke(RevocationKey::of_client("shop"), before);
    verifier.verify(&one).unwrap();
    revoke(RevocationKey::of_client("shop"), now());
    assert_eq!(verifier.verify(&one).map(|_| ()), Err(VerifyError::Revoked));
    // The token of the other client has the id that no revocation names.
    verifier.verify(&other_client).unwrap();
    let for_shop = token("aud", "https://issuer.example/shop");
    assert_eq!(elsewhere.verify(&for_shop).map(|_| ()), Err(VerifyError::Revoked));
    // It is forgotten when no token is left that it could concern.
    verifier.revoked().hear([], until);
    assert!(
        !verifier.revoked().contains(&Claims { client_id: "shop".into(), ..Claims::default() })
    );
}

/// Whoever has a key can sign tokens that say any time, and a verifier that cannot fetch the key set has it for ever.
#[tokio::test]
async fn what_a_key_signed_that_was_taken_back_is_refused_for_ever() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let verifier = verifier(&Source::of(&[&key, &other])).await;
    let token = |key: &SigningKey, jti: &str| {
        key.sign("at+jwt", with("jti", json!(jti)).as_bytes()).unwrap()
    };
    let (seen, of_other) = (token(&key, "1"), token(&other, "1"));
    verifier.verify(&seen).unwrap();
    let until = now().plus(Duration::from_secs(1));
    let revocation = Revocation {
        key: RevocationKey::of_key(key.public_jwk().kid()),
        at: Revocation::WHENEVER,
        until,
    };
    verifier.revoked().hear([revocation], now());
    verifier.revoked().hear([], now().plus(Duration::from_secs(1_000_000)));
    for token in [seen, token(&key, "2")] {
        assert_eq!(verifier.verify(&token).map(drop), Err(VerifyError::Revoked));
    }
    verifier.verify(&of_other).unwrap();
    // As it comes over the wire, in seconds.
    let at = Timestamp::from_unix_seconds(Revocation::WHENEVER.unix_seconds());
    assert_eq!(at, Revocation::WHENEVER);
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let key = SigningKey::generate().unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    // Within the allowed skew of 30 seconds, about to leave it.
    let expires_at = now().unix_seconds() - 29;
    let token = key.sign("at+jwt", with("exp", json!(expires_at)).as_bytes()).unwrap();
    verifier.verify(&token).unwrap();
    while now() < Timestamp::from_unix_seconds(expires_at + 30) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(verifier.verify(&token), Err(VerifyError::Claims(ClaimsError::Expired(_)))));
}

#[tokio::test]
async fn tokens_round_trip() {
    let key = SigningKey::generate().unwrap();
    let key = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
    let mut made = Claims {
        issuer: ISSUER.into(),
        subject: "shop".into(),
        audience: AUDIENCE.into(),
        client_id: "shop".into(),
        scope: "ledger:write:a/* ledger:read".parse().unwrap(),
        token_id: "id".into(),
        issued_at: Timestamp::from_unix_seconds(now().unix_seconds()),
        expires_at: Timestamp::from_unix_seconds(now().unix_seconds() + 300),
        authorization_details: payments(),
        actor: Some(Box::new(Actor {
            subject: "till".into(),
            actor: Some(Box::new(Actor { subject: "app".into(), actor: None })),
        })),
        grant: Some(Box::new(UserGrant {
            id: "g1".into(),
            session_id: Some("s1".into()),
            authenticated_at: Timestamp::from_unix_seconds(7),
            acr: "urn:lombard:acr:password".into(),
            methods: ["pwd".into()].into(),
        })),
        confirmation: Some(Confirmation::of_certificate(b"der")),
        signed_by: key.public_jwk().kid().into(),
    };
    let token = made.sign(&key).unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    assert_eq!(*verifier.inspect(&token).unwrap(), made);
    assert_eq!(verifier.verify(&token).map(drop), Err(VerifyError::CertificateMissing));
    made.confirmation = None;
    assert_eq!(*verifier.verify(&made.sign(&key).unwrap()).unwrap(), made);
    assert!(!format!("{key:?}").contains(&token));
}

#[tokio::test]
async fn a_bound_token_is_no_token_of_the_bearer() {
    let key = SigningKey::generate().unwrap();
    let source = Source::of(&[&key]);
    let verifier = verifier(&source).await;
    let thumbprint = SigningKey::generate().unwrap().public_jwk().thumbprint();
    let mut claims = claims();
    let mut refusals = Vec::new();
    for cnf in [
        json!({ "jkt": thumbprint }),
        json!({ "jkt": "short" }),
        json!({ "x5t#S256": "short" }),
        json!({ "jkt": thumbprint, "x5t#S256": thumbprint }),
        json!({}),
        json!(null),
    ] {
        claims["cnf"] = cnf;
        let token = key.sign("at+jwt", claims.to_string().as_bytes()).unwrap();
        refusals.push(verifier.verify(&token).map(|_| ()).unwrap_err());
        assert_eq!(verifier.inspect(&token).is_ok(), refusals.len() == 1);
    }
    let malformed = || VerifyError::Claims(ClaimsError::Malformed("cnf"));
    assert_eq!(refusals[0], VerifyError::ProofMissing);
    assert!(refusals[1..].iter().all(|refusal| *refusal == malformed()), "{refusals:?}");
}

/// RFC 8705 section 3: no certificate, another one, and a proof of a key in its place.
#[tokio::test]
async fn a_token_is_used_with_the_certificate_that_it_is_bound_to() {
    let key = SigningKey::generate().unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    let (own, other) = ([7; 32], [8; 32]);
    let cnf = Confirmation::of_certificate_sha256(&own).to_value();
    let token = key.sign("at+jwt", with("cnf", cnf).as_bytes()).unwrap();
    let claims = verifier.inspect(&token).unwrap();
    let request = DpopRequest { method: "GET", url: AUDIENCE, access_token: Some(&token) };
    let proof = lombard_token::dpop_proof(&key, request, "1", now()).unwrap();
    let check = |proof: Option<&str>, certificate_sha256: Option<&[u8; 32]>| {
        verifier.check_proof(&claims, Presented { proof, certificate_sha256 }, request)
    };
    assert_eq!(check(None, Some(&own)), Ok(()));
    assert_eq!(check(None, None), Err(VerifyError::CertificateMissing));
    assert_eq!(check(Some(&proof), None), Err(VerifyError::CertificateMissing));
    assert_eq!(check(None, Some(&other)), Err(VerifyError::OtherCertificate));
    assert_eq!(verifier.verify(&token).map(drop), Err(VerifyError::CertificateMissing));
}

#[tokio::test]
async fn keys_of_each_algorithm_sign_and_come_back_from_their_documents() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate_for(algorithm).unwrap();
        assert_eq!(key.public_jwk().algorithm(), algorithm);
        let document = key.to_pkcs8().unwrap();
        let again = SigningKey::from_pkcs8(&document).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        // As verifiers get it.
        let jwk = serde_json::to_string(key.public_jwk()).unwrap();
        assert_eq!(&PublicJwk::parse(jwk.as_bytes()).unwrap(), key.public_jwk());
        let verifier = verifier(&Source::of(&[&key])).await;
        for key in [&key, &again] {
            let token = key.sign("at+jwt", claims().to_string().as_bytes()).unwrap();
            verifier.verify(&token).unwrap();
            let mut broken = token.into_bytes();
            let last = broken.len() - 3;
            broken[last] = if broken[last] == b'A' { b'B' } else { b'A' };
            let refused = verifier.verify(&String::from_utf8(broken).unwrap()).map(drop);
            assert_eq!(refused, Err(VerifyError::Jws(JwsError::Signature)), "{algorithm}");
        }
        for length in [0, 1, document.len() / 2, document.len() - 1] {
            assert!(SigningKey::from_pkcs8(&document[..length]).is_err(), "{algorithm} {length}");
        }
    }
}

/// Two keys of two kinds: a token says the algorithm of its key, and no other.
#[tokio::test]
async fn a_key_has_one_algorithm() {
    let (ec, ed) =
        (SigningKey::generate().unwrap(), SigningKey::generate_for(Algorithm::EdDsa).unwrap());
    let verifier = verifier(&Source::of(&[&ec, &ed])).await;
    for key in [&ec, &ed] {
        verifier.verify(&key.sign("at+jwt", claims().to_string().as_bytes()).unwrap()).unwrap();
    }
    for (kid, alg) in [(&ed, "ES256"), (&ec, "EdDSA"), (&ec, "PS256")] {
        let kid = kid.public_jwk().kid();
        let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{kid}"}}"#);
        let token = signed(&ec, &header, &claims().to_string());
        let found = verifier.verify(&token).map(|_| ());
        assert_eq!(found, Err(VerifyError::Jws(JwsError::Algorithm)), "{header}");
    }
}

#[tokio::test]
async fn details_alone_are_enough() {
    let key = SigningKey::generate().unwrap();
    let verifier = verifier(&Source::of(&[&key])).await;
    let details = payments();
    let mut claims = claims();
    claims["authorization_details"] = details.to_value();
    claims.as_object_mut().unwrap().remove("scope");
    let token = key.sign("at+jwt", claims.to_string().as_bytes()).unwrap();
    let read = verifier.verify(&token).unwrap();
    assert!(read.scope.is_empty());
    assert_eq!(read.authorization_details, details);
    assert!(read.concerns("ledger") && !read.concerns("registry"));
}

#[test]
fn public_keys_are_read_strictly() {
    let key = SigningKey::generate().unwrap().public_jwk().clone();
    let text = serde_json::to_value(&key).unwrap();
    assert_eq!(PublicJwk::parse(text.to_string().as_bytes()), Ok(key.clone()));
    assert_eq!(key.kid(), key.thumbprint());
    let change = |name: &str, value: Value| {
        let mut changed = text.clone();
        changed[name] = value;
        PublicJwk::parse(changed.to_string().as_bytes())
    };
    assert_eq!(change("kty", json!("RSA")), Err(ParseJwkError::Malformed));
    assert_eq!(change("kty", json!("EC2")), Err(ParseJwkError::Unsupported));
    assert_eq!(change("crv", json!("P-384")), Err(ParseJwkError::Unsupported));
    assert_eq!(change("alg", json!("ES384")), Err(ParseJwkError::Unsupported));
    assert_eq!(change("use", json!("enc")), Err(ParseJwkError::Unsupported));
    assert_eq!(change("d", json!("AAAA")), Err(ParseJwkError::Private));
    assert_eq!(change("x", json!("AAAA")), Err(ParseJwkError::Malformed));
    assert_eq!(change("y", Value::Null), Err(ParseJwkError::Malformed));
    // Not a point of the curve.
    assert_eq!(change("x", json!(URL_SAFE_NO_PAD.encode([1; 32]))), Err(ParseJwkError::Malformed));
    let both = json!({ "keys": [text, { "kty": "oct-like" }, { "kty": "RSA", "n": "wQAB", "e": "AQAB" }] });
    assert_eq!(Jwks::parse(both.to_string().as_bytes()), Ok(Jwks { keys: vec![key] }));
    assert_eq!(Jwks::parse(b"{}"), Err(ParseJwkError::Malformed));
    let many = json!({ "keys": vec![text.clone(); 33] });
    assert_eq!(Jwks::parse(many.to_string().as_bytes()), Err(ParseJwkError::TooMany));
    let twice = json!({ "keys": [text, text] });
    assert_eq!(Jwks::parse(twice.to_string().as_bytes()), Err(ParseJwkError::KeyIdTwice));
}

/// A platform that started for the first time refused every token for ten seconds: its authorization server was asked
/// before it had made its first key, and having none was taken for all it has.
#[tokio::test]
async fn a_server_that_has_no_keys_yet_is_asked_again() {
    let key = SigningKey::generate().unwrap();
    let source = Source::of(&[]);
    let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(source.clone()));
    verifier.refresh().await.unwrap_err();
    source.set(&[&key]);
    verifier.refresh().await.unwrap();
    let token = key.sign("at+jwt", claims().to_string().as_bytes()).unwrap();
    verifier.verify(&token).unwrap();
}
