//! Which host a request is for must have one reading.

use http::{Method, Request, header};
use hyper::body::Incoming;
use lombard_chassis::{Problem, problems};
use lombard_gateway_core::{WireError, is_host};

use crate::problem;

/// A target that names an authority must name that of the Host header (RFC 9112 section 3.2.2). What HTTP/2 demands beyond what
/// the library checks is checked here too (RFC 9113 section 8).
pub(super) fn check_target(request: &Request<Incoming>) -> Result<(), Problem> {
    let is_h2 = request.version() == http::Version::HTTP_2;
    if is_h2 {
        check_h2(request)?;
    }
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
    if host.is_none() && is_h2 {
        return Ok(());
    }
    let host = host.filter(|_| another.is_none()).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str())) {
        return Ok(());
    }
    Err(problem::ambiguous("the target's authority is not that of the Host header"))
}

/// A host must be named, a scheme too (section 8.3.1), and values begin and end with something that is to be seen (section 8.2.1).
fn check_h2(request: &Request<Incoming>) -> Result<(), Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    if uri.authority().is_none() && !headers.contains_key(header::HOST) {
        return Err(problem::from_wire_error(WireError::Host));
    }
    // Where the authority is missing, the library has dropped the scheme too, after it has looked at it.
    if uri.scheme_str().is_some_and(str::is_empty) {
        return Err(problem::ambiguous("the target has no scheme"));
    }
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_padded = |value: &[u8]| is_space(value.first()) || is_space(value.last());
    if headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(problem::from_wire_error(WireError::HeaderLine));
    }
    Ok(())
}
