//! What a request must show, as a table.

use lombard_token::SigningKey;

use crate::support::{ISSUER, Upstream, World, problem, sign};

#[tokio::test]
async fn without_the_right_token_nothing_is_forwarded() {
    let world = World::start().await;
    let upstream = Upstream::start("payments").await;
    world.register("payments", &[upstream.address]).await;
    let before = world.roles.requests();
    let other_key = SigningKey::generate().unwrap();
    let forged = sign(&other_key, &format!("{ISSUER}/v1/ledger"), "admin");
    let ledger = world.token("/v1/ledger", "ledger:read");
    let events = world.token("/v1/ledger", "events:read");
    let reader = world.token("/payments", "payments:read");
    let writer = world.token("/payments", "payments:write");
    // One character in the middle of the signature.
    let (before_it, it) = ledger.split_at(ledger.len() - 20);
    let other = if it.starts_with('A') { 'B' } else { 'A' };
    let altered = format!("{before_it}{other}{}", &it[1..]);
    for (method, path, authorization, status, slug) in [
        ("GET", "/v1/ledger/x", None, 401, "unauthenticated"),
        ("GET", "/v1/ledger/x", Some("Basic eA==".to_owned()), 401, "unauthenticated"),
        ("GET", "/v1/ledger/x", Some("Bearer nonsense".to_owned()), 401, "unauthenticated"),
        ("GET", "/v1/ledger/x", Some(format!("Bearer {forged}")), 401, "unauthenticated"),
        ("GET", "/v1/ledger/x", Some(format!("Bearer {altered}")), 401, "unauthenticated"),
        ("GET", "/v1/ledger/x", Some(format!("Bearer {reader}")), 401, "unauthenticated"),
        ("GET", "/v1/registry/x", Some(format!("Bearer {ledger}")), 401, "unauthenticated"),
        ("GET", "/v1/ledger/x", Some(format!("Bearer {events}")), 403, "insufficient-scope"),
        ("POST", "/payments/x", Some(format!("Bearer {reader}")), 403, "insufficient-scope"),
        ("DELETE", "/payments/x", Some(format!("Bearer {reader}")), 403, "insufficient-scope"),
        ("GET", "/payments/x", Some(format!("Bearer {writer}")), 403, "insufficient-scope"),
        ("GET", "/payments/x", Some(format!("Bearer {ledger}")), 401, "unauthenticated"),
        ("GET", "/unknown/x", None, 401, "unauthenticated"),
        ("GET", "/v1/other/x", None, 404, "not-found"),
        ("GET", "/", None, 404, "not-found"),
    ] {
        let mut request = world.client.request(method.parse().unwrap(), world.url(path));
        if let Some(authorization) = &authorization {
            request = request.header("authorization", authorization);
        }
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").cloned();
        let (got, got_slug, detail) = problem(response).await;
        assert_eq!((got, got_slug.as_str()), (status, slug), "{method} {path} {detail}");
        assert_eq!(challenge.is_some(), matches!(status, 401 | 403), "{method} {path}");
        assert!(!detail.contains("eyJ"), "no token in a problem: {detail}");
    }
    assert_eq!(upstream.requests(), 0);
    assert_eq!(world.roles.requests(), before);
    assert_eq!(world.get("/payments/x", &reader).await.status(), 200);
    assert_eq!(world.post("/payments/x", &writer, "").await.status(), 200);
}

#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let world = World::start().await;
    let token = world.token("/v1/ledger", "admin");
    let response = world
        .client
        .get(world.url("/v1/ledger"))
        .header("authorization", format!("Bearer {token}"))
        .header("authorization", "Bearer other")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.0, 400);
}
