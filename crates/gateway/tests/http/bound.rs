//! Tokens that are bound to a key (RFC 9449).

use std::time::{Duration, SystemTime};

use lombard_token::{
    Claims, Confirmation, DpopNonces, DpopRequest, SigningKey, dpop_proof, dpop_proof_with_nonce,
};
use lombard_types::Timestamp;

use crate::support::{Upstream, World, claims, problem};

#[tokio::test]
async fn a_bound_token_needs_a_proof_for_each_request() {
    let upstream = Upstream::start("payments").await;
    let world = World::start().await;
    world.register("payments", &[upstream.address]).await;
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let thumbprint = key.public_jwk().thumbprint();
    let bound = claims("http://gateway.test/payments", "payments:read");
    let token =
        world.sign(Claims { confirmation: Some(Confirmation::Key(thumbprint.into())), ..bound });
    let url = world.url("/payments/x");
    let proof = |key: &SigningKey, method: &str, url: &str, token: &str, id: &str| {
        let request = DpopRequest { method, url, access_token: Some(token) };
        dpop_proof(key, request, id, Timestamp::from_system_time(SystemTime::now())).unwrap()
    };
    let before = upstream.requests();
    let ask = async |scheme: &str, proof: Option<String>| {
        let request = world.client.get(&url).header("authorization", format!("{scheme} {token}"));
        match proof {
            Some(proof) => request.header("dpop", proof).send().await.unwrap(),
            None => request.send().await.unwrap(),
        }
    };
    for (what, proof) in [
        ("none", None),
        ("another key", Some(proof(&other, "GET", &url, &token, "1"))),
        ("another method", Some(proof(&key, "POST", &url, &token, "2"))),
        ("another URL", Some(proof(&key, "GET", &world.url("/payments/y"), &token, "3"))),
        ("another token", Some(proof(&key, "GET", &url, "x", "4"))),
        ("nonsense", Some("x.y.z".to_owned())),
    ] {
        let response = ask("DPoP", proof).await;
        assert!(
            response.headers()["www-authenticate"].to_str().unwrap().starts_with("DPoP"),
            "{what}"
        );
        assert_eq!(problem(response).await.0, 401, "{what}");
    }
    let good = proof(&key, "GET", &url, &token, "5");
    assert_eq!(ask("DPoP", Some(good.clone())).await.status(), 200);
    let (status, _, detail) = problem(ask("DPoP", Some(good)).await).await;
    assert!(status == 401 && detail.contains("used before"), "{detail}");
    assert_eq!(ask("DPoP", Some(proof(&key, "GET", &url, &token, "6"))).await.status(), 200);
    assert_eq!(ask("Bearer", None).await.status(), 401, "it is no token of the bearer's");
    assert_eq!(upstream.requests(), before + 2);
}

/// RFC 9449 section 9: a proof that was made in advance is worth nothing.
#[tokio::test]
async fn a_proof_has_a_nonce_where_the_gateway_is_told_so() {
    let upstream = Upstream::start("payments").await;
    let world = World::with_nonces(DpopNonces::new(&[1; 32], Duration::from_secs(300))).await;
    world.register("payments", &[upstream.address]).await;
    let key = SigningKey::generate().unwrap();
    let thumbprint = key.public_jwk().thumbprint();
    let bound = claims("http://gateway.test/payments", "payments:read");
    let token =
        world.sign(Claims { confirmation: Some(Confirmation::Key(thumbprint.into())), ..bound });
    let url = world.url("/payments/x");
    let before = upstream.requests();
    let ask = async |nonce: Option<&str>, id: &str| {
        let request = DpopRequest { method: "GET", url: &url, access_token: Some(&token) };
        let now = Timestamp::from_system_time(SystemTime::now());
        let proof = dpop_proof_with_nonce(&key, request, nonce, id, now).unwrap();
        let request = world.client.get(&url).header("authorization", format!("DPoP {token}"));
        request.header("dpop", proof).send().await.unwrap()
    };
    let other = DpopNonces::new(&[2; 32], Duration::from_secs(300));
    let foreign = other.fresh(Timestamp::from_system_time(SystemTime::now()));
    let mut nonce = String::new();
    for (what, wrong) in [("none", None), ("nonsense", Some("x")), ("another's", Some(&*foreign))] {
        let refused = ask(wrong, what).await;
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, "DPoP error=\"use_dpop_nonce\"", "{what}");
        refused.headers()["dpop-nonce"].to_str().unwrap().clone_into(&mut nonce);
        assert_eq!(problem(refused).await.0, 401, "{what}");
    }
    assert_eq!(upstream.requests(), before);
    assert_eq!(ask(Some(&nonce), "good").await.status(), 200);
    assert_eq!(
        ask(Some(&nonce), "good").await.status(),
        401,
        "a nonce is for many, a proof for one"
    );
    assert_eq!(ask(Some(&nonce), "another").await.status(), 200);
}
