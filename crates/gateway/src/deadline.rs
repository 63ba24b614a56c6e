//! Until when a caller waits. What is left of it is said to the upstream.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use lombard_chassis::{Problem, problems};
use lombard_gateway_core::{
    ParseDeadlineError, format_grpc_timeout, format_request_timeout, parse_grpc_timeout,
    parse_request_timeout,
};

const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The moment from which on the caller does not wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// What the request's headers say; the earlier one where there are two.
    pub(crate) fn of(headers: &HeaderMap, start: Instant) -> Result<Option<Self>, Problem> {
        let request = read(headers, &REQUEST_TIMEOUT, parse_request_timeout)?;
        let grpc = read(headers, &GRPC_TIMEOUT, parse_grpc_timeout)?;
        let wait = match (request, grpc) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(wait.and_then(|wait| start.checked_add(wait)).map(Self))
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Says to the upstream what is left, in the form in which the caller said it.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let left = self.left();
        let mut write = |name: HeaderName, text: String| {
            if headers.contains_key(&name)
                && let Ok(value) = HeaderValue::from_str(&text)
            {
                headers.insert(name, value);
            }
        };
        write(REQUEST_TIMEOUT, format_request_timeout(left));
        write(GRPC_TIMEOUT, format_grpc_timeout(left));
    }
}

fn read(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&str) -> Result<Duration, ParseDeadlineError>,
) -> Result<Option<Duration>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let invalid = |error: ParseDeadlineError| {
        Problem::new(&problems::INVALID_HEADER).detail(error.to_string())
    };
    if values.next().is_some() {
        return Err(invalid(ParseDeadlineError));
    }
    let text = value.to_str().map_err(|_| invalid(ParseDeadlineError))?;
    parse(text).map(Some).map_err(invalid)
}
