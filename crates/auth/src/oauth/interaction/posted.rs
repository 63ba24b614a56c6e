//! A form that comes back from one of our pages.

use axum::http::{HeaderMap, header};
use lombard_chassis::{Problem, RawBody, extract::require_media_type};
use lombard_types::Timestamp;

use super::Browser;
use crate::{oauth::form::Form, pending::Pending, service::Api};

/// A form about a client's request, posted by the browser that its page was made for.
pub(super) struct Posted<'a> {
    pub(super) form: Form<'a>,
    pub(super) browser: Browser,
    /// The request's.
    pub(super) id: String,
    pub(super) pending: Pending,
    pub(super) now: Timestamp,
}

impl<'a> Posted<'a> {
    /// Reads a form of the page `page`, whose token is also about these members of it. `None` where it is not of this browser, or
    /// the request is gone.
    pub(super) fn read(
        api: &Api,
        headers: &HeaderMap,
        body: &'a [u8],
        page: &str,
        also: &[&str],
    ) -> Option<Self> {
        let form = Form::parse(body).ok()?;
        let (browser, now) = (Browser::of(api, headers), api.now());
        let member = |name| form.get(name).unwrap_or_default();
        let id = member("request").to_owned();
        let pending = api.pending.of_browser(&id, browser.sha256(), now)?;
        let about: Vec<&str> =
            [page, &id].into_iter().chain(also.iter().copied().map(member)).collect();
        browser.fits_csrf_token(api, &about, form.get("csrf")).then_some(())?;
        Some(Self { form, browser, id, pending, now })
    }
}

/// The body of a form that the browser sends from one of our pages. Another site's form comes with another `Origin`, and
/// without the cookies that the token in it is made for; it is none of ours.
pub(super) fn posted(
    api: &Api,
    headers: &HeaderMap,
    body: Result<RawBody, Problem>,
) -> Option<RawBody> {
    let origin = headers.get(header::ORIGIN);
    let is_ours = origin.is_none_or(|origin| {
        // `null` is what a page without referrer says of itself.
        origin == "null" || origin.as_bytes() == api.issuer.as_bytes()
    });
    let is_form = require_media_type(headers, "application/x-www-form-urlencoded");
    body.ok().filter(|_| is_ours && is_form.is_ok())
}
