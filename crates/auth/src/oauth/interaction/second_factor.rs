//! `/oauth/second-factor`: after the password, a code of the authenticator app, or a recovery code.

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

use super::{Browser, Posted, login::address, page, posted, request_id, see, session};
use crate::{
    audit::Facts,
    oauth::AuthorizationRequest,
    pending::Pending,
    second_factor::{self, Refusal, Shown},
    secret,
    service::Api,
    throttle::Bucket,
};

/// What a form's token is about.
const SECOND_FACTOR: &str = "second factor";

/// Why the form is shown again.
#[derive(Clone, Copy)]
enum Again {
    Refused,
    TooMany(Duration),
}

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let (browser, id) = (Browser::of(&api, &headers), request_id(&uri));
    let Some(pending) = api.pending.of_browser(&id, browser.sha256(), api.now()) else {
        return page::gone();
    };
    match passed(&api, &pending) {
        Some(_) => show_form(&api, &browser, &id, &pending.request, None),
        None => see("login", &id),
    }
}

/// Who has shown the password for this request, if that is still the password of a person who may log in.
fn passed(api: &Api, pending: &Pending) -> Option<Arc<User>> {
    let passed = pending.passed.as_ref()?;
    let user = api.view.read(|view| view.state.users.get(passed.id).cloned())?;
    (!user.is_disabled && user.password == passed.password).then_some(user)
}

fn show_form(
    api: &Api,
    browser: &Browser,
    id: &str,
    request: &AuthorizationRequest,
    again: Option<Again>,
) -> Response {
    let token = browser.csrf_token(api, &[SECOND_FACTOR, id]);
    let content = html! {
        h1 { "One step more" }
        p { "Type in the code that your authenticator app shows. If you have lost it, type in one of your recovery codes." }
        @match again {
            None => {}
            Some(Again::Refused) => {
                p id="error" role="alert" { "This code is not good. Each is good once: wait for the next one." }
            }
            Some(Again::TooMany(wait)) => {
                p id="error" role="alert" { "There were too many tries. Wait for " (wait.as_secs().div_ceil(60)) " minutes." }
            }
        }
        form id="second-factor" method="post" action="second-factor" {
            input type="hidden" name="request" value=(id);
            input type="hidden" name="csrf" value=(token);
            label { "Code"
                input id="code" name="code" type="text" autocomplete="one-time-code" autocapitalize="characters"
                    spellcheck="false" required maxlength="40";
            }
            button id="log-in" type="submit" { "Log in" }
        }
    };
    let status = match again {
        None => StatusCode::OK,
        Some(Again::Refused) => StatusCode::UNAUTHORIZED,
        Some(Again::TooMany(_)) => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut response = page::page(status, "Log in", request.leads_to(), &content);
    let headers = response.headers_mut();
    match again {
        Some(Again::TooMany(wait)) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        Some(Again::Refused) => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Form"));
        }
        None => {}
    }
    response
}

pub(super) async fn check(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Some(posted) = Posted::read(&api, &headers, &body, SECOND_FACTOR, &[]) else {
        return page::gone();
    };
    let Posted { form, browser, id, pending, now } = posted;
    let id = id.as_str();
    let Some(user) = passed(&api, &pending) else { return see("login", id) };
    let request = &pending.request;
    let facts = |detail: String| Facts {
        client: request.client.id.to_string(),
        subject: user.id.subject(),
        detail,
        refused: None,
    };
    let refused = |cause, again| {
        api.metrics.second_factor("code", cause);
        let facts = Facts { refused: Some(cause), ..facts(String::new()) };
        facts.with(show_form(&api, &browser, id, request, Some(again)))
    };
    let buckets = buckets(&api, &headers, &browser, &user);
    if let Err(wait) = api.throttle.try_login(&buckets, now) {
        tracing::warn!(user = %user.id, "refused a second factor: too many have failed");
        return refused("too_many_failures", Again::TooMany(wait));
    }
    let code = form.get("code").unwrap_or_default();
    let shown = match second_factor::check(&api, user.id, code, now).await {
        Ok(shown) => shown,
        Err(Refusal::Wrong) => return refused("access_denied", Again::Refused),
        Err(Refusal::Used) => return refused("code_used", Again::Refused),
        Err(Refusal::Unavailable) => return page::unavailable(),
    };
    api.throttle.succeeded(&buckets);
    let (factor, detail) = match shown {
        Shown::Totp => ("totp", "with a code of the app".to_owned()),
        Shown::RecoveryCode { left } => {
            ("recovery_code", format!("with a recovery code, {left} are left"))
        }
    };
    api.metrics.second_factor(factor, "allowed");
    finish(&api, &browser, &user, id, facts(detail), now).await
}

async fn finish(
    api: &Api,
    browser: &Browser,
    user: &User,
    id: &str,
    facts: Facts,
    now: Timestamp,
) -> Response {
    match session::begin(api, browser, user, Acr::MultiFactor, now).await {
        Some(begun) => {
            tracing::info!(user = %user.id, "a person logged in with a second factor");
            facts.with(begun.tell(api, browser, see("resume", id)))
        }
        None => page::unavailable(),
    }
}

/// A code has few digits: fewer tries are let pass than of a password. The owner's own browser is counted apart, so that
/// whoever has the password keeps nobody out.
fn buckets(api: &Api, headers: &HeaderMap, browser: &Browser, user: &User) -> [Bucket; 2] {
    let of = browser.known_of(api, user.id).map_or_else(|| user.id.0.to_vec(), Vec::from);
    [Bucket::SecondFactor(secret::sha256(&of)), Bucket::Address(address(headers))]
}
