//! What comes next for a browser with a request: login, consent, or the answer.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use lombard_auth_core::{Acr, Authority, Granted, Session, User};
use lombard_types::Timestamp;

use super::{
    Browser,
    answer::{self, Allowed, refuse},
    page, request_id, see,
};
use crate::{
    oauth::{
        AuthorizationRequest,
        error::{Code, OAuthError},
    },
    pending::Pending,
    service::Api,
};

/// `GET /oauth/resume`: after a login.
pub(super) async fn resume(State(api): State<Api>, headers: HeaderMap, uri: Uri) -> Response {
    let browser = Browser::of(&api, &headers);
    advance(&api, &request_id(&uri), &browser, api.now()).await
}

/// Sends the browser where it must go next.
pub(in crate::oauth) async fn advance(
    api: &Api,
    id: &str,
    browser: &Browser,
    now: Timestamp,
) -> Response {
    let Some(pending) = api.pending.of_browser(id, browser.sha256(), now) else {
        return page::gone();
    };
    let request = &pending.request;
    let must_not_ask = |code, what| {
        api.pending.close(id);
        refuse(api, request, &OAuthError::new(code, what))
    };
    let Some((session, user)) = login(api, browser, &pending, now) else {
        if request.prompt.is_none {
            return must_not_ask(Code::LoginRequired, "the person must log in");
        }
        return match step_up(api, browser, &pending, now) {
            Ok(page) => see(page, id),
            Err(cause) => must_not_ask(Code::UnmetAuthenticationRequirements, cause),
        };
    };
    let granted = match settle(api, request, &user) {
        Ok(granted) => granted,
        Err(error) => {
            api.pending.close(id);
            return refuse(api, request, &error);
        }
    };
    if needs_consent(api, request, &user, &granted, now) {
        if request.prompt.is_none {
            return must_not_ask(Code::ConsentRequired, "the person must consent");
        }
        return see("consent", id);
    }
    let allowed = Allowed { session, granted, page_sha256: None };
    answer::grant(api, id, request, allowed, now).await
}

/// Where somebody goes who must log in, or of whom more is asked for: whoever has logged in for this very request, and not
/// enough, has not got what is missing, and may be let make it. Or why there is no way.
fn step_up(
    api: &Api,
    browser: &Browser,
    pending: &Pending,
    now: Timestamp,
) -> Result<&'static str, &'static str> {
    let session = browser.session(api, now);
    let Some((_, user)) = session.filter(|(it, _)| it.authenticated_at >= pending.since) else {
        return Ok("login");
    };
    let wants_passkey = pending.request.acr == Some(Acr::Passkey);
    let has_one = api.view.read(|view| {
        let state = &view.state;
        match wants_passkey {
            true => state.passkeys.of_user(user.id).next().is_some(),
            false => state.second_factors.get(user.id).is_some(),
        }
    });
    match (has_one, wants_passkey) {
        (_, true) if api.relying_party.is_none() => Err("this server has no passkeys"),
        (true, _) => Ok("login"),
        (false, _) if !api.config.second_factor_enrolment => Err("the person cannot log in so"),
        (false, true) => Ok("new-passkey"),
        (false, false) => Ok("enrol"),
    }
}

/// The browser's session, if it is fresh and strong enough for the request.
pub(super) fn login(
    api: &Api,
    browser: &Browser,
    pending: &Pending,
    now: Timestamp,
) -> Option<(Arc<Session>, Arc<User>)> {
    let request = &pending.request;
    let oldest = request.max_age.map_or(Timestamp::EPOCH, |max_age| {
        // Whoever logs in for this request is fresh, also where `max_age` is 0.
        let nanos = u64::try_from(max_age.as_nanos()).unwrap_or(u64::MAX);
        let oldest = Timestamp::from_unix_nanos(now.unix_nanos().saturating_sub(nanos));
        oldest.min(pending.since)
    });
    let oldest = if request.prompt.login { pending.since } else { oldest };
    let is_enough = |session: &Session| {
        session.authenticated_at >= oldest && request.acr.is_none_or(|acr| session.acr >= acr)
    };
    browser.session(api, now).filter(|(session, _)| is_enough(session))
}

/// What of the request this person may allow.
pub(super) fn settle(
    api: &Api,
    request: &AuthorizationRequest,
    user: &User,
) -> Result<Granted, OAuthError> {
    let rights = api.view.read(|view| view.state.users.rights_of(user));
    let authority = Authority::User(&rights);
    Ok(lombard_auth_core::grant(&request.client, authority, request.asked(), &api.issuer)?)
}

/// A consent is asked for once for as long as what came of it goes on. Each payment is asked for, and so is everything that
/// a device or a public client wants: whatever runs on the machine could say that it is that client (RFC 8252 section 8.6).
fn needs_consent(
    api: &Api,
    request: &AuthorizationRequest,
    user: &User,
    granted: &Granted,
    now: Timestamp,
) -> bool {
    let who = (user.id, &request.client.id);
    let what = (granted.audience.as_str(), &granted.scope);
    request.prompt.consent
        || !granted.authorization_details.is_empty()
        || !request.client.is_confidential()
        || request.leads_to().is_none()
        || !api.view.read(|view| view.state.grants.has_consent(who, what, now))
}
