//! The attackers of FAPI 2.0 and RFC 9449 section 11 at the token endpoint: each try has its error, issues nothing, and is in the
//! audit. Attacks at the browser are in `attacks.rs`.

use http::StatusCode;
use lombard_token::{CLIENT_ASSERTION_TYPE, DpopRequest, SigningKey, client_assertion, dpop_proof};
use lombard_types::Timestamp;
use serde_json::json;

use crate::{
    audit::found,
    bound::{post, proof},
    fapi::Bank,
    support::{ISSUER, Role, VERIFIER},
};

const TOKEN: &str = "/oauth/token";
const URI: &str = "https://bank.example/cb";

/// What is tried, the proofs and parameters that are sent, and the error.
type Try = (&'static str, Vec<String>, Vec<(&'static str, String)>, &'static str);

/// `alg` is `none`, and there is no signature.
fn unsigned(token: &str) -> String {
    let (head, rest) = token.split_once('.').unwrap();
    assert!(head.starts_with("eyJ"));
    let claims = rest.split_once('.').unwrap().0;
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
}

fn with_assertion(assertion: String, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("client_assertion_type", CLIENT_ASSERTION_TYPE.to_owned()),
        ("client_assertion", assertion),
    ];
    parameters.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    parameters
}

const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// Attackers A1a and A5: who has seen, replays, changes or makes up how a client proves who it is.
fn at_authentication(bank: &Bank, used: &str) -> Vec<Try> {
    let (foreign, fresh) = (SigningKey::generate().unwrap(), || bank.proof_at(TOKEN));
    let now = Timestamp::from_system_time(std::time::SystemTime::now());
    let of = |key: &SigningKey, client: &str, audience: &str, now: Timestamp| {
        client_assertion(key, client, audience, &uuid::Uuid::new_v4().to_string(), now).unwrap()
    };
    let long_ago = Timestamp::from_unix_seconds(now.unix_seconds() - 3600);
    let tomorrow = Timestamp::from_unix_seconds(now.unix_seconds() + 86_400);
    let mut two = with_assertion(bank.assertion(ISSUER), &OWN);
    two.push(("client_secret", "x".to_owned()));
    let tries = [
        ("an assertion again", used.to_owned(), "invalid_client"),
        ("of another key", of(&foreign, "bank", ISSUER, now), "invalid_client"),
        ("unsigned", unsigned(&bank.assertion(ISSUER)), "invalid_client"),
        (
            "for the endpoint",
            of(&bank.key, "bank", &format!("{ISSUER}{TOKEN}"), now),
            "invalid_client",
        ),
        (
            "for another server",
            of(&bank.key, "bank", "https://evil.example", now),
            "invalid_client",
        ),
        ("for another client", of(&bank.key, "shop", ISSUER, now), "invalid_client"),
        ("of an hour ago", of(&bank.key, "bank", ISSUER, long_ago), "invalid_client"),
        ("of tomorrow", of(&bank.key, "bank", ISSUER, tomorrow), "invalid_client"),
        ("a proof for an assertion", fresh(), "invalid_client"),
    ];
    let mut tries: Vec<Try> = tries
        .into_iter()
        .map(|(what, assertion, error)| {
            (what, vec![fresh()], with_assertion(assertion, &OWN), error)
        })
        .collect();
    tries.push(("two methods", vec![fresh()], two, "invalid_request"));
    let nothing = [("client_id", "bank"), OWN[0]].map(|(name, value)| (name, value.to_owned()));
    tries.push(("none", vec![fresh()], nothing.into(), "invalid_client"));
    tries
}

