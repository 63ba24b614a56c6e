//! Families of refresh tokens (RFC 9700 section 4.14).

use futures_util::future::join_all;
use http::StatusCode;

use crate::support::{Browser, Role, claims};

async fn first(role: &Role) -> String {
    let code = role.code(&Browser::default(), &[]).await;
    let answer = role.redeem(&code, &[]).await.json();
    answer["refresh_token"].as_str().unwrap().to_owned()
}

fn token(answer: &crate::support::Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_retry_gets_the_same_successor_also_after_a_restart() {
    let role = Role::start().await;
    let first = first(&role).await;
    let answers = join_all((0..50).map(|_| role.refresh(&first, &[]))).await;
    let successors: Vec<String> = answers.iter().map(token).collect();
    assert_ne!(successors[0], first);
    assert!(successors.iter().all(|successor| *successor == successors[0]), "no fork");
    let role = role.restart().await;
    assert_eq!(token(&role.refresh(&first, &[]).await), successors[0]);
    let third = token(&role.refresh(&successors[0], &[]).await);
    assert_ne!(third, successors[0]);
}

#[tokio::test]
async fn an_old_token_ends_the_family() {
    let role = Role::start().await;
    let first = first(&role).await;
    let second = role.refresh(&first, &[]).await;
    let third = role.refresh(&token(&second), &[]).await;
    let reused = role.refresh(&first, &[]).await;
    assert_eq!((reused.status.as_u16(), &reused.json()["error"]), (400, &"invalid_grant".into()));
    let newest = role.refresh(&token(&third), &[]).await;
    assert_eq!(newest.json()["error"], "invalid_grant", "the thief's too");
    for answer in [second, third] {
        assert!(!role.is_active(answer.json()["access_token"].as_str().unwrap()).await);
    }
}

#[tokio::test]
async fn a_refresh_token_is_for_its_client_and_gives_no_more_than_there_is() {
    let role = Role::start().await;
    let first = first(&role).await;
    for (changes, error) in [
        (vec![("client_id", "app"), ("client_secret", "")], "invalid_grant"),
        (vec![("scope", "ledger:write")], "invalid_scope"),
        (vec![("scope", "email")], "invalid_scope"),
        (vec![("resource", "http://127.0.0.1:8080/v1/registry")], "invalid_target"),
        (vec![("refresh_token", "lombard_rt_AAAA")], "invalid_grant"),
        (vec![("refresh_token", "")], "invalid_request"),
    ] {
        let answer = role.refresh(&first, &changes).await;
        assert_eq!(answer.json()["error"], error, "{changes:?} {}", answer.text);
    }
    let narrowed = role.refresh(&first, &[("scope", "ledger:read")]).await;
    assert_eq!(narrowed.json()["scope"], "ledger:read");
    assert!(narrowed.json().get("id_token").is_none());
    // Rights that the person has lost since are lost here too.
    let less = serde_json::json!({ "scope": "ledger:write:customers/1/*" });
    role.admin("PUT", "/v1/auth/users/ada", less).await;
    let answer = role.refresh(&token(&narrowed), &[]).await;
    let access = claims(answer.json()["access_token"].as_str().unwrap());
    assert_eq!(access["scope"], "openid profile offline_access ledger:write:customers/1/*");
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_what_came_of_it() {
    let role = Role::start().await;
    let code = role.code(&Browser::default(), &[]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let secret = role.shop_secret();
    let parameters =
        |client, secret| [("token", refresh), ("client_id", client), ("client_secret", secret)];
    let other = role.post("/oauth/revoke", &parameters("admin", crate::support::SECRET)).await;
    assert_eq!(other.status, StatusCode::OK, "an administrator may");
    let again = role.post("/oauth/revoke", &parameters("shop", &secret)).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(role.refresh(refresh, &[]).await.json()["error"], "invalid_grant");
    assert!(!role.is_active(tokens["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_client_without_offline_access_gets_none() {
    let role = Role::start().await;
    let code = role.code(&Browser::default(), &[("scope", "openid ledger:read")]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    assert!(tokens.get("refresh_token").is_none());
    assert!(tokens["id_token"].is_string());
}
