//! Problems as gRPC says them: the same table as over HTTP, in `google.rpc.Status`.

use lombard_chassis::Problem;
use lombard_proto::{
    Code,
    rpc::{ErrorInfo, RetryInfo, Status},
};
use lombard_types::RequestId;
use serde_json::Value;

/// Whose reasons an `ErrorInfo` has.
pub const DOMAIN: &str = "lombard";

/// The code of a problem, by its HTTP status.
pub fn code(problem: &Problem) -> Code {
    match problem.kind().status {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        // Somebody else was faster: the caller reads and decides again.
        412 => Code::Aborted,
        429 | 507 => Code::ResourceExhausted,
        400..=499 => Code::InvalidArgument,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

/// The whole problem: its kind as the reason, its members and the request's id as metadata, and when to try again.
pub fn status(problem: &Problem, request_id: Option<&RequestId>) -> Status {
    let kind = problem.kind();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let members = problem.members().iter().filter(|(_, value)| !value.is_null());
    let request_id = request_id.map(|id| ("request_id".to_owned(), id.to_string()));
    let info = ErrorInfo {
        reason: kind.slug.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: members
            .map(|(name, value)| (name.clone(), text(value)))
            .chain(request_id)
            .collect(),
    };
    let detail = problem.detail_text();
    let message = if detail.is_empty() { kind.title } else { detail }.to_owned();
    let status = Status { code: code(problem).number(), message, details: Vec::new() }.with(&info);
    match problem.retry_wait().map(TryInto::try_into) {
        Some(Ok(wait)) => status.with(&RetryInfo { retry_delay: Some(wait) }),
        Some(Err(_)) | None => status,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lombard_chassis::problems;

    use super::*;

    #[test]
    fn nothing_of_a_problem_is_lost() {
        let problem = Problem::new(&problems::OVERLOADED)
            .detail("later")
            .with("limit", 7)
            .with("absent", Value::Null)
            .retry_after(Duration::from_millis(1500));
        let status = status(&problem, Some(&"r-1".parse().unwrap()));
        assert_eq!(status.grpc_code(), Code::Unavailable);
        assert_eq!(status.message, "later");
        let info = status.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("overloaded", "lombard"));
        let mut metadata: Vec<_> = info.metadata.into_iter().collect();
        metadata.sort();
        let wanted = [("limit", "7"), ("request_id", "r-1")];
        assert_eq!(metadata, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let wait = status.retry_info().unwrap().retry_delay.unwrap();
        assert_eq!((wait.seconds, wait.nanos), (1, 500_000_000));
    }

    #[test]
    fn every_problem_has_a_code_that_fits() {
        for (kind, wanted) in [
            (&problems::UNAUTHENTICATED, Code::Unauthenticated),
            (&problems::INSUFFICIENT_SCOPE, Code::PermissionDenied),
            (&problems::NOT_FOUND, Code::NotFound),
            (&problems::BODY_TOO_LARGE, Code::InvalidArgument),
            (&problems::STOPPING, Code::Unavailable),
            (&problems::DISK_FULL, Code::ResourceExhausted),
            (&problems::OUTCOME_UNKNOWN, Code::DeadlineExceeded),
            (&problems::INTERNAL, Code::Internal),
            (&crate::problems::UNKNOWN_METHOD, Code::Unimplemented),
        ] {
            assert_eq!(code(&Problem::new(kind)), wanted, "{}", kind.slug);
        }
    }
}
