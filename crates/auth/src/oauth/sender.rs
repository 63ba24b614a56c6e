//! What comes with a request beside its form, by which a client authenticates and tokens are bound.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use lombard_chassis::ClientCertificate;

/// Who sends a request, as far as it says so outside of its form. An extractor, which takes the headers away: it comes last
/// before the body.
pub(super) struct Sender {
    pub(super) headers: HeaderMap,
    /// What was shown when the connection was made.
    pub(super) certificate: Option<ClientCertificate>,
}

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let certificate = parts.extensions.remove();
        Ok(Self { headers: std::mem::take(&mut parts.headers), certificate })
    }
}
