//! What a request must show, as a table.

use lombard_token::SigningKey;

use crate::support::{ISSUER, Upstream, World, config, problem, sign};

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
async fn an_api_key_stands_for_a_token() {
    let upstream = Upstream::start("orders").await;
    // SHA-256 of "partner-key" and of "old-key".
    let text = format!(
        "
        [[upstream]]
        name = \"orders\"
        addresses = [\"{}\"]
        [[api_key]]
        name = \"partner\"
        sha256 = \"346e50af211b5135824bb2bb58fe0f9e6df228adcf10c58a37fbc46b57baee74\"
        client = \"old-partner\"
        scopes = [\"orders:read:7/*\"]
        [[api_key]]
        name = \"gone\"
        sha256 = \"762c08fc17a1cc5f00d248f8b50f2f2f4d17ff2934ac31e64deacb3f5bb3f2ec\"
        scopes = [\"orders:read\"]
        expires = \"2020-01-01T00:00:00Z\"
        [[route]]
        name = \"orders\"
        prefix = \"/orders/{{id}}\"
        upstream = \"orders\"
        scopes = [\"orders:read:{{id}}/*\"]
        identity = \"token\"
        api_keys = [\"partner\", \"gone\"]
        limits = [{{ by = \"client\", quota = 3, per = \"day\" }}]
        [[route]]
        name = \"others\"
        prefix = \"/others\"
        upstream = \"orders\"
        audience = \"/orders\"
        ",
        upstream.address
    );
    let world = World::with(config(&text)).await;
    let ask = async |path: &str, key: &str, token: &str| {
        let mut request = world.client.get(world.url(path)).header("x-api-key", key);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    };
    let response = ask("/orders/7", "partner-key", "").await;
    assert_eq!(response.status(), 200);
    let got: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let headers = &got["headers"];
    assert_eq!(headers["x-lombard-client"], "old-partner");
    assert!(headers["x-lombard-identity"].as_str().unwrap().starts_with("eyJ"));
    assert!(headers.get("x-api-key").is_none(), "a key ends at the gateway: {headers}");
    let token = world.token("/orders", "orders:read:7/*");
    for (path, key, token, status, slug) in [
        ("/orders/8", "partner-key", "", 403, "insufficient-scope"),
        ("/orders/7", "old-key", "", 401, "unauthenticated"),
        ("/orders/7", "guessed", "", 401, "unauthenticated"),
        ("/orders/7", "partner-key", token.as_str(), 401, "unauthenticated"),
        ("/others/7", "partner-key", "", 401, "unauthenticated"),
    ] {
        let (got, got_slug, detail) = problem(ask(path, key, token).await).await;
        assert_eq!((got, got_slug.as_str()), (status, slug), "{path} {key}");
        assert!(!detail.contains(key), "{detail}");
    }
    assert_eq!(upstream.requests(), 1);
    // Tokens are taken as before, and the key's client has its own limit.
    assert_eq!(world.get("/orders/7", &token).await.status(), 200);
    assert_eq!(ask("/orders/7", "partner-key", "").await.status(), 200);
    let statuses =
        [ask("/orders/7", "partner-key", "").await, ask("/orders/7", "partner-key", "").await];
    assert_eq!(statuses.map(|response| response.status().as_u16()), [200, 429]);
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
