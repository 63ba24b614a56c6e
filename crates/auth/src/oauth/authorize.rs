//! `/oauth/authorize`: a browser comes with a client's request (RFC 6749 section 3.1), and `/oauth/par`: the client brings it
//! itself (RFC 9126).

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_chassis::{Json, Problem, RawBody};
use lombard_types::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{
    AuthorizationRequest,
    authorization_request::RequestError,
    client_authentication::{authenticate, find},
    error::{Code, OAuthError},
    form::Form,
    interaction::{self, Browser},
    proof::proved_key,
    request_object::unfold,
    sender::Sender,
};
use crate::{pending::Full, service::Api};

/// Begins every `request_uri` (RFC 9126 section 2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// `POST /oauth/par`.
pub(super) async fn push(
    State(api): State<Api>,
    sender: Sender,
    body: Result<RawBody, Problem>,
) -> Response {
    let pushed = body
        .map_err(|problem| OAuthError::invalid_request(problem.kind().title))
        .and_then(|RawBody(body)| pushed(&api, &sender, &body));
    match pushed {
        Ok(id) => {
            let body = json!({
                "request_uri": format!("{REQUEST_URI}{id}"),
                "expires_in": api.config.pushed_request_seconds,
            });
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (StatusCode::CREATED, no_store, Json(body)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn pushed(api: &Api, sender: &Sender, body: &[u8]) -> Result<Box<str>, OAuthError> {
    let form = Form::posted(&sender.headers, body)?;
    let now = api.now();
    let client = authenticate(api, sender, &form, now)?;
    if form.get("request_uri").is_some() {
        return Err(OAuthError::invalid_request("a request_uri cannot be pushed"));
    }
    let form = unfold(api, &client, form, now)?;
    let request = AuthorizationRequest::read(client, &form, &api.issuer);
    let mut request = request.map_err(|refused| refused.error)?;
    // RFC 9449 section 10.1: a proof says the same as `dpop_jkt`, and both must say the same key.
    if let Some(proved) = proved_key(api, &sender.headers, "/oauth/par", now)? {
        if request.key_thumbprint.as_ref().is_some_and(|named| *named != proved) {
            return Err(OAuthError::invalid_request("dpop_jkt is not the key of the proof"));
        }
        request.key_thumbprint = Some(proved);
    }
    let id = new_id();
    let pushed = api.pending.push(id.clone(), request, api.config.pushed_request_life(), now);
    pushed.map_err(|Full| too_many())?;
    Ok(id)
}

fn new_id() -> Box<str> {
    Uuid::new_v4().simple().to_string().into()
}

fn too_many() -> OAuthError {
    OAuthError::new(Code::TemporarilyUnavailable, "too many requests are under way")
}

/// `GET /oauth/authorize`.
pub(super) async fn get(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    begin(&api, &headers, uri.query().unwrap_or_default().as_bytes()).await
}

/// `POST /oauth/authorize` (OpenID Connect Core section 3.1.2.1).
pub(super) async fn post(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    match body {
        Ok(RawBody(body)) => begin(&api, &headers, &body).await,
        Err(problem) => {
            let error = OAuthError::invalid_request(problem.kind().title);
            interaction::refusal(&error)
        }
    }
}

async fn begin(api: &Api, headers: &HeaderMap, parameters: &[u8]) -> Response {
    let (now, browser) = (api.now(), Browser::of(api, headers));
    let begun = Form::parse(parameters)
        .map_err(|error| RequestError { error, tell: None })
        .and_then(|form| accept(api, form, &browser, now));
    let response = match begun {
        Ok(id) => interaction::advance(api, &id, &browser, now).await,
        Err(RequestError { error, tell: Some(return_to) }) => {
            interaction::redirect_with_error(api, &return_to, &error)
        }
        Err(RequestError { error, tell: None }) => interaction::refusal(&error),
    };
    browser.remember(api, response)
}

/// The request, from now on this browser's.
fn accept(
    api: &Api,
    form: Form<'_>,
    browser: &Browser,
    now: Timestamp,
) -> Result<Box<str>, RequestError> {
    let untold = |error| RequestError { error, tell: None };
    let client_id = form
        .get("client_id")
        .ok_or_else(|| untold(OAuthError::invalid_request("client_id is missing")))?;
    let life = api.config.authorization_request_life();
    if let Some(uri) = form.get("request_uri") {
        let id: Box<str> = uri.strip_prefix(REQUEST_URI).unwrap_or_default().into();
        let opened = api.pending.open(&id, client_id, browser.sha256(), life, now);
        let gone = "the request_uri is not known, was used, or has expired";
        return match opened {
            Some(_) => Ok(id),
            None => Err(untold(OAuthError::new(Code::InvalidRequestUri, gone))),
        };
    }
    let client = find(api, client_id)
        .ok_or_else(|| untold(OAuthError::invalid_request("the client is not known")))?;
    if client.profile.requires_pushed_requests() {
        let cause = "the client must push its requests";
        return Err(untold(OAuthError::invalid_request(cause)));
    }
    let client_id = client.id.clone();
    let form = unfold(api, &client, form, now).map_err(untold)?;
    let request = AuthorizationRequest::read(client, &form, &api.issuer)?;
    let id = new_id();
    let pushed = api.pending.push(id.clone(), request, life, now);
    pushed.map_err(|Full| untold(too_many()))?;
    api.pending.open(&id, client_id.as_str(), browser.sha256(), life, now);
    Ok(id)
}
