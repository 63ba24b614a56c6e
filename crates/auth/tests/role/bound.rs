//! Tokens that are bound to a key (RFC 9449).

use axum::body::Body;
use http::{Request, StatusCode, header};
use lombard_token::{DpopNonces, DpopRequest, SigningKey, dpop_proof, dpop_proof_with_nonce};

use crate::support::{Answer, Browser, ISSUER, REDIRECT_URI, Role, VERIFIER, claims, form};

pub(crate) fn proof(key: &SigningKey, method: &str, path: &str, token: Option<&str>) -> String {
    let url = format!("{ISSUER}{path}");
    let request = DpopRequest { method, url: &url, access_token: token };
    let now = lombard_types::Timestamp::from_system_time(std::time::SystemTime::now());
    dpop_proof(key, request, &uuid::Uuid::new_v4().to_string(), now).unwrap()
}

pub(crate) async fn post(
    role: &Role,
    path: &str,
    proofs: &[String],
    parameters: &[(&str, &str)],
) -> Answer {
    let mut request =
        Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    for proof in proofs {
        request = request.header("dpop", proof);
    }
    role.send(request.body(Body::from(form(parameters))).unwrap()).await
}

async fn userinfo(role: &Role, scheme: &str, token: &str, proof: Option<String>) -> Answer {
    let mut request =
        Request::get("/oauth/userinfo").header(header::AUTHORIZATION, format!("{scheme} {token}"));
    if let Some(proof) = proof {
        request = request.header("dpop", proof);
    }
    role.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_public_clients_tokens_are_bound_to_its_key() {
    let (role, browser) = (Role::start().await, Browser::default());
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let uri = "http://127.0.0.1:49152/cb";
    let thumbprint = key.public_jwk().thumbprint();
    let changes = [("client_id", "app"), ("redirect_uri", uri), ("dpop_jkt", &*thumbprint)];
    let code = role.code(&browser, &changes).await;
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("client_id", "app"),
        ("redirect_uri", uri),
        ("code_verifier", VERIFIER),
    ];
    let at_token = |key| proof(key, "POST", "/oauth/token", None);
    for (proofs, error) in [
        (vec![], "invalid_grant"),
        (vec![at_token(&other)], "invalid_grant"),
        (vec![at_token(&key), at_token(&key)], "invalid_dpop_proof"),
        (vec![proof(&key, "POST", "/oauth/par", None)], "invalid_dpop_proof"),
        (vec![proof(&key, "GET", "/oauth/token", None)], "invalid_dpop_proof"),
        (vec!["x".to_owned()], "invalid_dpop_proof"),
    ] {
        let answer = post(&role, "/oauth/token", &proofs, &redeem).await;
        assert_eq!(answer.json()["error"], error, "{}", answer.text);
    }
    let used = at_token(&key);
    let answer = post(&role, "/oauth/token", std::slice::from_ref(&used), &redeem).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "DPoP");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(claims(access)["cnf"]["jkt"], thumbprint);

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
    for (proofs, error) in [
        (vec![], "invalid_grant"),
        (vec![at_token(&other)], "invalid_grant"),
        (vec![used], "invalid_dpop_proof"),
    ] {
        let answer = post(&role, "/oauth/token", &proofs, &again).await;
        assert_eq!(answer.json()["error"], error, "{}", answer.text);
    }
    let answer = post(&role, "/oauth/token", &[at_token(&key)], &again).await;
    assert_eq!(answer.status, StatusCode::OK, "none of that has cost the token: {}", answer.text);

    let at_userinfo = |key, token| Some(proof(key, "GET", "/oauth/userinfo", token));
    let good = at_userinfo(&key, Some(access));
    assert_eq!(userinfo(&role, "DPoP", access, good.clone()).await.status, StatusCode::OK);
    for (scheme, proof) in [
        ("Bearer", None),
        ("DPoP", None),
        ("DPoP", good),
        ("DPoP", at_userinfo(&other, Some(access))),
        ("DPoP", at_userinfo(&key, None)),
        ("DPoP", at_userinfo(&key, Some("another"))),
        ("DPoP", Some(proof(&key, "POST", "/oauth/userinfo", Some(access)))),
    ] {
        let answer = userinfo(&role, scheme, access, proof).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text);
        let challenge = answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("DPoP "), "{challenge}");
    }
}

