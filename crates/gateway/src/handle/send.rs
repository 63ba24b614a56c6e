//! Sends a request that may be sent, once or as often as does no harm, and makes of the upstream's answer the client's.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use lombard_chassis::Problem;
use lombard_gateway_core::NormalPath;

use super::{Exchange, admit::Admission};
use crate::{
    api_key::API_KEY,
    body::{self, RequestBody, ResponseBody},
    cluster::{Cluster, Protocol},
    contract::Asking,
    forward::{Again, Rules, forward},
    headers,
    idempotency::{self, Done, Once},
    mirror,
    plan::Forwarding,
    problem::{self, Failure},
    tunnel,
};

/// Longest body that is kept, so that it can be sent again or copied.
const KEPT_BYTES_MAX: u64 = 64 << 10;

/// Which bodies are read whole before they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    Nothing,
    /// Those that say that they are short.
    Short,
    All,
}

impl Exchange<'_> {
    pub(super) async fn send(
        &self,
        forwarding: &Forwarding,
        admission: Admission,
        mut request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let (worker, policy) = (self.worker, &forwarding.policy);
        let Admission { deadline, claims, cluster, under_way, .. } = admission;
        let is_safe = request.method().is_safe();
        let is_once = policy.keeps_idempotency && !is_safe;
        let asks_for_tunnel = self.connection.is_some() && tunnel::is_asked(&request);
        let client = asks_for_tunnel.then(|| hyper::upgrade::on(&mut request));
        // Where the gateway keeps keys, the upstream knows nothing of them.
        let can_repeat = !asks_for_tunnel
            && (request.method().is_idempotent() || (!is_once && has_idempotency_key(&request)));
        let mirrored = policy
            .mirror
            .as_ref()
            .filter(|mirror| worker.random.next() % 100 < u64::from(mirror.percent));
        let asking = self.check_head(forwarding, &request)?;
        let must_read = asking.is_some_and(|asking| asking.needs_body(request.headers()));
        let keeping = if is_once || must_read {
            Keeping::All
        } else if mirrored.is_some() || (can_repeat && policy.retry.tries_max > 1) {
            Keeping::Short
        } else {
            Keeping::Nothing
        };
        let mut request = self.to_upstream(forwarding, admission.address, request)?;
        if let Some(claims) = &claims {
            let (name, headers) = (&cluster.name, request.headers_mut());
            worker.identity.write(policy.identity, claims, name, &self.values, headers);
        }
        if asks_for_tunnel && cluster.transport.protocol == Protocol::Http1 {
            tunnel::mark(request.headers_mut());
        }
        if self.is_grpc {
            // What a server of gRPC asks for, to know that nothing on the way drops trailers.
            request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let request = self.keep_body(request, keeping, policy.body_bytes_max).await?;
        if let Some(asking) = asking {
            let is_empty = http_body::Body::size_hint(request.body()).exact() == Some(0);
            asking
                .check_body(request.headers(), is_empty, request.body().whole_bytes())
                .map_err(problem::from_mismatch)?;
        }
        if let Some(mirror) = mirrored
            && let Some(copy) = Again::of(&request)
        {
            mirror::send(worker, &mirror.target, copy.request());
        }
        self.upstream.replace(Some(Arc::clone(&cluster)));
        let before = Instant::now();
        let sent = match &claims {
            Some(claims) if is_once => {
                let once = Once {
                    client: claims.client_id.clone(),
                    key: idempotency::key(request.headers())?.into(),
                    digest: idempotency::digest_of(&request).ok_or_else(problem::body_not_kept)?,
                    cluster: Arc::clone(&cluster),
                    policy: Arc::clone(policy),
                    deadline,
                };
                match once.run(worker, request, under_way).await? {
                    Done::Replayed(response) => return Ok(response),
                    Done::Sent(sent) => sent,
                }
            }
            _ => {
                let rules = Rules {
                    tries_max: policy.retry.tries_max,
                    statuses: &policy.retry.statuses,
                    timeout: policy.timeout,
                    try_timeout: policy.retry.try_timeout,
                    body_bytes_max: policy.body_bytes_max,
                    deadline,
                    can_repeat,
                };
                forward(worker, &cluster, request, &rules, Some(under_way)).await
            }
        };
        let mut response = sent.map_err(|failure| self.failed(&cluster, failure, is_safe))?;
        headers::to_client(response.headers_mut());
        if policy.says_timing {
            self.add_timing(response.headers_mut(), before);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.tunnel(client, response);
        }
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(response)
    }

    /// What the contract of the upstream asks of a request, where there is one and what it says of the head is met.
    fn check_head<'a>(
        &self,
        forwarding: &'a Forwarding,
        request: &Request<Incoming>,
    ) -> Result<Option<Asking<'a>>, Problem> {
        let Some(contract) = &forwarding.policy.contract else { return Ok(None) };
        let path = forwarding.path_for_upstream();
        let path = NormalPath::parse(&path).map_err(problem::from_path_error)?;
        let (query, headers) = (request.uri().query(), request.headers());
        let asking = contract.check_head(request.method(), &path, query, headers);
        asking.map(Some).map_err(problem::from_mismatch)
    }

    /// How long it took at the upstream and in all (W3C Server Timing). What the upstream says of itself stays.
    fn add_timing(&self, headers: &mut http::HeaderMap, before: Instant) {
        let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1000.0;
        let (upstream, all) = (milliseconds(before), milliseconds(self.start));
        let text = format!("upstream;dur={upstream:.3}, total;dur={all:.3}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(HeaderName::from_static("server-timing"), value);
        }
    }

    /// Both sides agreed on another protocol: their bytes are passed on from now on.
    fn tunnel(
        &self,
        client: Option<OnUpgrade>,
        mut response: Response<ResponseBody>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let upstream = hyper::upgrade::on(&mut response);
        let (parts, body) = response.into_parts();
        let (Some(client), Some(connection), ResponseBody::Upstream(counted)) =
            (client, &self.connection, body)
        else {
            return Err(problem::unexpected_upgrade());
        };
        connection.becomes_tunnel();
        let idle = self.worker.config.tunnel_idle();
        self.worker.tasks.spawn_local(tunnel::run(client, upstream, counted, idle));
        let body = ResponseBody::Own(Full::new(Bytes::new()));
        let mut response = Response::from_parts(parts, body);
        tunnel::mark(response.headers_mut());
        Ok(response)
    }

    fn to_upstream(
        &self,
        forwarding: &Forwarding,
        address: std::net::IpAddr,
        request: Request<Incoming>,
    ) -> Result<Request<RequestBody>, Problem> {
        let (mut parts, body) = request.into_parts();
        let from = headers::From {
            address,
            scheme: if self.peer.is_tls { "https" } else { "http" },
            authority: parts.uri.authority().map(http::uri::Authority::as_str),
            random: &self.worker.random,
            values: &self.values,
            request_id: self.request_id.as_ref(),
            span: self.span.as_ref(),
        };
        headers::to_upstream(&mut parts.headers, &self.context, &from);
        if forwarding.takes_api_keys() {
            parts.headers.remove(API_KEY);
        }
        if let Some(thumbprint) = self.peer.certificate {
            headers::add_certificate(&mut parts.headers, &thumbprint);
        }
        parts.uri = target(&forwarding.path_for_upstream(), &parts.uri)
            .ok_or_else(|| problem::ambiguous("the target cannot be passed on"))?;
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        let body = RequestBody::new(body, forwarding.policy.body_bytes_max);
        Ok(Request::from_parts(parts, body))
    }

    /// A body that may be needed twice is read before anything is sent.
    async fn keep_body(
        &self,
        request: Request<RequestBody>,
        keeping: Keeping,
        bytes_max: u64,
    ) -> Result<Request<RequestBody>, Problem> {
        let length = http_body::Body::size_hint(request.body()).exact();
        let is_kept = match (keeping, length) {
            (_, Some(0)) | (Keeping::Nothing, _) | (Keeping::Short, None) => false,
            (Keeping::Short, Some(length)) => length <= KEPT_BYTES_MAX,
            (Keeping::All, _) => true,
        };
        if !is_kept {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        let timeout = self.worker.config.response_timeout();
        let bytes = body::read_whole(body, timeout).await.map_err(|error| {
            let failure = match error {
                body::ReadError::Stalled => Failure::BodyStalled,
                body::ReadError::Body(body::RequestBodyError::TooLarge) => {
                    Failure::BodyTooLarge { bytes_max }
                }
                body::ReadError::Body(body::RequestBodyError::Incomplete) => {
                    Failure::BodyIncomplete
                }
            };
            failure.problem("", true)
        })?;
        Ok(Request::from_parts(parts, RequestBody::whole(bytes)))
    }

    fn failed(&self, cluster: &Arc<Cluster>, failure: Failure, is_safe: bool) -> Problem {
        if let Some(kind) = failure.upstream_kind() {
            self.worker.shared.metrics.upstream_failed(kind);
            tracing::debug!(upstream = &*cluster.name, kind, "no response from an upstream");
        }
        failure.problem(&cluster.name, is_safe)
    }
}

/// A request that says that sending it twice does no harm.
fn has_idempotency_key(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(HeaderName::from_static("idempotency-key"))
}

/// The path that goes to the upstream, with the query that came.
fn target(path: &str, came: &Uri) -> Option<Uri> {
    // Nearly always it came as it goes.
    if came.path() == path {
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = came.path_and_query().cloned();
        return Uri::from_parts(parts).ok();
    }
    match came.query() {
        Some(query) => Uri::try_from(format!("{path}?{query}")).ok(),
        None => Uri::try_from(path).ok(),
    }
}
