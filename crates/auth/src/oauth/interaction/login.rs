//! `/oauth/login`: name and password.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use lombard_auth_core::{Acr, User};
use lombard_chassis::{Problem, RawBody};
use lombard_types::Timestamp;
use maud::html;
use zeroize::Zeroizing;

use super::{Browser, Posted, page, passkey, posted, request_id, see, session};
use crate::{
    audit::Facts, oauth::AuthorizationRequest, password::PasswordError, service::Api,
    throttle::Bucket,
};

/// What a form's token is about.
const LOGIN: &str = "login";

/// Why the form is shown again.
#[derive(Clone, Copy)]
pub(super) enum Again {
    Refused,
    TooMany(Duration),
    /// A passkey was refused.
    Passkey,
}

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let (browser, id) = (Browser::of(&api, &headers), request_id(&uri));
    match api.pending.of_browser(&id, browser.sha256(), api.now()) {
        Some(pending) => show_form(&api, &browser, &id, &pending.request, None),
        None => page::gone(),
    }
}

pub(super) fn show_form(
    api: &Api,
    browser: &Browser,
    id: &str,
    request: &AuthorizationRequest,
    again: Option<Again>,
) -> Response {
    let token = browser.csrf_token(api, &[LOGIN, id]);
    let passkey = passkey::form(api, browser, id);
    let page = if passkey.is_some() { page::scripted_page } else { page::page };
    let content = html! {
        h1 { "Log in to go on to " (request.client.name.as_str()) }
        @if request.acr == Some(Acr::Passkey) {
            p id="passkey-wanted" { "If you have a passkey here, use it: a password is not enough then." }
        }
        @match again {
            None => {}
            Some(Again::Refused) => { p id="error" role="alert" { "This name and this password do not fit." } }
            Some(Again::Passkey) => { p id="error" role="alert" { "This passkey is none that is known here, or was not used for this page." } }
            Some(Again::TooMany(wait)) => {
                p id="error" role="alert" {
                    "There were too many tries. Wait for " (wait.as_secs().div_ceil(60)) " minutes, or use a browser in which you have logged in before."
                }
            }
        }
        form id="login" method="post" action="login" {
            input type="hidden" name="request" value=(id);
            input type="hidden" name="csrf" value=(token);
            label { "Name"
                input id="username" name="username" type="text" autocomplete="username" autocapitalize="none"
                    required maxlength="100" value=[request.login_hint.as_deref()];
            }
            label { "Password"
                input id="password" name="password" type="password" autocomplete="current-password" required;
            }
            button id="log-in" type="submit" { "Log in" }
        }
        @if let Some(passkey) = passkey { (passkey) }
    };
    let status = match again {
        None => StatusCode::OK,
        Some(Again::Refused | Again::Passkey) => StatusCode::UNAUTHORIZED,
        Some(Again::TooMany(_)) => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut response = page(status, "Log in", request.leads_to(), &content);
    match again {
        Some(Again::TooMany(wait)) => {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        // What a 401 must say (RFC 9110 section 15.5.2); browsers pass over schemes that they do not know.
        Some(Again::Refused | Again::Passkey) => {
            let scheme = HeaderValue::from_static("Form");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        None => {}
    }
    response
}

pub(super) async fn log_in(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Some(posted) = Posted::read(&api, &headers, &body, LOGIN, &[]) else {
        return page::gone();
    };
    let Posted { form, browser, id, pending, now } = posted;
    let id = id.as_str();
    let name = form.get("username").unwrap_or_default().trim().to_lowercase();
    let password = Zeroizing::new(form.get("password").unwrap_or_default().to_owned());
    let client = pending.request.client.id.to_string();
    // Who is meant, where there is such a person: what else was typed in may be anything, even a password.
    let meant = api.view.read(|view| view.state.users.named(&name).map(|user| user.id.subject()));
    let facts = Facts { client, subject: meant.unwrap_or_default(), ..Facts::default() };
    let refused = |cause| Facts { refused: Some(cause), ..facts.clone() };
    match check(&api, &headers, &browser, &name, password, now).await {
        Ok(Some(user)) if has_second_factor(&api, &user) => {
            // The session begins when that is shown too.
            let passed = Arc::new(user);
            api.pending.change(id, browser.sha256(), now, |pending| pending.passed = Some(passed));
            let detail = "the password; a second factor is asked for".to_owned();
            Facts { detail, ..facts }.with(see("second-factor", id))
        }
        Ok(Some(user)) => match session::begin(&api, &browser, &user, Acr::Password, now).await {
            Some(begun) => {
                tracing::info!(user = %user.id, client_id = %pending.request.client.id, "a person logged in");
                facts.with(begun.tell(&api, &browser, see("resume", id)))
            }
            None => page::unavailable(),
        },
        Ok(None) => {
            let form = show_form(&api, &browser, id, &pending.request, Some(Again::Refused));
            refused("access_denied").with(form)
        }
        Err(Refusal::TooMany(wait)) => {
            let again = Some(Again::TooMany(wait));
            let form = show_form(&api, &browser, id, &pending.request, again);
            refused("too_many_failures").with(form)
        }
        Err(Refusal::Busy) => page::unavailable(),
    }
}

fn has_second_factor(api: &Api, user: &User) -> bool {
    api.view.read(|view| view.state.second_factors.get(user.id).is_some())
}

enum Refusal {
    TooMany(Duration),
    Busy,
}

/// The person with this name and password. Whether the name or the password is wrong, or the person disabled, is told
/// nowhere, not even by how long it takes.
async fn check(
    api: &Api,
    headers: &HeaderMap,
    browser: &Browser,
    name: &str,
    password: Zeroizing<String>,
    now: Timestamp,
) -> Result<Option<User>, Refusal> {
    let user = api.view.read(|view| view.state.users.named(name).map(|user| User::clone(user)));
    let known = user.as_ref().and_then(|user| browser.known_of(api, user.id));
    let account = known.map_or_else(|| Bucket::Account(name.to_owned()), Bucket::KnownBrowser);
    let buckets = [account, Bucket::Address(address(headers))];
    if let Err(wait) = api.throttle.try_login(&buckets, now) {
        tracing::warn!(user = ?user.as_ref().map(|user| user.id), "refused a login: too many have failed");
        return Err(Refusal::TooMany(wait));
    }
    let kept =
        user.as_ref().filter(|user| !user.is_disabled).and_then(|user| user.password.clone());
    match api.passwords.check(password, kept).await {
        Ok(true) => {
            api.throttle.succeeded(&buckets);
            Ok(user)
        }
        Ok(false) => {
            tracing::info!(user = ?user.as_ref().map(|user| user.id), "refused a login");
            Ok(None)
        }
        Err(PasswordError::Busy) => Err(Refusal::Busy),
        Err(error) => {
            tracing::error!(%error, "failed to check a password");
            Err(Refusal::Busy)
        }
    }
}

/// Where the request comes from, as the gateway says.
pub(super) fn address(headers: &HeaderMap) -> String {
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    // The gateway sets it to one address; what else comes here is no address, and counted as it stands.
    forwarded.unwrap_or_default().chars().take(64).collect()
}