#[tokio::test]
async fn a_pushed_request_binds_the_code() {
    let (role, browser) = (Role::start().await, Browser::default());
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let thumbprint = other.public_jwk().thumbprint();
    let pushed = |changes: &[(&'static str, &str)]| {
        let changes: Vec<(&str, String)> = Role::request(&[])
            .into_iter()
            .chain(changes.iter().map(|(name, value)| (*name, (*value).to_owned())))
            .chain([("client_secret", role.shop_secret())])
            .collect();
        changes
    };
    let send = async |key: &SigningKey, parameters: Vec<(&str, String)>| {
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        post(&role, "/oauth/par", &[proof(key, "POST", "/oauth/par", None)], &parameters).await
    };
    let refused = send(&key, pushed(&[("dpop_jkt", &thumbprint)])).await;
    assert_eq!(refused.json()["error"], "invalid_request");
    let uri = send(&key, pushed(&[])).await.json()["request_uri"].as_str().unwrap().to_owned();
    let path = format!("/oauth/authorize?client_id=shop&request_uri={uri}");
    let answer = browser.get(&role, &path).await;
    let code = browser.go_on(&role, answer).await.sent("code").unwrap();
    let bearer = role.redeem(&code, &[]).await;
    assert_eq!(bearer.json()["error"], "invalid_grant", "the key must be proved");
    let secret = role.shop_secret();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
        ("client_id", "shop"),
        ("client_secret", &*secret),
    ];
    let proofs = [proof(&key, "POST", "/oauth/token", None)];
    let tokens = post(&role, "/oauth/token", &proofs, &redeem).await.json();
    assert_eq!(tokens["token_type"], "DPoP");
    // A confidential client proves itself: it may refresh with another key, or with none.
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(role.refresh(refresh, &[]).await.json()["token_type"], "Bearer");
}

/// RFC 9449 sections 8 and 9: at the token endpoint, for pushed requests, and at a resource.
#[tokio::test]
async fn a_proof_has_a_nonce_where_the_server_is_told_so() {
    let nonces = DpopNonces::new(&[1; 32], std::time::Duration::from_secs(300));
    let role = Role::start().await.restart_with_nonces(nonces).await;
    let key = SigningKey::generate().unwrap();
    let now = || lombard_types::Timestamp::from_system_time(std::time::SystemTime::now());
    let proof = |path: &str, method: &str, token: Option<&str>, nonce: Option<&str>| {
        let url = format!("{ISSUER}{path}");
        let request = DpopRequest { method, url: &url, access_token: token };
        let id = uuid::Uuid::new_v4().to_string();
        dpop_proof_with_nonce(&key, request, nonce, &id, now()).unwrap()
    };
    let parameters = [
        ("grant_type", "client_credentials"),
        ("client_id", "admin"),
        ("client_secret", crate::support::SECRET),
    ];
    let foreign = DpopNonces::new(&[2; 32], std::time::Duration::from_secs(300)).fresh(now());
    let mut given = String::new();
    for wrong in [None, Some("x"), Some(&*foreign)] {
        let proofs = [proof("/oauth/token", "POST", None, wrong)];
        let answer = post(&role, "/oauth/token", &proofs, &parameters).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["error"], "use_dpop_nonce");
        answer.headers["dpop-nonce"].to_str().unwrap().clone_into(&mut given);
        let answer = post(&role, "/oauth/par", &[proof("/oauth/par", "POST", None, wrong)], &{
            let request = Role::request(&[]);
            let secret = role.shop_secret();
            request
                .into_iter()
                .chain([("client_secret", secret)])
                .map(|(name, value)| (name, &*value.leak()))
                .collect::<Vec<_>>()
        })
        .await;
        assert_eq!(answer.json()["error"], "use_dpop_nonce");
    }
    let proofs = [proof("/oauth/token", "POST", None, Some(&given))];
    let issued = post(&role, "/oauth/token", &proofs, &parameters).await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
    assert!(issued.headers.contains_key("dpop-nonce"), "the next one comes with the token");
    let token = issued.json()["access_token"].as_str().unwrap().to_owned();
    let ask = async |nonce: Option<&str>| {
        let proof = proof("/v1/auth/keys", "GET", Some(&token), nonce);
        let request = Request::get("/v1/auth/keys")
            .header(header::AUTHORIZATION, format!("DPoP {token}"))
            .header("dpop", proof);
        role.send(request.body(Body::empty()).unwrap()).await
    };
    for wrong in [None, Some("x"), Some(&*foreign)] {
        let answer = ask(wrong).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let challenge = answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert_eq!(challenge, "DPoP error=\"use_dpop_nonce\"");
        assert!(answer.headers.contains_key("dpop-nonce"));
    }
    assert_eq!(ask(Some(&given)).await.status, StatusCode::OK);
    // What is not bound to a key needs neither.
    assert_eq!(role.post("/oauth/token", &parameters).await.status, StatusCode::OK);
}
