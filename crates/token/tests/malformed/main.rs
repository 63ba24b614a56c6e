//! Keys, key sets, tokens, assertions and proofs that are not exactly what they should be, each refused for the right
//! reason: over 300 forms, most of them in `access_tokens.rs`, grouped by what they attack.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

mod access_tokens;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_token::{
    Algorithm, AssertionError, Claims, ClaimsError, DpopError, DpopRequest, Jwks, JwsError,
    ParseJwkError, PublicJwk, RequestObjectError, SigningKey, client_assertion, dpop_proof,
    verify_client_assertion, verify_dpop_proof, verify_request_object,
};
use lombard_types::Timestamp;
use serde_json::{Value, json};

const SKEW: Duration = Duration::from_secs(10);
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A compact JWS with this header, with a good signature of `key`.
fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    sign_text(key, &header.to_string(), &claims.to_string())
}

/// The same of texts that need not be JSON.
fn sign_text(key: &SigningKey, header: &str, claims: &str) -> String {
    sign_bytes(key, header.as_bytes(), claims.as_bytes())
}

fn sign_bytes(key: &SigningKey, header: &[u8], claims: &[u8]) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let document = key.to_pkcs8().unwrap();
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
    let signature = match key.public_jwk().algorithm() {
        Algorithm::EdDsa => {
            Ed25519KeyPair::from_pkcs8(&document).unwrap().sign(text.as_bytes()).as_ref().to_vec()
        }
        _ => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document)
            .unwrap()
            .sign(&aws_lc_rs::rand::SystemRandom::new(), text.as_bytes())
            .unwrap()
            .as_ref()
            .to_vec(),
    };
    format!("{text}.{}", encode(&signature))
}

/// `value` with a member changed, or taken away where it is to become null.
fn change(value: &Value, name: &str, member: Value) -> Value {
    let mut changed = value.clone();
    let members = changed.as_object_mut().unwrap();
    match member {
        Value::Null => drop(members.remove(name)),
        member => drop(members.insert(name.to_owned(), member)),
    }
    changed
}

