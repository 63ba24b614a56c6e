//! `/oauth/userinfo`: what a client may know of the person (OpenID Connect Core section 5.3).

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{PersonText, UserId};
use lombard_chassis::{
    ClientCertificate, Json, Problem,
    authenticate::{bearer_token, insufficient_scope, prove_request, refusal, unauthenticated},
};
use lombard_token::Claims;
use serde_json::{Value, json};

use crate::{opaque_token, service::Api};

/// What proofs of possession are for.
const PATH: &str = "/oauth/userinfo";

/// The token may be for any resource: what counts is that its scope has `openid`.
pub(super) async fn get(
    State(api): State<Api>,
    method: Method,
    headers: HeaderMap,
    certificate: Option<Extension<ClientCertificate>>,
) -> Result<Response, Problem> {
    let refused = || unauthenticated("the access token is not accepted", true);
    let claims = claims_of(&api, bearer_token(&headers)?).await?;
    prove_request(&api.verifier, &claims, &method, PATH, &headers, certificate.as_deref())?;
    if api.view.read(|view| view.state.revocations.contains(&claims)) {
        return Err(refused());
    }
    if !claims.scope.contains("openid") {
        return Err(insufficient_scope("openid"));
    }
    let id = UserId::from_subject(&claims.subject).ok_or_else(refused)?;
    let user = api.view.read(|view| view.state.users.get(id).cloned()).ok_or_else(refused)?;
    let mut answer = json!({ "sub": &*claims.subject });
    if let Value::Object(members) = &mut answer {
        if claims.scope.contains("profile") {
            members.insert("preferred_username".to_owned(), user.name.as_str().into());
            let name = user.display_name.as_ref().map(PersonText::as_str);
            members.extend(name.map(|name| ("name".to_owned(), name.into())));
        }
        if claims.scope.contains("email") {
            let email = user.email.as_ref().map(PersonText::as_str);
            members.extend(email.map(|email| ("email".to_owned(), email.into())));
        }
    }
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(answer)).into_response())
}

async fn claims_of(api: &Api, token: &str) -> Result<Arc<Claims>, Problem> {
    let refused = || unauthenticated("the access token is not accepted", true);
    if opaque_token::is_one(token) {
        return opaque_token::look_up(api, token, api.now()).ok_or_else(refused);
    }
    api.verifier.inspect_any_or_refresh(token).await.map_err(|error| refusal(&error))
}
