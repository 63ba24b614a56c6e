//! `/oauth/logout`: the person leaves (OpenID Connect RP-Initiated Logout 1.0).

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Command, RedirectUri, Session, SessionId, sessions};
use lombard_chassis::{Problem, RawBody};
use maud::html;
use zeroize::Zeroizing;

use super::{Browser, no_store, page, posted};
use crate::{
    audit::Facts,
    oauth::{
        client_authentication::find,
        error::OAuthError,
        form::{self, Form},
        id_token,
    },
    service::Api,
    submit::submit,
};

/// What a form's token is about.
const LOGOUT: &str = "logout";

/// What a client asks for.
struct Asked {
    /// The session that the hint is about.
    session: Option<SessionId>,
    /// Where to go afterwards: one of the client's own.
    then: Option<Zeroizing<String>>,
}

impl Asked {
    fn read(api: &Api, form: &Form<'_>) -> Result<Self, OAuthError> {
        let hint = form.get("id_token_hint");
        let hint = hint.map(|hint| {
            let read = id_token::read_hint(api, hint);
            read.ok_or_else(|| {
                OAuthError::invalid_request("id_token_hint is no ID token of this server")
            })
        });
        let hint = hint.transpose()?;
        let client_id = form.get("client_id");
        if let (Some(hint), Some(client_id)) = (&hint, client_id)
            && hint.client_id != client_id
        {
            return Err(OAuthError::invalid_request("id_token_hint is another client's"));
        }
        let client_id = hint.as_ref().map(|hint| hint.client_id.as_str()).or(client_id);
        let client = client_id.and_then(|client_id| find(api, client_id));
        let then = form.get("post_logout_redirect_uri").map(|uri| {
            let is_own = |own: &RedirectUri| own.accepts(uri);
            let client =
                client.filter(|client| client.post_logout_redirect_uris.iter().any(is_own));
            let unknown = "the post_logout_redirect_uri is none of the client's";
            client
                .map(|_| with_state(uri, form.get("state")))
                .ok_or_else(|| OAuthError::invalid_request(unknown))
        });
        Ok(Self { session: hint.and_then(|hint| hint.session), then: then.transpose()? })
    }
}

fn with_state(uri: &str, state: Option<&str>) -> Zeroizing<String> {
    let mut uri = Zeroizing::new(uri.to_owned());
    if let Some(state) = state {
        let separator = if uri.contains('?') { "&state=" } else { "?state=" };
        uri.push_str(separator);
        form::encode(state, &mut uri);
    }
    uri
}

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    begin(&api, &headers, query.as_bytes()).await
}

async fn begin(api: &Api, headers: &HeaderMap, parameters: &[u8]) -> Response {
    let asked = Form::parse(parameters).and_then(|form| Asked::read(api, &form));
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return page::refusal(&error),
    };
    let (browser, now) = (Browser::of(api, headers), api.now());
    let Some((session, user)) = browser.session(api, now) else { return done(asked.then) };
    // Only who has got an ID token of this very session knows that the person wants to leave it; all others are asked.
    if asked.session == Some(session.id) {
        return end(api, &session, asked.then).await;
    }
    let then = asked.then.as_ref().map(|then| then.as_str()).unwrap_or_default();
    let token = browser.csrf_token(api, &[LOGOUT, then]);
    let content = html! {
        h1 { "Log out?" }
        p { "You are logged in as " strong id="user" { (user.name.as_str()) } "." }
        form id="logout" method="post" action="logout" {
            input type="hidden" name="then" value=(then);
            input type="hidden" name="csrf" value=(token);
            button id="log-out" type="submit" { "Log out" }
        }
    };
    let leads_to = asked.then.as_ref().map(|then| then.as_str());
    browser.remember(api, page::page(StatusCode::OK, "Log out", leads_to, &content))
}

/// From our own form; or from a client that asks with a form (section 2 lets it).
pub(super) async fn log_out(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let bytes = match &body {
        Ok(RawBody(bytes)) => bytes.clone(),
        Err(_) => return page::gone(),
    };
    let Ok(form) = Form::parse(&bytes) else { return page::gone() };
    if form.get("csrf").is_none() {
        return begin(&api, &headers, &bytes).await;
    }
    if posted(&api, &headers, body).is_none() {
        return page::gone();
    }
    let (browser, then) = (Browser::of(&api, &headers), form.get("then").unwrap_or_default());
    if !browser.fits_csrf_token(&api, &[LOGOUT, then], form.get("csrf")) {
        return page::gone();
    }
    let then = Some(Zeroizing::new(then.to_owned())).filter(|then| !then.is_empty());
    match browser.session(&api, api.now()) {
        Some((session, _)) => end(&api, &session, then).await,
        None => done(then),
    }
}

async fn end(api: &Api, session: &Session, then: Option<Zeroizing<String>>) -> Response {
    let command = Command::Session(sessions::Command::End { id: session.id }, api.config.lives());
    if submit(api, command).await.is_err() {
        return page::unavailable();
    }
    tracing::info!(session = %session.id, "a person logged out");
    let facts = Facts {
        subject: session.user.subject(),
        detail: format!("sid={}", session.id),
        ..Facts::default()
    };
    facts.with(Browser::clear_session(api, done(then)))
}

fn done(then: Option<Zeroizing<String>>) -> Response {
    match then.map(|then| HeaderValue::from_str(&then)) {
        Some(Ok(location)) => (StatusCode::SEE_OTHER, no_store(location)).into_response(),
        Some(Err(_)) => page::gone(),
        None => {
            let content = html! { h1 id="logged-out" { "You are logged out" } };
            page::page(StatusCode::OK, "Logged out", None, &content)
        }
    }
}