/// RFC 9449 section 11: replay, proofs made in advance, for elsewhere, by algorithms that prove nothing.
fn at_proofs(bank: &Bank, used: &str) -> Vec<Try> {
    let now = Timestamp::from_system_time(std::time::SystemTime::now());
    let of = |method: &str, url: &str, now: Timestamp| {
        let request = DpopRequest { method, url, access_token: None };
        dpop_proof(&bank.bound, request, &uuid::Uuid::new_v4().to_string(), now).unwrap()
    };
    let url = format!("{ISSUER}{TOKEN}");
    let (old, coming) = (now.unix_seconds() - 100, now.unix_seconds() + 100);
    let good = || of("POST", &url, now);
    let proofs = [
        ("11.1 a proof again", vec![used.to_owned()]),
        ("11.1 of another endpoint", vec![of("POST", &format!("{ISSUER}/oauth/par"), now)]),
        ("11.1 of another server", vec![of("POST", "https://evil.example/oauth/token", now)]),
        ("11.1 of another method", vec![of("GET", &url, now)]),
        ("11.2 of long ago", vec![of("POST", &url, Timestamp::from_unix_seconds(old))]),
        ("11.2 of the future", vec![of("POST", &url, Timestamp::from_unix_seconds(coming))]),
        ("11.6 unsigned", vec![unsigned(&good())]),
        ("11.5 an assertion for a proof", vec![bank.assertion(ISSUER)]),
        ("two proofs", vec![good(), good()]),
        ("11.3 none", vec![]),
    ];
    let asked = || with_assertion(bank.assertion(ISSUER), &OWN);
    proofs.map(|(what, proofs)| (what, proofs, asked(), "invalid_dpop_proof")).into()
}

/// Attackers A3b and A5 with a code that they have read, and RFC 9449 section 11.9: a code that is bound to a key.
fn at_codes(bank: &Bank, code: &str, shop_secret: &str) -> Vec<Try> {
    let redeem = |verifier: &str, uri: &str| {
        [
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", uri.to_owned()),
            ("code_verifier", verifier.to_owned()),
        ]
    };
    let mut of_shop: Vec<_> = redeem(VERIFIER, URI).into();
    of_shop.extend([("client_id", "shop".to_owned()), ("client_secret", shop_secret.to_owned())]);
    let of_bank = |parameters: [(&'static str, String); 4]| {
        let mut all = with_assertion(bank.assertion(ISSUER), &[]);
        all.extend(parameters);
        all
    };
    let other_key = SigningKey::generate().unwrap();
    let other_verifier = VERIFIER.replace('d', "e");
    vec![
        ("by another client", vec![], of_shop, "invalid_grant"),
        (
            "with another key",
            vec![proof(&other_key, "POST", TOKEN, None)],
            of_bank(redeem(VERIFIER, URI)),
            "invalid_grant",
        ),
        (
            "with another verifier",
            vec![bank.proof_at(TOKEN)],
            of_bank(redeem(&other_verifier, URI)),
            "invalid_grant",
        ),
        (
            "with another redirect URI",
            vec![bank.proof_at(TOKEN)],
            of_bank(redeem(VERIFIER, "https://bank.example/other")),
            "invalid_grant",
        ),
    ]
}

#[tokio::test]
async fn each_try_has_its_error_issues_nothing_and_is_in_the_audit() {
    let role = Role::start().await;
    let bank = Bank::registered(&role).await;
    let code = bank.bound_code(&role).await;
    // What the attackers have seen.
    let (assertion, seen) = (bank.assertion(ISSUER), bank.proof_at(TOKEN));
    let good = with_assertion(assertion.clone(), &OWN);
    let good: Vec<_> = good.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let issued = post(&role, TOKEN, std::slice::from_ref(&seen), &good).await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);

    let mut tries = at_authentication(&bank, &assertion);
    tries.extend(at_proofs(&bank, &seen));
    tries.extend(at_codes(&bank, &code, &role.shop_secret()));
    for (what, proofs, parameters, error) in &tries {
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let refused = post(&role, TOKEN, proofs, &parameters).await;
        assert_eq!(refused.json()["error"], *error, "{what}: {}", refused.text);
        assert!(refused.json().get("access_token").is_none(), "{what}");
    }
    let audited = found(&role, "&action=token&outcome=refused", tries.len()).await;
    for ((what, _, _, error), entry) in tries.iter().zip(&audited) {
        assert_eq!(entry["error"], json!(error), "{what}: {entry}");
    }
    assert_eq!(found(&role, "&action=token&outcome=allowed&client_id=bank", 1).await.len(), 1);
}

/// RFC 9700 section 4.15: no client can have an id that is a person's subject.
#[tokio::test]
async fn a_client_is_not_taken_for_a_person() {
    let role = Role::start().await;
    let ada = role.admin("GET", "/v1/auth/users/ada", json!(null)).await.json();
    let client = json!({ "client_id": ada["subject"], "name": "x", "profile": "oauth-2.1", "scope": "ledger:read" });
    let refused = role.admin("POST", "/v1/auth/clients", client).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert_eq!(refused.json()["member"], "client_id");
}
