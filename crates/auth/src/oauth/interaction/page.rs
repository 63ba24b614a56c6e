//! What all pages have in common.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::RedirectUri;
use maud::{DOCTYPE, Markup, html};

use crate::oauth::error::OAuthError;

const STYLE: &str = include_str!("style.css");

/// `GET /oauth/style.css`.
pub(super) async fn stylesheet() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, STYLE).into_response()
}

/// A page that nothing but this server's forms can do something on. `leads_to`: where its form may end, beside here.
pub(super) fn page(
    status: StatusCode,
    title: &str,
    leads_to: Option<&str>,
    content: &Markup,
) -> Response {
    document(status, title, leads_to, content, None)
}

/// The same with the script for passkeys, and no other.
pub(super) fn scripted_page(
    status: StatusCode,
    title: &str,
    leads_to: Option<&str>,
    content: &Markup,
) -> Response {
    document(status, title, leads_to, content, Some("/oauth/passkey.js"))
}

/// An answer that the browser posts to the client (OAuth 2.0 Form Post Response Mode): by itself where it has scripts, else with a
/// button.
pub(super) fn posted_answer(redirect_uri: &str, response: &str) -> Response {
    let content = html! {
        h1 { "Back to the application" }
        form id="answer" method="post" action=(redirect_uri) {
            input type="hidden" name="response" value=(response);
            button id="go-on" type="submit" { "Continue" }
        }
    };
    let script = Some("/oauth/form-post.js");
    document(StatusCode::OK, "Continue", Some(redirect_uri), &content, script)
}

/// `GET /oauth/form-post.js`.
pub(super) async fn form_post_script() -> Response {
    script("document.getElementById(\"answer\").submit();\n")
}

/// A script of ours: pages have no others.
pub(super) fn script(text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}

fn document(
    status: StatusCode,
    title: &str,
    leads_to: Option<&str>,
    content: &Markup,
    script: Option<&str>,
) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="/oauth/style.css";
                @if let Some(script) = script { script src=(script) defer {} }
            }
            body { main { (content) } }
        }
    };
    // Browsers hold a form to this policy also where it is sent on (`form-action` and redirects).
    let leads_to = leads_to.map(source).unwrap_or_default();
    let scripts = if script.is_some() { " script-src 'self';" } else { "" };
    let policy = format!(
        "default-src 'none'; style-src 'self';{scripts} form-action 'self'{leads_to}; frame-ancestors 'none'; base-uri 'none'"
    );
    let policy = HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, document.into_string()).into_response()
}

/// The policy's source for a redirect URI. It has no grammar for IPv6 addresses, so there the scheme must do.
fn source(uri: &str) -> String {
    let origin = RedirectUri::origin_of(uri);
    if origin.contains('[') { " http:".to_owned() } else { format!(" {origin}") }
}

/// A request that cannot be answered to the client: nobody knows whether it is the client's.
pub(in crate::oauth) fn refusal(error: &OAuthError) -> Response {
    let content = html! {
        h1 { "This request cannot be answered" }
        p id="error" { code { (error.code.name()) } ": " (error.description) }
        p { "Go back to the application that sent you here, and try again from there." }
    };
    page(StatusCode::BAD_REQUEST, "Request refused", None, &content)
}

/// A page that is no longer good: the request has expired or was answered, or the form is not from this browser.
pub(super) fn gone() -> Response {
    let content = html! {
        h1 { "This page is no longer good" }
        p id="error" { "The request has expired or was answered already, or the form was not sent from this browser." }
        p { "Go back to the application that sent you here, and try again from there." }
    };
    page(StatusCode::BAD_REQUEST, "Page expired", None, &content)
}

/// A device got what it asked for.
pub(super) fn device_allowed() -> Response {
    let content = html! {
        h1 id="device-allowed" { "Your device is connected" }
        p { "Go back to it: it goes on by itself." }
    };
    page(StatusCode::OK, "Connected", None, &content)
}

/// A device gets nothing.
pub(super) fn device_refused(error: &OAuthError) -> Response {
    let content = html! {
        h1 id="device-refused" { "The device gets nothing" }
        p id="error" { code { (error.code.name()) } ": " (error.description) }
    };
    page(StatusCode::OK, "Refused", None, &content)
}

/// The server cannot do it now.
pub(super) fn unavailable() -> Response {
    let content = html! {
        h1 { "Try again in a moment" }
        p id="error" { "The server is busy. Nothing was done." }
    };
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, "Busy", None, &content);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
