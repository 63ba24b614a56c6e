//! What the gateway answers itself.

use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use lombard_chassis::{Problem, problems};
use lombard_gateway_core::OwnEndpoint;
use tower::ServiceExt as _;

use super::Exchange;
use crate::{admin, body::ResponseBody, problem, sharing};

/// Longest answer of the gateway's own endpoints.
const OWN_BYTES_MAX: usize = 4 << 20;

impl Exchange<'_> {
    /// `/livez`, `/readyz`, for those on this machine `/metrics`, and what operators ask.
    pub(super) async fn own_endpoint(
        &self,
        own: OwnEndpoint,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        if own == OwnEndpoint::Admin {
            let path = request.uri().path().to_owned();
            if path == sharing::PATH {
                return sharing::hear(self.worker, self.peer, request).await;
            }
            return admin::answer(self.worker, self.peer, &path, &request).await;
        }
        if own == OwnEndpoint::Metrics && !self.peer.address.ip().to_canonical().is_loopback() {
            return Err(problem::not_found());
        }
        let mut inner = Request::new(axum::body::Body::empty());
        *inner.method_mut() = request.method().clone();
        *inner.uri_mut() = request.uri().clone();
        // Metrics have two forms.
        if let Some(accept) = request.headers().get(header::ACCEPT) {
            inner.headers_mut().insert(header::ACCEPT, accept.clone());
        }
        let answered = self.worker.operations.clone().oneshot(inner).await;
        let (parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
        let body = Limited::new(body, OWN_BYTES_MAX).collect().await.map_err(|error| {
            tracing::error!(%error, "failed to answer an endpoint of the gateway's own");
            Problem::new(&problems::INTERNAL)
        })?;
        Ok(Response::from_parts(parts, ResponseBody::Own(Full::new(body.to_bytes()))))
    }
}
