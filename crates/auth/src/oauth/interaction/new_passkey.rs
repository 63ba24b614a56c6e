//! `/oauth/new-passkey`: a person who has just logged in makes a passkey.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{Acr, Command, CredentialId, Passkey, PersonText, User, passkeys};
use lombard_chassis::{Problem, RawBody};
use lombard_types::Timestamp;
use lombard_webauthn::RelyingParty;
use maud::html;

use super::{
    Browser, Posted, page,
    passkey::{decoded, new_challenge, take_challenge},
    posted, request_id, see, session,
};
use crate::{
    audit::Facts, pending::Pending, second_factor::issuer_name, service::Api, submit::submit,
};

/// What a form's token is about.
const NEW_PASSKEY: &str = "new passkey";

/// Whether this person may make one now: one who has logged in for this very request, and with a passkey if there is one
/// already. Whoever has found out a password gets none beside the owner's.
pub(super) fn may_make(
    api: &Api,
    browser: &Browser,
    pending: &Pending,
    now: Timestamp,
) -> Option<(Arc<RelyingParty>, Arc<User>)> {
    let party = api.relying_party.clone().filter(|_| api.config.second_factor_enrolment)?;
    let (session, user) = browser.session(api, now)?;
    let has_none = api.view.read(|view| view.state.passkeys.of_user(user.id).next().is_none());
    let is_strong = has_none || session.acr == Acr::Passkey;
    (session.authenticated_at >= pending.since && is_strong).then_some((party, user))
}

pub(super) async fn show(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let (browser, id, now) = (Browser::of(&api, &headers), request_id(&uri), api.now());
    match api.pending.of_browser(&id, browser.sha256(), now) {
        Some(pending) => show_form(&api, &browser, &id, &pending, now, false),
        None => page::gone(),
    }
}

fn show_form(
    api: &Api,
    browser: &Browser,
    id: &str,
    pending: &Pending,
    now: Timestamp,
    is_refused: bool,
) -> Response {
    let may = may_make(api, browser, pending, now);
    let Some((party, user)) = may else { return page::gone() };
    let Some(challenge) = new_challenge(api, browser, id, now) else { return page::gone() };
    let token = browser.csrf_token(api, &[NEW_PASSKEY, id]);
    let content = html! {
        h1 { "Make a passkey" }
        p { "From then on you log in with it in place of your password, and your device asks for your PIN, finger or face." }
        @if is_refused {
            p id="error" role="alert" { "This passkey was not taken. It may be here already, or of a kind that is not." }
        }
        noscript { p { "Your browser makes passkeys only with JavaScript." } }
        form id="new-passkey" method="post" action="new-passkey" hidden data-passkey="make" data-party=(party.id())
            data-party-name=(issuer_name(api)) data-challenge=(URL_SAFE_NO_PAD.encode(challenge))
            data-user=(URL_SAFE_NO_PAD.encode(user.id.0)) data-user-name=(user.name.as_str()) {
            p role="alert" hidden { "The browser has made no passkey." }
            input type="hidden" name="request" value=(id);
            input type="hidden" name="csrf" value=(token);
            input type="hidden" name="client_data";
            input type="hidden" name="attestation";
            label { "What you call it"
                input id="name" name="name" type="text" required maxlength="100" value="Passkey";
            }
            button id="make-passkey" type="submit" { "Make a passkey" }
        }
    };
    let status = if is_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page::scripted_page(status, "Make a passkey", pending.request.leads_to(), &content)
}

pub(super) async fn make(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Some(posted) = Posted::read(&api, &headers, &body, NEW_PASSKEY, &[]) else {
        return page::gone();
    };
    let Posted { form, browser, id, pending, now } = posted;
    let id = id.as_str();
    let may = may_make(&api, &browser, &pending, now);
    let Some((party, user)) = may else { return page::gone() };
    let challenge = take_challenge(&api, &browser, id, now);
    let passkey = challenge.and_then(|challenge| {
        let (client_data, attestation) =
            (decoded(&form, "client_data")?, decoded(&form, "attestation")?);
        let made = party.register(&challenge, &client_data, &attestation);
        let made = made
            .inspect_err(|cause| tracing::info!(user = %user.id, %cause, "refused a new passkey"));
        let made = made.ok()?;
        let name: PersonText = form.get("name").unwrap_or("Passkey").parse().ok()?;
        Some(Passkey {
            id: CredentialId(made.id),
            user: user.id,
            name,
            public_key: made.key.to_bytes().into(),
            sign_count: made.sign_count,
            created_at: Timestamp::EPOCH,
            used_at: None,
        })
    });
    let client = pending.request.client.id.to_string();
    let facts = Facts { client, subject: user.id.subject(), ..Facts::default() };
    let refused = || {
        let facts = Facts { refused: Some("access_denied"), ..facts.clone() };
        facts.with(show_form(&api, &browser, id, &pending, now, true))
    };
    let Some(passkey) = passkey else { return refused() };
    let detail = URL_SAFE_NO_PAD.encode(&passkey.id.0);
    let per_user_max = api.config.passkeys_per_user_max;
    let command = passkeys::Command::Register { passkey, per_user_max };
    match submit(&api, Command::Passkey(command, api.config.lives())).await {
        Ok(_) => {}
        Err(problem) if problem.kind().status < 500 => return refused(),
        Err(_) => return page::unavailable(),
    }
    tracing::info!(user = %user.id, "a person has made a passkey");
    let facts = Facts { detail, ..facts };
    match session::begin(&api, &browser, &user, Acr::Passkey, now).await {
        Some(begun) => facts.with(begun.tell(&api, &browser, see("resume", id))),
        // It is there all the same: the person logs in with it.
        None => facts.with(see("login", id)),
    }
}
