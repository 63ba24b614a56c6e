//! Routes of the configuration: where requests go, what they must show, and how routes change under load.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::StreamExt as _;
use lombard_gateway::ApplyError;
use lombard_token::{Claims, UserGrant};
use lombard_types::Timestamp;
use serde_json::Value;

use crate::support::{Upstream, World, claims, config, problem, until};

async fn json(response: reqwest::Response) -> Value {
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The platform's own machine is a proxy that is trusted. A gateway with these routes, and upstreams `a` and `b`, whose addresses stand for `A` and `B`.
async fn world(text: &str) -> (World, [Upstream; 2]) {
    let upstreams = [Upstream::start("a").await, Upstream::start("b").await];
    let world = World::with(config(&filled(text, &upstreams))).await;
    (world, upstreams)
}

fn filled(text: &str, upstreams: &[Upstream; 2]) -> String {
    let [a, b] = upstreams.each_ref().map(|upstream| upstream.address.to_string());
    let upstreams = "
        trusted_proxies = [\"127.0.0.1\"]
        [[upstream]]
        name = \"a\"
        addresses = [\"A\"]
        [[upstream]]
        name = \"b\"
        addresses = [\"B\"]
    ";
    format!("{upstreams}{text}")
        .replace("\"A\"", &format!("\"{a}\""))
        .replace("\"B\"", &format!("\"{b}\""))
}

#[tokio::test]
async fn a_route_says_where_to_and_what_for() {
    let (world, _upstreams) = world(
        r#"
        [[route]]
        name = "payments"
        prefix = "/customers/{id}/payments"
        methods = ["POST"]
        upstream = "a"
        rewrite = "/v2/{id}"
        scopes = ["payments:write:customers/{id}/*"]
        body_bytes_max = 10
        [[route]]
        name = "rest"
        prefix = "/customers"
        upstream = "b"
        auth = "none"
        "#,
    )
    .await;
    let token = world.token("/customers", "payments:write:customers/42/*");
    let got = json(world.post("/customers/42/payments/new?x=1", &token, "0123456789").await).await;
    assert_eq!((&got["upstream"], &got["target"]), (&"a".into(), &"/v2/42/new?x=1".into()));
    assert_eq!(got["headers"]["x-lombard-client"], "tester");
    assert_eq!(got["headers"]["x-lombard-scope"], "payments:write:customers/42/*");
    let (status, slug, _) = problem(world.post("/customers/43/payments", &token, "").await).await;
    assert_eq!((status, slug.as_str()), (403, "insufficient-scope"));
    let (status, ..) = problem(world.post("/customers/42/payments", "", "").await).await;
    assert_eq!(status, 401);
    let long = world.post("/customers/42/payments", &token, "01234567890").await;
    assert_eq!(problem(long).await.0, 413);
    let got =
        json(world.client.get(world.url("/customers/42/payments")).send().await.unwrap()).await;
    assert_eq!((&got["upstream"], &got["target"]), (&"b".into(), &"/customers/42/payments".into()));
    assert!(got["headers"].get("x-lombard-client").is_none());
}

#[tokio::test]
async fn details_algorithms_and_tokens_for_upstreams() {
    let (world, _upstreams) = world(
        r#"
        [[route]]
        name = "accounts"
        prefix = "/accounts/{id}"
        upstream = "a"
        authorization_details = [{ type = "payment" }]
        identity = "token"
        algorithms = ["ES256"]
        [[route]]
        name = "eddsa"
        prefix = "/eddsa"
        upstream = "a"
        algorithms = ["EdDSA"]
        "#,
    )
    .await;
    let token = world.token("/accounts", "a:b");
    let (status, slug, detail) = problem(world.get("/accounts/1", &token).await).await;
    assert_eq!((status, slug.as_str()), (403, "insufficient-scope"));
    assert!(detail.contains("payment"), "{detail}");
    let details = r#"[{"type":"payment","id":"00000000000040008000000000000001","amount":"1.00","asset":"EUR","debtor_account":"a","creditor_account":"b","uses":1}]"#;
    let mut with_details = claims("http://gateway.test/accounts", "a:b");
    with_details.authorization_details =
        lombard_token::AuthorizationDetails::parse_granted(details).unwrap();
    let got = json(world.get("/accounts/1", &world.sign(with_details)).await).await;
    let identity = got["headers"]["x-lombard-identity"].as_str().unwrap();
    let said = URL_SAFE_NO_PAD.decode(identity.split('.').nth(1).unwrap()).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["aud"], "a");
    let refused = world.get("/eddsa", &world.token("/eddsa", "a:b")).await;
    assert_eq!(problem(refused).await.0, 401);
}

/// RFC 9470: what a login must be, and what is said where it is not.
#[tokio::test]
async fn logins_that_are_strong_and_fresh_enough() {
    let (world, _upstreams) = world(
        r#"
        [[route]]
        name = "vault"
        prefix = "/vault"
        upstream = "a"
        acr_values = ["urn:mfa", "urn:passkey"]
        max_age_seconds = 300
        "#,
    )
    .await;
    let now = Timestamp::from_system_time(std::time::SystemTime::now());
    let ago = |seconds| Timestamp::from_unix_seconds(now.unix_seconds() - seconds);
    let login = |acr: &str, authenticated_at| {
        let id = "g".into();
        let grant = UserGrant {
            id,
            session_id: None,
            authenticated_at,
            acr: acr.into(),
            methods: Box::default(),
        };
        Some(Box::new(grant))
    };
    for (grant, expected) in [
        (None, 401),
        (login("urn:password", ago(1)), 401),
        (login("urn:mfa", ago(1000)), 401),
        (login("urn:mfa urn:passkey", ago(1)), 401),
        (login("urn:mfa", ago(10)), 200),
        (login("urn:passkey", ago(10)), 200),
    ] {
        let claims = Claims { grant, ..claims("http://gateway.test/vault", "a:b") };
        let answer = world.get("/vault/x", &world.sign(claims)).await;
        assert_eq!(answer.status(), expected);
        if expected == 401 {
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            assert_eq!(
                challenge,
                "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:mfa urn:passkey\", max_age=\"300\""
            );
            assert_eq!(problem(answer).await.1, "insufficient-user-authentication");
        }
    }
}

#[tokio::test]
async fn requests_are_shared_by_weight_and_copied() {
    let (world, [a, b]) = world(
        r#"
        [[route]]
        name = "split"
        prefix = "/split"
        split = [{ upstream = "a", weight = 50 }, { upstream = "b", weight = 50 }]
        auth = "none"
        [[route]]
        name = "mirror"
        prefix = "/mirror"
        upstream = "a"
        mirror = { upstream = "b", percent = 100 }
        auth = "none"
        "#,
    )
    .await;
    for _ in 0..100 {
        assert_eq!(world.get("/split", "").await.status(), 200);
    }
    let (of_a, of_b) = (a.requests(), b.requests());
    assert!(of_a + of_b == 100 && of_a > 20 && of_b > 20, "{of_a} {of_b}");
    for _ in 0..10 {
        let got = json(world.post("/mirror", "", "a body").await).await;
        assert_eq!((&got["upstream"], &got["body_bytes"]), (&"a".into(), &6.into()));
    }
    until(async || b.requests() == of_b + 10).await;
    assert_eq!(a.requests(), of_a + 10);
}

#[tokio::test]
async fn limits_let_through_what_they_say() {
    let (world, [a, _]) = world(
        r#"
        [[route]]
        name = "limited"
        prefix = "/limited"
        upstream = "a"
        limits = [{ by = "client", requests = 3, burst = 3, per = "day" }]
        [[route]]
        name = "quota"
        prefix = "/quota"
        upstream = "a"
        auth = "none"
        limits = [{ by = "address", quota = 2, per = "day" }]
        "#,
    )
    .await;
    let token = world.token("/limited", "a:b");
    for left in [2, 1, 0] {
        let response = world.get("/limited", &token).await;
        assert_eq!(response.status(), 200);
        let limit = response.headers()["ratelimit"].to_str().unwrap();
        assert!(limit.starts_with(&format!("\"limited-client-1\";r={left};t=")), "{limit}");
        assert_eq!(response.headers()["ratelimit-policy"], "\"limited-client-1\";q=3;w=86400");
    }
    let response = world.get("/limited", &token).await;
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 1000);
    let (status, slug, _) = problem(response).await;
    assert_eq!((status, slug.as_str()), (429, "rate-limited"));
    let other = claims("http://gateway.test/limited", "a:b");
    let other = world.sign(lombard_token::Claims { client_id: "other".into(), ..other });
    assert_eq!(world.get("/limited", &other).await.status(), 200);
    assert_eq!(a.requests(), 4);
    for status in [200, 200, 429] {
        assert_eq!(world.get("/quota", "").await.status(), status);
    }
}

#[tokio::test]
async fn who_may_call_from_where() {
    let (world, _upstreams) = world(
        r#"
        [[route]]
        name = "inside"
        prefix = "/inside"
        upstream = "a"
        auth = "none"
        allow = ["10.0.0.0/8"]
        [[route]]
        name = "pages"
        prefix = "/pages"
        upstream = "a"
        auth = "none"
        cors = { origins = ["https://app.example.com"], headers = ["authorization"], credentials = true }
        "#,
    )
    .await;
    let ask = |path: &str| world.client.get(world.url(path));
    let (status, slug, _) = problem(ask("/inside").send().await.unwrap()).await;
    assert_eq!((status, slug.as_str()), (403, "address-not-allowed"));
    let response =
        ask("/inside").header("x-forwarded-for", "9.9.9.9, 10.1.2.3").send().await.unwrap();
    assert_eq!(json(response).await["headers"]["x-forwarded-for"], "10.1.2.3");
    let spoofed =
        ask("/inside").header("x-forwarded-for", "10.1.2.3, 9.9.9.9").send().await.unwrap();
    assert_eq!(spoofed.status(), 403);

    let preflight = |origin: &str| {
        world
            .client
            .request(reqwest::Method::OPTIONS, world.url("/pages"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
    };
    let allowed = preflight("https://app.example.com").await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(allowed.headers()["access-control-allow-headers"], "authorization");
    let other = preflight("https://evil.example.com").await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    let response = ask("/pages").header("origin", "https://app.example.com").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-credentials"], "true");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn deadlines_are_passed_on_and_held() {
    let (world, [a, _]) = world(
        r#"
        [[route]]
        name = "a"
        prefix = "/a"
        upstream = "a"
        auth = "none"
        "#,
    )
    .await;
    let ask = |wait: &'static str| {
        world.client.get(world.url("/a")).header("request-timeout", wait).send()
    };
    let left = json(ask("20").await.unwrap()).await["headers"]["request-timeout"].clone();
    let left: f64 = left.as_str().unwrap().parse().unwrap();
    assert!((10.0..20.0).contains(&left), "{left}");
    let (status, slug, detail) = problem(ask("0").await.unwrap()).await;
    assert_eq!((status, slug.as_str()), (504, "deadline-exceeded"));
    assert!(detail.contains("nothing happened"), "{detail}");
    assert_eq!(problem(ask("soon").await.unwrap()).await.1, "invalid-header");
    assert_eq!(a.requests(), 1);
}

#[tokio::test]
async fn a_new_configuration_disturbs_nobody_and_a_bad_one_changes_nothing() {
    let route = |upstream: &str| {
        format!(
            "
            [[route]]
            name = \"route\"
            prefix = \"/route\"
            upstream = \"{upstream}\"
            auth = \"none\"
            "
        )
    };
    let (world, upstreams) = world(&route("a")).await;
    // A request that goes on over the change.
    let (more, mut parts) = tokio::sync::mpsc::channel::<Result<&'static str, std::io::Error>>(4);
    let parts = futures_util::stream::poll_fn(move |cx| parts.poll_recv(cx));
    let sending = world
        .client
        .post(world.url("/route/stream-back"))
        .body(reqwest::Body::wrap_stream(parts))
        .send();
    let mut response = sending.await.unwrap();
    more.send(Ok("before")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "before");

    *world.file.lock().unwrap() = Ok(config(&filled(&route("b"), &upstreams)));
    world.control.reload().unwrap();
    assert_eq!(json(world.get("/route", "").await).await["upstream"], "b");
    more.send(Ok("after")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "after");
    drop(more);
    assert!(response.chunk().await.unwrap().is_none());

    let error = world.control.apply(config(&route("Nobody"))).unwrap_err();
    assert!(matches!(&error, ApplyError { mistakes } if mistakes.len() == 1), "{error}");
    assert_eq!(json(world.get("/route", "").await).await["upstream"], "b");

    let admin = world.token("/v1/gateway", "admin");
    *world.file.lock().unwrap() = Err(vec!["one".to_owned(), "two".to_owned()]);
    let response = world.post("/v1/gateway/reload", &admin, "").await;
    assert_eq!(response.status(), 422);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["mistakes"], serde_json::json!(["one", "two"]));
    assert_eq!(json(world.get("/route", "").await).await["upstream"], "b");
}

#[tokio::test]
async fn changes_under_load_fail_no_request() {
    let route = "[[route]]\nname = \"r\"\nprefix = \"/r\"\nauth = \"none\"\n";
    let (world, upstreams) = world(&format!("{route}upstream = \"a\"\n")).await;
    let loads = futures_util::stream::iter(0..400)
        .map(|number| {
            if number % 4 == 0 {
                let upstream = if number % 8 == 0 { "a" } else { "b" };
                let text = filled(&format!("{route}upstream = \"{upstream}\"\n"), &upstreams);
                world.control.apply(config(&text)).unwrap();
            }
            world.get("/r", "")
        })
        .buffer_unordered(16);
    let statuses: Vec<u16> = loads.map(|response| response.status().as_u16()).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(upstreams[0].requests() + upstreams[1].requests(), 400);
}

#[tokio::test]
async fn operators_see_routes_and_upstreams() {
    let (world, _upstreams) =
        world("[[route]]\nname = \"r\"\nprefix = \"/r\"\nauth = \"none\"\nupstream = \"a\"\n")
            .await;
    assert_eq!(world.get("/r", "").await.status(), 200);
    let admin = world.token("/v1/gateway", "admin");
    let routes = json(world.get("/v1/gateway/routes", &admin).await).await;
    assert_eq!(
        (&routes["routes"][0]["name"], &routes["routes"][0]["requests"]),
        (&"r".into(), &1.into())
    );
    let upstreams = json(world.get("/v1/gateway/upstreams", &admin).await).await;
    let names: Vec<&str> = upstreams["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upstream| upstream["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "auth", "b", "console", "eventstore", "ledger", "registry"]);
    let other = world.token("/v1/gateway", "gateway:read");
    assert_eq!(world.get("/v1/gateway/routes", &other).await.status(), 200);
    assert_eq!(world.post("/v1/gateway/reload", &other, "").await.status(), 403);
    assert_eq!(world.get("/v1/gateway/routes", "").await.status(), 401);
    assert_eq!(world.get("/v1/gateway/jwks", "").await.status(), 200);
}

#[tokio::test]
async fn an_instance_that_answers_500_is_left_alone_and_a_get_goes_elsewhere() {
    let [a, b] = [Upstream::start("a").await, Upstream::start("b").await];
    let text = format!(
        "
        [[upstream]]
        name = \"both\"
        addresses = [\"{}\", \"{}\"]
        ejection_ms = 600000
        ejection_ms_max = 600000
        [[route]]
        name = \"r\"
        prefix = \"/r\"
        upstream = \"both\"
        auth = \"none\"
        retry = {{ statuses = [503] }}
        ",
        a.address, b.address
    );
    let world = World::with(config(&text)).await;
    a.always_answer(503);
    for number in 0..50 {
        assert_eq!(world.get("/r", "").await.status(), 200, "{number}");
    }
    assert!(a.requests() <= 3, "{}", a.requests());
}
