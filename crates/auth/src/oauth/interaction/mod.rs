//! A person's browser between a client's request and its answer: login, second factor, consent, and the way back.
//!
//! Plain HTML forms that work without JavaScript, but for passkeys, which browsers have for scripts only. A request is bound to the browser that came with it; each form has a token
//! that only this server can make for this browser; after each POST the browser is sent on with 303.

mod advance;
mod answer;
mod browser;
mod consent;
mod device;
mod enrol;
mod login;
mod logout;
mod new_passkey;
mod page;
mod passkey;
mod posted;
mod second_factor;
mod session;
mod signed_response;

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

pub(super) use advance::advance;
pub(super) use answer::redirect_with_error;
pub(super) use browser::Browser;
pub(super) use page::refusal;

use self::posted::{Posted, posted};
use super::form::Form;
use crate::service::Api;

/// The pages.
pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/oauth/resume", get(advance::resume))
        .route("/oauth/login", get(login::show).post(login::log_in))
        .route("/oauth/second-factor", get(second_factor::show).post(second_factor::check))
        .route("/oauth/enrol", get(enrol::show).post(enrol::enrol))
        .route("/oauth/passkey", post(passkey::log_in))
        .route("/oauth/passkey.js", get(passkey::script))
        .route("/oauth/new-passkey", get(new_passkey::show).post(new_passkey::make))
        .route("/oauth/consent", get(consent::show).post(consent::decide))
        .route("/oauth/device", get(device::show).post(device::go_on))
        .route("/oauth/logout", get(logout::show).post(logout::log_out))
        .route("/oauth/form-post.js", get(page::form_post_script))
        .route("/oauth/style.css", get(page::stylesheet))
}

/// Sends the browser to a page of this server, with GET.
fn see(path: &str, request_id: &str) -> Response {
    // Relative to `/oauth/...`, so that it does not matter under which name the browser came.
    let location = HeaderValue::from_str(&format!("{path}?request={request_id}"));
    match location {
        Ok(location) => (StatusCode::SEE_OTHER, no_store(location)).into_response(),
        Err(_) => page::gone(),
    }
}

fn no_store(location: HeaderValue) -> [(header::HeaderName, HeaderValue); 2] {
    let no_store = HeaderValue::from_static("no-store");
    [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)]
}

/// The parameter `request` of a page's URL.
fn request_id(uri: &axum::http::Uri) -> String {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
    query.ok().and_then(|form| form.get("request").map(str::to_owned)).unwrap_or_default()
}
