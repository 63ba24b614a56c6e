//! One request, from its head to its response: check, route, authorize, limit, forward.

mod admit;
mod own;
mod send;
mod target;
mod tell;

use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use lombard_chassis::{Context, Problem, context::REQUEST_ID};
use lombard_gateway_core::{NormalPath, Refusal, RouteFamily};
use lombard_token::Claims;

use self::target::check_target;
use crate::{
    body::ResponseBody,
    cluster::Cluster,
    connection::Http1Stream,
    headers,
    plan::{Forwarding, Label, Plan},
    problem,
    span::Span,
    table::Table,
    values::Values,
    worker::Worker,
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    /// The SHA-256 of the certificate that it has shown.
    pub(crate) certificate: Option<[u8; 32]>,
}

/// Answers a request. `refusal`: why its bytes are not beyond doubt. `connection`: one that may become a tunnel.
pub(crate) async fn handle(
    worker: &Rc<Worker>,
    peer: &Peer,
    refusal: Option<Refusal>,
    connection: Option<Http1Stream>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let start = Instant::now();
    let table = worker.shared.table.load_full();
    let context = Context::from_headers_or(request.headers(), || worker.random.request_id());
    let values = Values::new();
    let spans = worker.shared.spans.as_ref();
    let traceparent = context.traceparent.as_deref();
    let span = spans.map(|spans| Span::begin(traceparent, &worker.random, spans.percent));
    let exchange = Exchange {
        span,
        worker,
        table: &table,
        peer,
        connection,
        is_grpc: is_grpc(request.headers()),
        start,
        request_id: values.text(context.request_id.as_str()),
        context,
        values,
        label: Cell::new(Some(Label::Family(RouteFamily::None))),
        claims: RefCell::new(None),
        upstream: RefCell::new(None),
        refused: Cell::new(None),
        address: Cell::new(None),
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answered = match refusal {
        Some(refusal) => Err(problem::from_wire_error(refusal.error)),
        // Apart, so that an idle connection does not hold the memory of a request.
        None => Box::pin(exchange.answer(request)).await,
    };
    let mut response = answered.unwrap_or_else(|problem| exchange.refusal(uri.path(), &problem));
    if refusal.is_some() {
        worker.shared.metrics.framing_refused();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(id) = &exchange.request_id {
        response.headers_mut().insert(REQUEST_ID, id.clone());
    }
    if table.adds_security_headers {
        headers::secure(response.headers_mut());
    }
    exchange.tell(&method, uri.path(), &response);
    exchange.count(response.status());
    response
}

/// What belongs to one request.
struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    table: &'a Table,
    peer: &'a Peer,
    connection: Option<Http1Stream>,
    is_grpc: bool,
    start: Instant,
    context: Context,
    /// Its place in the trace, where spans are kept.
    span: Option<Span>,
    /// Its id, as a value.
    request_id: Option<HeaderValue>,
    values: Values,
    label: Cell<Option<Label>>,
    claims: RefCell<Option<Arc<Claims>>>,
    upstream: RefCell<Option<Arc<Cluster>>>,
    /// The problem that it was refused with.
    refused: Cell<Option<&'static str>>,
    /// The client's, once it is known.
    address: Cell<Option<IpAddr>>,
}

impl Exchange<'_> {
    fn count(&self, status: StatusCode) {
        let metrics = &self.worker.shared.metrics;
        let took = self.start.elapsed();
        match self.label.take() {
            Some(Label::Route(policy)) => metrics.answered(&policy.counters, status, took),
            Some(Label::Family(family)) => {
                metrics.answered(self.worker.counters_of(family), status, took);
            }
            None => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Problem> {
        check_target(&request)?;
        let path = NormalPath::parse(request.uri().path()).map_err(problem::from_path_error)?;
        let (method, headers) = (request.method(), request.headers());
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let plan = Plan::of(self.table, path, method, headers, authority);
        let plan = plan.ok_or_else(problem::not_found)?;
        self.label.set(Some(plan.label()));
        match plan {
            Plan::Own(own) => self.own_endpoint(own, request).await,
            Plan::Forward(forwarding) => {
                let Some(cors) = &forwarding.policy.cors else {
                    return self.forward(&forwarding, request).await;
                };
                if let Some(preflight) = cors.preflight(request.method(), request.headers()) {
                    return Ok(preflight);
                }
                let origin = request.headers().get(header::ORIGIN).cloned();
                let answered = self.forward(&forwarding, request).await;
                let mut asked = http::HeaderMap::new();
                asked.extend(origin.map(|origin| (header::ORIGIN, origin)));
                let mut response = answered
                    .unwrap_or_else(|problem| self.refusal(forwarding.path.as_str(), &problem));
                cors.mark(&asked, response.headers_mut());
                Ok(response)
            }
        }
    }

    /// A problem in the form that the caller reads: gRPC has one of its own.
    fn refusal(&self, path: &str, problem: &Problem) -> Response<ResponseBody> {
        self.refused.set(Some(problem.kind().slug));
        if self.is_grpc {
            let request_id = &self.context.request_id;
            let status = lombard_grpc::status::status(problem, Some(request_id));
            let mut response = Response::new(ResponseBody::Own(Full::new(Bytes::new())));
            // Headers alone, which are the trailers too.
            *response.headers_mut() = lombard_proto::trailers(Some(&status));
            response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
            return response;
        }
        let request_id = self.context.request_id.as_str();
        let response = problem.to_response(Some(path), Some(request_id));
        response.map(|body| ResponseBody::Own(Full::new(Bytes::from(body))))
    }

    async fn forward(
        &self,
        forwarding: &Forwarding,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let mut admission = self.admit(forwarding, &request).await?;
        let limit_headers = std::mem::take(&mut admission.limit_headers);
        let mut response = self.send(forwarding, admission, request).await?;
        add_limit_headers(response.headers_mut(), limit_headers);
        Ok(response)
    }
}

fn is_grpc(headers: &http::HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    media_type.is_some_and(|media_type| {
        media_type
            .strip_prefix(GRPC.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";"))
    })
}

/// What the limits say (draft-ietf-httpapi-ratelimit-headers); what an upstream says of its own stays beside it.
fn add_limit_headers(headers: &mut http::HeaderMap, limits: Vec<(HeaderValue, HeaderValue)>) {
    for (limit, policy) in limits {
        headers.append(HeaderName::from_static("ratelimit"), limit);
        headers.append(HeaderName::from_static("ratelimit-policy"), policy);
    }
}