#[test]
fn keys() {
    use ParseJwkError::{Malformed, Private, Unsupported};
    let ec = serde_json::to_value(SigningKey::generate().unwrap().public_jwk()).unwrap();
    let ed = SigningKey::generate_for(Algorithm::EdDsa).unwrap();
    let ed = serde_json::to_value(ed.public_jwk()).unwrap();
    let mut modulus = [0xc5u8; 256];
    modulus[255] |= 1;
    let rsa = json!({ "kty": "RSA", "n": encode(&modulus), "e": "AQAB", "alg": "PS256" });
    for good in [&ec, &ed, &rsa] {
        PublicJwk::parse(good.to_string().as_bytes()).unwrap();
    }
    let x = ec["x"].as_str().unwrap();
    let long = "A".repeat(129);
    let table = [
        (&ec, "kty", json!(null), Malformed),
        (&ec, "kty", json!(1), Malformed),
        (&ec, "kty", json!("ec"), Unsupported),
        (&ec, "kty", json!("oct"), Unsupported),
        (&ec, "kty", json!("AKP"), Unsupported),
        (&ec, "kty", json!("OKP"), Unsupported),
        (&ec, "kty", json!("RSA"), Malformed),
        (&ec, "crv", json!(null), Malformed),
        (&ec, "crv", json!(["P-256"]), Malformed),
        (&ec, "crv", json!("p-256"), Unsupported),
        (&ec, "crv", json!("P-384"), Unsupported),
        (&ec, "crv", json!("secp256k1"), Unsupported),
        (&ec, "x", json!(null), Malformed),
        (&ec, "x", json!(7), Malformed),
        (&ec, "x", json!(""), Malformed),
        (&ec, "x", json!(format!("{x}=")), Malformed),
        (&ec, "x", json!(format!("{x}\n")), Malformed),
        (&ec, "x", json!(x.replace(&x[..1], "+")), Malformed),
        (&ec, "x", json!(encode(&[1; 31])), Malformed),
        (&ec, "x", json!(encode(&[0; 33])), Malformed),
        (&ec, "x", json!(encode(&[1; 32])), Malformed),
        (&ec, "x", json!(encode(&[0xff; 32])), Malformed),
        (&ec, "y", json!(null), Malformed),
        (&ec, "y", json!(true), Malformed),
        (&ec, "y", json!(x), Malformed),
        (&ec, "y", json!(encode(&[0; 32])), Malformed),
        (&ec, "alg", json!("ES384"), Unsupported),
        (&ec, "alg", json!("none"), Unsupported),
        (&ec, "alg", json!("HS256"), Unsupported),
        (&ec, "alg", json!("EdDSA"), Unsupported),
        (&ec, "alg", json!("ECDH-ES"), Unsupported),
        (&ec, "alg", json!(256), Malformed),
        (&ec, "use", json!("enc"), Unsupported),
        (&ec, "use", json!("SIG"), Unsupported),
        (&ec, "use", json!(["sig"]), Malformed),
        (&ec, "key_ops", json!([]), Unsupported),
        (&ec, "key_ops", json!(["sign"]), Unsupported),
        (&ec, "key_ops", json!("verify"), Malformed),
        (&ec, "kid", json!(""), Malformed),
        (&ec, "kid", json!(3), Malformed),
        (&ec, "kid", json!(long), Malformed),
        (&ec, "d", json!("AAAA"), Private),
        (&ec, "d", json!(false), Private),
        (&ec, "k", json!("AAAA"), Private),
        (&ed, "d", json!("AAAA"), Private),
        (&ed, "crv", json!("X25519"), Unsupported),
        (&ed, "crv", json!("Ed448"), Unsupported),
        (&ed, "crv", json!("P-256"), Unsupported),
        (&ed, "x", json!(null), Malformed),
        (&ed, "x", json!(encode(&[0; 32])), Malformed),
        (&ed, "x", json!(encode(&[9; 31])), Malformed),
        (&ed, "x", json!(encode(&[9; 33])), Malformed),
        (&ed, "alg", json!("ES256"), Unsupported),
        (&rsa, "n", json!(null), Malformed),
        (&rsa, "n", json!(""), Malformed),
        (&rsa, "n", json!(encode(&[0; 256])), Malformed),
        (&rsa, "n", json!(encode(&[0xc5; 128])), Unsupported),
        (&rsa, "n", json!(encode(&[0xc5; 255])), Unsupported),
        (&rsa, "n", json!(encode(&[0x45; 256])), Unsupported),
        (&rsa, "n", json!(encode(&[0xc5; 1024])), Unsupported),
        (&rsa, "e", json!(null), Malformed),
        (&rsa, "e", json!(encode(&[1])), Unsupported),
        (&rsa, "e", json!(encode(&[3])), Unsupported),
        (&rsa, "e", json!(encode(&[1, 0, 0])), Unsupported),
        (&rsa, "e", json!(encode(&[0, 1, 0, 1])), Unsupported),
        (&rsa, "alg", json!("RS256"), Unsupported),
        (&rsa, "alg", json!("RSA-OAEP"), Unsupported),
        (&rsa, "p", json!("AAAA"), Private),
        (&rsa, "oth", json!([]), Private),
    ];
    assert_eq!(table.len(), 69);
    for (key, name, member, expected) in table {
        let text = change(key, name, member).to_string();
        assert_eq!(PublicJwk::parse(text.as_bytes()), Err(expected), "{text}");
        // In a set what is not supported is passed over, and what is wrong spoils it.
        let set = Jwks::parse(format!(r#"{{"keys":[{text}]}}"#).as_bytes());
        let in_set = if expected == Unsupported { Ok(Jwks::default()) } else { Err(expected) };
        assert_eq!(set, in_set, "{text}");
    }
}

#[test]
fn documents_that_are_no_keys_and_no_sets() {
    for text in
        ["", "null", "[]", "\"x\"", "{", r#"{"kty":"EC","kty":"EC"}"#, "{}", "\u{feff}{}", "{} {}"]
    {
        assert_eq!(PublicJwk::parse(text.as_bytes()), Err(ParseJwkError::Malformed), "{text}");
    }
    assert_eq!(PublicJwk::parse(&[0xff, 0xfe]), Err(ParseJwkError::Malformed));
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"Keys":[]}"#,
    ] {
        assert_eq!(Jwks::parse(text.as_bytes()), Err(ParseJwkError::Malformed), "{text}");
    }
}

#[test]
fn assertions() {
    let key = SigningKey::generate().unwrap();
    let ed = SigningKey::generate_for(Algorithm::EdDsa).unwrap();
    let issuer = "https://issuer.example";
    let now = NOW.unix_seconds();
    let claims = json!({ "iss": "shop", "sub": "shop", "aud": issuer, "jti": "1", "iat": now, "exp": now + 60 });
    let header = json!({ "alg": "ES256", "typ": "JWT" });
    let verify = |token: &str, jwk: &PublicJwk| {
        verify_client_assertion(token, jwk, "shop", issuer, NOW, SKEW)
    };
    // With and without typ, with any kid, of each kind of key.
    for header in [
        header.clone(),
        json!({ "alg": "ES256" }),
        json!({ "alg": "ES256", "kid": "mine", "typ": "client-authentication+jwt" }),
    ] {
        verify(&signed(&key, &header, &claims), key.public_jwk()).unwrap();
    }
    let made = client_assertion(&ed, "shop", issuer, "1", NOW).unwrap();
    verify(&made, ed.public_jwk()).unwrap();

    let jws = AssertionError::Jws;
    let malformed = |name| AssertionError::Claims(ClaimsError::Malformed(name));
    let with_header = |name: &str, member| signed(&key, &change(&header, name, member), &claims);
    let with = |name: &str, member| signed(&key, &header, &change(&claims, name, member));
    let audience =
        |text: &str| AssertionError::Claims(ClaimsError::Audience { audience: text.into() });
    let at = Timestamp::from_unix_seconds;
    let access_token = Claims { client_id: "shop".into(), ..Claims::default() }.sign(&key).unwrap();
    let table = [
        (with_header("alg", json!("EdDSA")), jws(JwsError::Algorithm)),
        (with_header("alg", json!("PS256")), jws(JwsError::Algorithm)),
        (with_header("alg", json!("HS256")), jws(JwsError::Algorithm)),
        (with_header("alg", json!("none")), jws(JwsError::Algorithm)),
        (with_header("typ", json!("at+jwt")), jws(JwsError::Type)),
        (with_header("typ", json!("dpop+jwt")), jws(JwsError::Type)),
        (with_header("typ", json!("oauth-authz-req+jwt")), jws(JwsError::Type)),
        (with_header("typ", json!(1)), jws(JwsError::Type)),
        (with_header("kid", json!("")), jws(JwsError::KeyId)),
        (with_header("kid", json!("k".repeat(129))), jws(JwsError::KeyId)),
        (
            with_header("jwk", serde_json::to_value(ed.public_jwk()).unwrap()),
            jws(JwsError::HeaderMember),
        ),
        (with_header("crit", json!([])), jws(JwsError::HeaderMember)),
        (with_header("x5t#S256", json!("AAAA")), jws(JwsError::HeaderMember)),
        (access_token, jws(JwsError::Type)),
        (client_assertion(&ed, "shop", issuer, "1", NOW).unwrap(), jws(JwsError::Algorithm)),
        (
            client_assertion(&SigningKey::generate().unwrap(), "shop", issuer, "1", NOW).unwrap(),
            jws(JwsError::Signature),
        ),
        (with("iss", json!("bank")), malformed("iss")),
        (with("iss", json!(null)), malformed("iss")),
        (with("sub", json!("bank")), malformed("sub")),
        (with("sub", json!(null)), malformed("sub")),
        (with("jti", json!(null)), malformed("jti")),
        (with("jti", json!(1)), malformed("jti")),
        (with("exp", json!(null)), malformed("exp")),
        (with("aud", json!(null)), malformed("aud")),
        (with("aud", json!([issuer])), malformed("aud")),
        (with("aud", json!("https://issuer.example/")), audience("https://issuer.example/")),
        (
            with("aud", json!("https://issuer.example/oauth/token")),
            audience("https://issuer.example/oauth/token"),
        ),
        (with("exp", json!(now - 11)), AssertionError::Claims(ClaimsError::Expired(at(now - 11)))),
        (with("exp", json!(now + 311)), AssertionError::LifeTooLong),
        (
            with("iat", json!(now + 11)),
            AssertionError::Claims(ClaimsError::NotYetValid(at(now + 11))),
        ),
        (
            with("nbf", json!(now + 11)),
            AssertionError::Claims(ClaimsError::NotYetValid(at(now + 11))),
        ),
        (with("iat", json!("now")), malformed("iat")),
    ];
    assert_eq!(table.len(), 32);
    for (token, expected) in table {
        assert_eq!(verify(&token, key.public_jwk()), Err(expected), "{token}");
    }
}

#[test]
fn proofs_of_possession() {
    let key = SigningKey::generate().unwrap();
    let ed = SigningKey::generate_for(Algorithm::EdDsa).unwrap();
    let request = DpopRequest {
        method: "POST",
        url: "https://bank.example/v1/ledger/transfers",
        access_token: Some("token"),
    };
    let verify = |proof: &str| verify_dpop_proof(proof, request, NOW, SKEW);
    for key in [&key, &ed] {
        let proof = verify(&dpop_proof(key, request, "1", NOW).unwrap()).unwrap();
        assert_eq!(*proof.key_thumbprint, *key.public_jwk().thumbprint());
        assert_eq!((&*proof.token_id, proof.nonce), ("1", None));
        assert_eq!(proof.expires_at, NOW.plus(Duration::from_secs(70)));
    }
    let now = NOW.unix_seconds();
    let jwk = change(&serde_json::to_value(key.public_jwk()).unwrap(), "kid", json!(null));
    let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": jwk });
    let hash = encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"token").as_ref());
    let claims = json!({ "jti": "1", "htm": "POST", "htu": request.url, "iat": now, "ath": hash, "nonce": "n" });
    let good = verify(&signed(&key, &header, &claims)).unwrap();
    assert_eq!(good.nonce.as_deref(), Some("n"));
    for url in [
        "https://bank.example/v1/ledger/transfers?x=1#y",
        "HTTPS://BANK.example/v1/ledger/transfers",
    ] {
        verify(&signed(&key, &header, &change(&claims, "htu", json!(url)))).unwrap();
    }

    let jws = DpopError::Jws;
    let malformed = |name| DpopError::Claims(ClaimsError::Malformed(name));
    let with_header = |name: &str, member| signed(&key, &change(&header, name, member), &claims);
    let with_jwk = |name: &str, member| with_header("jwk", change(&jwk, name, member));
    let with = |name: &str, member| signed(&key, &header, &change(&claims, name, member));
    let at = Timestamp::from_unix_seconds;
    let foreign = serde_json::to_value(ed.public_jwk()).unwrap();
    let other = serde_json::to_value(SigningKey::generate().unwrap().public_jwk()).unwrap();
    let table = [
        (with_header("typ", json!(null)), jws(JwsError::Type)),
        (with_header("typ", json!("JWT")), jws(JwsError::Type)),
        (with_header("typ", json!("at+jwt")), jws(JwsError::Type)),
        (with_header("alg", json!("none")), jws(JwsError::Algorithm)),
        (with_header("alg", json!("HS256")), jws(JwsError::Algorithm)),
        (with_header("alg", json!("EdDSA")), jws(JwsError::Algorithm)),
        (with_header("jwk", json!(null)), jws(JwsError::EmbeddedKey)),
        (with_header("jwk", json!("x")), jws(JwsError::EmbeddedKey)),
        (with_header("jwk", json!({})), jws(JwsError::EmbeddedKey)),
        (with_header("jwk", json!({ "kty": "oct", "k": "AAAA" })), jws(JwsError::EmbeddedKey)),
        (with_jwk("d", json!("AAAA")), jws(JwsError::EmbeddedKey)),
        (with_jwk("x", json!(encode(&[1; 32]))), jws(JwsError::EmbeddedKey)),
        (with_jwk("use", json!("enc")), jws(JwsError::EmbeddedKey)),
        (with_header("jwk", foreign), jws(JwsError::Algorithm)),
        (with_header("jwk", other), jws(JwsError::Signature)),
        (with_header("jku", json!("https://evil.example")), jws(JwsError::HeaderMember)),
        (with_header("crit", json!(["jwk"])), jws(JwsError::HeaderMember)),
        (with("jti", json!(null)), malformed("jti")),
        (with("jti", json!("")), malformed("jti")),
        (with("jti", json!("j".repeat(257))), malformed("jti")),
        (with("htm", json!(null)), malformed("htm")),
        (with("htm", json!("GET")), DpopError::Method),
        (with("htm", json!("post")), DpopError::Method),
        (with("htu", json!(null)), malformed("htu")),
        (with("htu", json!("https://bank.example/v1/ledger/transfers/")), DpopError::Url),
        (with("htu", json!("https://bank.example/v1/ledger/accounts")), DpopError::Url),
        (with("htu", json!("https://evil.example/v1/ledger/transfers")), DpopError::Url),
        (with("htu", json!("http://bank.example/v1/ledger/transfers")), DpopError::Url),
        (with("htu", json!("https://bank.example:8443/v1/ledger/transfers")), DpopError::Url),
        (with("htu", json!("/v1/ledger/transfers")), DpopError::Url),
        (with("htu", json!("https://bank.example/V1/ledger/transfers")), DpopError::Url),
        (with("iat", json!(null)), malformed("iat")),
        (with("iat", json!("now")), malformed("iat")),
        (with("iat", json!(now + 11)), DpopError::Claims(ClaimsError::NotYetValid(at(now + 11)))),
        (with("iat", json!(now - 71)), DpopError::Claims(ClaimsError::Expired(at(now - 11)))),
        (with("ath", json!(null)), malformed("ath")),
        (with("ath", json!("token")), DpopError::AccessToken),
        (with("ath", json!(encode(&[0; 32]))), DpopError::AccessToken),
        (with("nonce", json!(1)), malformed("nonce")),
        (with("nonce", json!("")), malformed("nonce")),
    ];
    assert_eq!(table.len(), 40);
    for (proof, expected) in table {
        assert_eq!(verify(&proof), Err(expected), "{proof}");
    }
}

