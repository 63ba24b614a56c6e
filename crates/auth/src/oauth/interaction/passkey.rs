//! `/oauth/passkey`: a person logs in with a passkey, in place of name and password.

use axum::{extract::State, http::HeaderMap, response::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{
    Acr, Command, CredentialId, Rejection, User, UserId,
    passkeys::{self, Rejection as PasskeyRejection},
};
use lombard_chassis::{Problem, RawBody};
use lombard_engine::SubmitError;
use lombard_types::Timestamp;
use lombard_webauthn::{Assertion, Challenge, CredentialKey};
use maud::{Markup, html};

use super::{
    Browser, Posted,
    login::{self, Again, address},
    page, posted, see, session,
};
use crate::{audit::Facts, oauth::form::Form, service::Api, throttle::Bucket};

/// What a form's token is about.
const PASSKEY: &str = "passkey";
const SCRIPT: &str = include_str!("passkey.js");

/// `GET /oauth/passkey.js`.
pub(super) async fn script() -> Response {
    page::script(SCRIPT)
}

/// A challenge for this page. It takes the place of the one before.
pub(super) fn new_challenge(
    api: &Api,
    browser: &Browser,
    id: &str,
    now: Timestamp,
) -> Option<Challenge> {
    let mut challenge = [0; 32];
    aws_lc_rs::rand::fill(&mut challenge).ok()?;
    api.pending.change(id, browser.sha256(), now, |pending| pending.challenge = Some(challenge))?;
    Some(challenge)
}

/// The challenge of the page that was shown last, once.
pub(super) fn take_challenge(
    api: &Api,
    browser: &Browser,
    id: &str,
    now: Timestamp,
) -> Option<Challenge> {
    api.pending.change(id, browser.sha256(), now, |pending| pending.challenge.take()).flatten()
}

/// The part of the login page that is for passkeys; nothing where there can be none. The script shows it.
pub(super) fn form(api: &Api, browser: &Browser, id: &str) -> Option<Markup> {
    let party = api.relying_party.as_ref()?;
    let challenge = new_challenge(api, browser, id, api.now())?;
    let token = browser.csrf_token(api, &[PASSKEY, id]);
    let said = ["credential", "client_data", "authenticator_data", "signature", "user"];
    Some(html! {
        form id="passkey" method="post" action="passkey" hidden data-passkey="use" data-party=(party.id())
            data-challenge=(URL_SAFE_NO_PAD.encode(challenge)) {
            p role="alert" hidden { "The browser has used no passkey." }
            input type="hidden" name="request" value=(id);
            input type="hidden" name="csrf" value=(token);
            @for name in said { input type="hidden" name=(name); }
            button id="use-passkey" type="submit" { "Log in with a passkey" }
        }
    })
}

pub(super) fn decoded(form: &Form<'_>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(form.get(name)?).ok()
}

pub(super) async fn log_in(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some(RawBody(body)) = posted(&api, &headers, body) else { return page::gone() };
    let Some(posted) = Posted::read(&api, &headers, &body, PASSKEY, &[]) else {
        return page::gone();
    };
    let Posted { form, browser, id, pending, now } = posted;
    let id = id.as_str();
    let client = pending.request.client.id.to_string();
    let refused = |subject: String, cause, again| {
        api.metrics.second_factor("passkey", cause);
        let facts =
            Facts { client: client.clone(), subject, refused: Some(cause), ..Facts::default() };
        facts.with(login::show_form(&api, &browser, id, &pending.request, Some(again)))
    };
    let tries = [Bucket::Address(address(&headers))];
    if let Err(wait) = api.throttle.try_login(&tries, now) {
        return refused(String::new(), "too_many_failures", Again::TooMany(wait));
    }
    let user = match check(&api, &browser, id, &form, now).await {
        Ok(user) => user,
        Err(Refused::Unavailable) => return page::unavailable(),
        Err(Refused::Passkey { owner, cause }) => {
            let subject = owner.map(|owner| owner.subject()).unwrap_or_default();
            tracing::info!(cause, "refused a passkey");
            return refused(subject, cause, Again::Passkey);
        }
    };
    api.throttle.succeeded(&tries);
    match session::begin(&api, &browser, &user, Acr::Passkey, now).await {
        Some(begun) => {
            api.metrics.second_factor("passkey", "allowed");
            tracing::info!(user = %user.id, client_id = client, "a person logged in with a passkey");
            let (subject, detail) = (user.id.subject(), "with a passkey".to_owned());
            let facts = Facts { client, subject, detail, refused: None };
            facts.with(begun.tell(&api, &browser, see("resume", id)))
        }
        None => page::unavailable(),
    }
}

enum Refused {
    Passkey { owner: Option<UserId>, cause: &'static str },
    Unavailable,
}

/// Whose passkey was used, for the challenge of the page that was shown last.
async fn check(
    api: &Api,
    browser: &Browser,
    id: &str,
    form: &Form<'_>,
    now: Timestamp,
) -> Result<User, Refused> {
    let unknown = |owner| Refused::Passkey { owner, cause: "access_denied" };
    let challenge = take_challenge(api, browser, id, now).ok_or(unknown(None))?;
    let party = api.relying_party.as_ref().ok_or(unknown(None))?;
    let part = |name| decoded(form, name).ok_or(unknown(None));
    let credential = CredentialId(part("credential")?.into());
    let found = api.view.read(|view| {
        let passkey = view.state.passkeys.get(&credential)?.clone();
        let user = view.state.users.get(passkey.user).filter(|user| !user.is_disabled)?;
        Some((passkey, User::clone(user)))
    });
    let (passkey, user) = found.ok_or(unknown(None))?;
    // Section 7.2 step 6: the authenticator says whose it is, and is not believed without this.
    if part("user")? != user.id.0 {
        return Err(unknown(Some(user.id)));
    }
    let key = CredentialKey::from_bytes(&passkey.public_key).map_err(|_| Refused::Unavailable)?;
    let (client_data, data, signature) =
        (part("client_data")?, part("authenticator_data")?, part("signature")?);
    let assertion =
        Assertion { client_data: &client_data, authenticator_data: &data, signature: &signature };
    let used = party.authenticate(&challenge, &key, assertion);
    let used = used.map_err(|_| unknown(Some(user.id)))?;
    let command = passkeys::Command::Use { id: credential, sign_count: used.sign_count };
    let command = Command::Passkey(command, api.config.lives());
    match api.writer.submit(command).await {
        Ok(_) => Ok(user),
        Err(SubmitError::Rejected { rejection: Rejection::Passkey(rejection), .. }) => {
            let cause = match rejection {
                PasskeyRejection::Copied => "passkey_copied",
                _ => "access_denied",
            };
            Err(Refused::Passkey { owner: Some(user.id), cause })
        }
        Err(_) => Err(Refused::Unavailable),
    }
}
