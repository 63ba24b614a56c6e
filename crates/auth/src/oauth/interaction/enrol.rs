//! `/oauth/enrol`: a person who has just logged in, and of whom more is asked for, sets up an authenticator app.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use lombard_auth_core::{Acr, Command, User};
use lombard_chassis::{Problem, RawBody};
use lombard_types::Timestamp;
use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};

use super::{Browser, page, posted, request_id, see, session};
use crate::{
    audit::Facts,
    oauth::{AuthorizationRequest, form::Form},
    pending::Pending,
    problem,
    second_factor::{self, RecoveryCodes, issuer_name},
    service::Api,
    submit::submit,
    totp::TotpSecret,
};

/// What a form's token is about.
const ENROL: &str = "enrol";

/// An enrolment under way.
struct Enrolment {
    request: Arc<AuthorizationRequest>,
    user: Arc<User>,
    secret: Arc<TotpSecret>,
}

/// Whether this person may set up a second factor now: one who has none, and has shown the password for this very request,
/// so that nobody does it who only finds a browser open.
pub(super) fn may_enrol(
    api: &Api,
    browser: &Browser,
    pending: &Pending,
    now: Timestamp,
) -> Option<Arc<User>> {
    let (session, user) = browser.session(api, now)?;
    let has_none = api.view.read(|view| view.state.second_factors.get(user.id).is_none());
    (session.authenticated_at >= pending.since && has_none).then_some(user)
}

impl Enrolment {
    fn of(api: &Api, browser: &Browser, id: &str, now: Timestamp) -> Option<Self> {
        let pending = api.pending.of_browser(id, browser.sha256(), now)?;
        let user = may_enrol(api, browser, &pending, now)?;
        if !api.config.second_factor_enrolment {
            return None;
        }
        // The same again when the page is loaded again: it may be in the app by then.
        let secret = match pending.enrolling {
            Some(secret) => secret,
            None => {
                let secret = Arc::new(TotpSecret::generate().ok()?);
                api.pending.change(id, browser.sha256(), now, |pending| {
                    Arc::clone(pending.enrolling.get_or_insert(secret))
                })?
            }
        };
        Some(Self { request: pending.request, user, secret })
    }
}

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let (browser, id) = (Browser::of(&api, &headers), request_id(&uri));
    match Enrolment::of(&api, &browser, &id, api.now()) {
        Some(enrolment) => show_form(&api, &browser, &id, &enrolment, false),
        None => page::gone(),
    }
}

fn show_form(
    api: &Api,
    browser: &Browser,
    id: &str,
    enrolment: &Enrolment,
    is_refused: bool,
) -> Response {
    let Enrolment { request, user, secret } = enrolment;
    let token = browser.csrf_token(api, &[ENROL, id]);
    let uri = secret.uri(issuer_name(api), user.name.as_str());
    let content = html! {
        h1 { "Set up an authenticator app" }
        p { (request.client.name.as_str()) " asks for more than a password. Scan this with an app for one-time codes, or type the key into it." }
        @if is_refused {
            p id="error" role="alert" { "This code is not the one that the app should show. Is the clock of the device right?" }
        }
        (picture(&uri))
        dl {
            dt { "Key" } dd { code id="totp-secret" { (*secret.base32()) } }
            dt { "Or here" } dd { a id="totp-uri" href=(*uri) { "open the app on this device" } }
        }
        form id="enrol" method="post" action="enrol" {
            input type="hidden" name="request" value=(id);
            input type="hidden" name="csrf" value=(token);
            label { "Code that the app shows"
                input id="code" name="code" type="text" autocomplete="one-time-code" inputmode="numeric" required maxlength="10";
            }
            button id="go-on" type="submit" { "Go on" }
        }
    };
    let status = if is_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page::page(status, "Set up an authenticator app", request.leads_to(), &content)
}

/// A QR code, drawn into the page: nobody else is asked to draw it.
fn picture(text: &str) -> Markup {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return html! {} };
    // Four light modules on each side.
    let size = code.size() + 8;
    let cells = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let dark = cells.filter(|(x, y)| code.get_module(*x, *y));
    let path: String = dark.map(|(x, y)| format!("M{} {}h1v1h-1z", x + 4, y + 4)).collect();
    html! {
        svg id="totp-picture" viewBox=(format!("0 0 {size} {size}")) role="img" aria-label="QR code for the app" {
            rect width="100%" height="100%" fill="#fff" {}
            path d=(path) fill="#000" shape-rendering="crispEdges" {}
        }
    }
}

pub(super) async fn enrol(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Ok(form) = Form::parse(&body) else { return page::gone() };
    let (browser, now) = (Browser::of(&api, &headers), api.now());
    let id = form.get("request").unwrap_or_default();
    if !browser.fits_csrf_token(&api, &[ENROL, id], form.get("csrf")) {
        return page::gone();
    }
    let Some(enrolment) = Enrolment::of(&api, &browser, id, now) else { return page::gone() };
    let code: String = form.get("code").unwrap_or_default().split_whitespace().collect();
    let Some(step) = enrolment.secret.step_of(&code, now) else {
        return show_form(&api, &browser, id, &enrolment, true);
    };
    let Enrolment { request, user, secret } = &enrolment;
    let client = request.client.id.as_str();
    let Ok((command, codes)) = second_factor::new(&api, user.id, secret, step, client) else {
        return page::unavailable();
    };
    match submit(&api, Command::SecondFactor(command, api.config.lives())).await {
        Ok(_) => {}
        // In another window, a moment before.
        Err(problem) if *problem.kind() == problem::SECOND_FACTOR_EXISTS => {
            return see("login", id);
        }
        Err(_) => return page::unavailable(),
    }
    tracing::info!(user = %user.id, client_id = client, "a person has set up a second factor");
    let facts = Facts {
        client: client.to_owned(),
        subject: user.id.subject(),
        detail: "an authenticator app".to_owned(),
        refused: None,
    };
    let response = show_codes(id, request, &codes);
    match session::begin(&api, &browser, user, Acr::MultiFactor, now).await {
        Some(begun) => facts.with(begun.tell(&api, &browser, response)),
        // The codes are shown all the same: they are never shown again. The person logs in once more.
        None => facts.with(response),
    }
}

fn show_codes(id: &str, request: &AuthorizationRequest, codes: &RecoveryCodes) -> Response {
    let content = html! {
        h1 { "Keep these recovery codes" }
        p { "Each of them logs you in once in place of a code of the app, should you lose it. They are not shown again: write them down, or print them." }
        ul id="recovery-codes" { @for code in codes { li { code { (**code) } } } }
        form id="kept" method="get" action="resume" {
            input type="hidden" name="request" value=(id);
            button id="go-on" type="submit" { "I have kept them" }
        }
    };
    page::page(StatusCode::OK, "Recovery codes", request.leads_to(), &content)
}
