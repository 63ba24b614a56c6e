//! `/oauth/device`: a person types in what a device shows (RFC 8628 section 3.3).

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use lombard_chassis::{Problem, RawBody};
use maud::html;
use uuid::Uuid;

use super::{Browser, advance, login::address, page, posted};
use crate::{audit::Facts, device::UserCode, oauth::form::Form, service::Api, throttle::Bucket};

/// What a form's token is about.
const DEVICE: &str = "device";

/// Why the form is shown again.
#[derive(Clone, Copy)]
enum Again {
    Unknown,
    TooMany(Duration),
}

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    // What the link says is filled in and no more: the person compares it with the device.
    let form = Form::parse(query.as_bytes()).ok();
    let typed = form.as_ref().and_then(|form| form.get("user_code")).unwrap_or_default();
    let code = UserCode::read(typed).map(|code| code.shown()).unwrap_or_default();
    show_form(&api, &Browser::of(&api, &headers), &code, None)
}

fn show_form(api: &Api, browser: &Browser, code: &str, again: Option<Again>) -> Response {
    let token = browser.csrf_token(api, &[DEVICE]);
    let content = html! {
        h1 { "Connect a device" }
        p { "Type in the code that your device shows. Do not use a code that somebody has sent you." }
        @match again {
            None => {}
            Some(Again::Unknown) => { p id="error" role="alert" { "No device waits with this code." } }
            Some(Again::TooMany(wait)) => {
                p id="error" role="alert" { "There were too many tries. Wait for " (wait.as_secs().div_ceil(60)) " minutes." }
            }
        }
        form id="device" method="post" action="device" {
            input type="hidden" name="csrf" value=(token);
            label { "Code"
                input id="user-code" name="user_code" type="text" autocomplete="off" autocapitalize="characters"
                    required maxlength="20" value=(code);
            }
            button id="go-on" type="submit" { "Go on" }
        }
    };
    let status = match again {
        None => StatusCode::OK,
        Some(Again::Unknown) => StatusCode::BAD_REQUEST,
        Some(Again::TooMany(_)) => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut response = page::page(status, "Connect a device", None, &content);
    if let Some(Again::TooMany(wait)) = again {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    browser.remember(api, response)
}

/// The device's request is from now on this browser's too: login and consent follow, as for any client's request.
pub(super) async fn go_on(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Ok(form) = Form::parse(&body) else { return page::gone() };
    let (browser, now) = (Browser::of(&api, &headers), api.now());
    if !browser.fits_csrf_token(&api, &[DEVICE], form.get("csrf")) {
        return page::gone();
    }
    // Whoever tries codes at random is slowed down (section 5.1).
    let tries = [Bucket::Address(format!("device {}", address(&headers)))];
    if let Err(wait) = api.throttle.try_login(&tries, now) {
        tracing::warn!("refused a user code: too many were tried");
        let form = show_form(&api, &browser, "", Some(Again::TooMany(wait)));
        return Facts { refused: Some("too_many_failures"), ..Facts::default() }.with(form);
    }
    let typed = UserCode::read(form.get("user_code").unwrap_or_default());
    let Some(request) = typed.and_then(|code| api.devices.find(&code, now)) else {
        let form = show_form(&api, &browser, "", Some(Again::Unknown));
        return Facts { refused: Some("unknown_code"), ..Facts::default() }.with(form);
    };
    api.throttle.succeeded(&tries);
    let (id, client_id) = (Uuid::new_v4().simple().to_string(), request.client.id.clone());
    let life = api.config.authorization_request_life();
    if api.pending.push(id.clone().into(), request, life, now).is_err() {
        return page::unavailable();
    }
    api.pending.open(&id, client_id.as_str(), browser.sha256(), life, now);
    let response = advance(&api, &id, &browser, now).await;
    Facts { client: client_id.to_string(), ..Facts::default() }.with(response)
}
