//! Which host a request is for must have one reading.

use http::{Method, Request, header};
use hyper::body::Incoming;
use lombard_chassis::{Problem, problems};
use lombard_gateway_core::{WireError, is_host};

use crate::problem;

/// A target that names an authority must name that of the Host header (RFC 9112 section 3.2.2).
pub(super) fn check_target(request: &Request<Incoming>) -> Result<(), Problem> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::new(&problems::METHOD_NOT_ALLOWED));
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    if !is_host(authority.as_str().as_bytes()) {
        return Err(problem::from_wire_error(WireError::Host));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    // HTTP/2 names the host in the target, and may name it once more.
    if host.is_none() && request.version() == http::Version::HTTP_2 {
        return Ok(());
    }
    let host = host.filter(|_| another.is_none()).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str())) {
        return Ok(());
    }
    Err(problem::ambiguous("the target's authority is not that of the Host header"))
}
