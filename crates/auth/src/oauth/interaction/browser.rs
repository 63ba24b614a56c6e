//! What a browser shows of itself: a secret of its own, and the session that it is in.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{Session, User, UserId};
use lombard_types::Timestamp;
use zeroize::Zeroizing;

use crate::{secret, server_secret::Purpose, service::Api};

/// Names a browser for as long as it runs: requests and forms are bound to it.
const BROWSER: &str = "lombard_browser";
/// Opens a session.
const SESSION: &str = "lombard_session";
/// Says that a person has logged in here before.
const KNOWN: &str = "lombard_known";
/// How long that is remembered.
const KNOWN_SECONDS: u64 = 180 * 24 * 3600;

/// A browser.
pub(in crate::oauth) struct Browser {
    /// 256 random bits, its own or made just now.
    secret: Zeroizing<String>,
    is_new: bool,
    session: Option<Zeroizing<String>>,
    known: Option<Zeroizing<String>>,
}

impl Browser {
    pub(in crate::oauth) fn of(api: &Api, headers: &HeaderMap) -> Self {
        let own = cookie(api, headers, BROWSER);
        let is_new = own.is_none();
        // Without randomness there is no secret, and nothing can be bound to it.
        let secret = own.or_else(|| secret::generate("").ok()).unwrap_or_default();
        let session = cookie(api, headers, SESSION);
        Self { secret, is_new, session, known: cookie(api, headers, KNOWN) }
    }

    /// Names the browser without opening anything.
    pub(in crate::oauth) fn sha256(&self) -> [u8; 32] {
        secret::sha256(self.secret.as_bytes())
    }

    /// Has the browser keep its secret.
    pub(in crate::oauth) fn remember(&self, api: &Api, response: Response) -> Response {
        if self.is_new { set(api, response, BROWSER, &self.secret, None) } else { response }
    }

    /// The session and who is in it: somebody who may log in.
    pub(super) fn session(&self, api: &Api, now: Timestamp) -> Option<(Arc<Session>, Arc<User>)> {
        let sha256 = secret::sha256(self.session.as_ref()?.as_bytes());
        api.view.read(|view| {
            let session = view.state.sessions.with_secret(&sha256, now)?;
            let user = view.state.users.get(session.user).filter(|user| !user.is_disabled)?;
            Some((Arc::clone(session), Arc::clone(user)))
        })
    }

    /// A token for a form about `what`, in the state in which the browser is now.
    pub(super) fn csrf_token(&self, api: &Api, what: &[&str]) -> String {
        URL_SAFE_NO_PAD.encode(api.keys.tag(Purpose::Csrf, &self.csrf_parts(what)))
    }

    pub(super) fn fits_csrf_token(&self, api: &Api, what: &[&str], token: Option<&str>) -> bool {
        let tag = token.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok()).unwrap_or_default();
        !self.is_new && api.keys.fits(Purpose::Csrf, &self.csrf_parts(what), &tag)
    }

    fn csrf_parts<'a>(&'a self, what: &[&'a str]) -> Vec<&'a [u8]> {
        let session = self.session.as_ref().map(|secret| secret.as_bytes()).unwrap_or_default();
        let own = [self.secret.as_bytes(), session];
        own.into_iter().chain(what.iter().map(|what| what.as_bytes())).collect()
    }

    /// Which known browser of this person it is.
    pub(super) fn known_of(&self, api: &Api, user: UserId) -> Option<[u8; 32]> {
        let bytes = URL_SAFE_NO_PAD.decode(self.known.as_ref()?.as_bytes()).ok()?;
        let (nonce, tag) = bytes.split_first_chunk::<16>()?;
        let fits = api.keys.fits(Purpose::KnownBrowser, &[nonce, &user.0], tag);
        fits.then(|| secret::sha256(&bytes))
    }

    /// The person has logged in here.
    pub(super) fn set_known(&self, api: &Api, response: Response, user: UserId) -> Response {
        if self.known_of(api, user).is_some() {
            return response;
        }
        let nonce = uuid::Uuid::new_v4().into_bytes();
        let tag = api.keys.tag(Purpose::KnownBrowser, &[&nonce, &user.0]);
        let value = URL_SAFE_NO_PAD.encode([&nonce[..], &tag].concat());
        set(api, response, KNOWN, &value, Some(KNOWN_SECONDS))
    }

    pub(super) fn set_session(api: &Api, response: Response, secret: &str) -> Response {
        set(api, response, SESSION, secret, None)
    }

    pub(super) fn clear_session(api: &Api, response: Response) -> Response {
        set(api, response, SESSION, "", Some(0))
    }
}

/// Over HTTPS, browsers let nobody but this very host set a cookie with this prefix (RFC 6265bis section 4.1.3.2).
fn name(api: &Api, name: &str) -> String {
    if is_secure(api) { format!("__Host-{name}") } else { name.to_owned() }
}

fn is_secure(api: &Api) -> bool {
    api.issuer.starts_with("https://")
}

/// A cookie that is there once, of the length that ours have.
fn cookie(api: &Api, headers: &HeaderMap, wanted: &str) -> Option<Zeroizing<String>> {
    let wanted = name(api, wanted);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted)
        .map(|(_, value)| value);
    let value = found.next().filter(|value| (20..=200).contains(&value.len()))?;
    found.next().is_none().then(|| Zeroizing::new(value.to_owned()))
}

fn set(
    api: &Api,
    mut response: Response,
    cookie: &str,
    value: &str,
    seconds: Option<u64>,
) -> Response {
    let secure = if is_secure(api) { "; Secure" } else { "" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let name = name(api, cookie);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
