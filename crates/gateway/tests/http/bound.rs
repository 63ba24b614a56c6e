//! Tokens that are bound to a key (RFC 9449).

use std::time::SystemTime;

use lombard_token::{Claims, DpopRequest, SigningKey, dpop_proof};
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
    let token = world.sign(Claims { key_thumbprint: Some(thumbprint.into()), ..bound });
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