/// RFC 9101: signed requests have a type of their own, and are for one server, for an hour at most.
#[test]
fn request_objects() {
    let key = SigningKey::generate().unwrap();
    let issuer = "https://issuer.example";
    let now = NOW.unix_seconds();
    let claims = json!({
        "iss": "shop", "client_id": "shop", "aud": issuer, "nbf": now, "exp": now + 60, "scope": "openid",
    });
    let header = json!({ "alg": "ES256", "typ": "oauth-authz-req+jwt" });
    let verify =
        |object: &str| verify_request_object(object, key.public_jwk(), "shop", issuer, NOW, SKEW);
    let members = verify(&signed(&key, &header, &claims)).unwrap();
    assert_eq!(Value::Object(members), json!({ "client_id": "shop", "scope": "openid" }));
    verify(&signed(&key, &header, &change(&claims, "aud", json!([issuer])))).unwrap();
    let jws = RequestObjectError::Jws;
    let of = RequestObjectError::Claims;
    let malformed = |name| of(ClaimsError::Malformed(name));
    let with_header = |name: &str, member| signed(&key, &change(&header, name, member), &claims);
    let with = |name: &str, member| signed(&key, &header, &change(&claims, name, member));
    let at = Timestamp::from_unix_seconds;
    let assertion = client_assertion(&key, "shop", issuer, "1", NOW).unwrap();
    let elsewhere = "https://other.example";
    let table = [
        (with_header("typ", json!(null)), jws(JwsError::Type)),
        (with_header("typ", json!("JWT")), jws(JwsError::Type)),
        (with_header("typ", json!("at+jwt")), jws(JwsError::Type)),
        (with_header("alg", json!("none")), jws(JwsError::Algorithm)),
        (with_header("alg", json!("HS256")), jws(JwsError::Algorithm)),
        (with_header("jku", json!(elsewhere)), jws(JwsError::HeaderMember)),
        (with_header("crit", json!(["exp"])), jws(JwsError::HeaderMember)),
        (assertion, jws(JwsError::Type)),
        (signed(&SigningKey::generate().unwrap(), &header, &claims), jws(JwsError::Signature)),
        (with("iss", json!(null)), malformed("iss")),
        (with("iss", json!("bank")), malformed("iss")),
        (with("client_id", json!(null)), malformed("client_id")),
        (with("client_id", json!("bank")), malformed("client_id")),
        (with("aud", json!(null)), malformed("aud")),
        (with("aud", json!([])), malformed("aud")),
        (with("aud", json!([issuer, elsewhere])), malformed("aud")),
        (with("aud", json!(elsewhere)), of(ClaimsError::Audience { audience: elsewhere.into() })),
        (with("nbf", json!(null)), malformed("nbf")),
        (with("exp", json!(null)), malformed("exp")),
        (with("exp", json!("soon")), malformed("exp")),
        (with("exp", json!(now - 10)), of(ClaimsError::Expired(at(now - 10)))),
        (with("nbf", json!(now + 11)), of(ClaimsError::NotYetValid(at(now + 11)))),
        (with("nbf", json!(now - 3611)), RequestObjectError::TooOld),
        (with("exp", json!(now + 3601)), RequestObjectError::LifeTooLong),
        (with("request", json!("x")), RequestObjectError::Nested),
        (with("request_uri", json!(elsewhere)), RequestObjectError::Nested),
    ];
    assert_eq!(table.len(), 26);
    for (object, expected) in table {
        assert_eq!(verify(&object), Err(expected), "{object}");
    }
}
