//! A check that the registry makes itself: what it asks of an instance, how often, and from when on it believes the answer.

use std::time::Duration;

use crate::Address;

/// What to ask, and how. Its bounds are those of the shell's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What to ask.
    pub question: Question,
    /// Where; the instance's own address where this is `None`.
    pub at: Option<Address>,
    /// How long from one to the next, in milliseconds.
    pub interval_ms: u32,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u32,
    /// So many answers in a row that it can serve make it pass; at least 1.
    pub successes_min: u8,
    /// So many failures in a row make it critical; at least 1.
    pub failures_min: u8,
    /// Whether it passes before it was asked for the first time.
    pub begins_passing: bool,
}

/// What is asked of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `GET` of this path: any 2xx passes, 429 is a warning.
    Http {
        /// The path with its query.
        path: RequestPath,
    },
    /// A connection.
    Tcp,
    /// `grpc.health.v1.Health/Check`: `SERVING` passes.
    Grpc {
        /// Of this service; of all together where it is empty.
        service: GrpcService,
    },
}

/// The path of a request with its query: visible ASCII that begins with `/`, at most 256 bytes, without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath(Box<str>);

/// The name of a gRPC service, or nothing: letters, digits, `_`, `.`, `-` and `/`, at most 128 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcService(Box<str>);

/// Why a text is no part of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCheckError {
    /// It is no path.
    #[error(
        "must begin with / and have at most {} visible ASCII characters, no #",
        RequestPath::BYTES_MAX
    )]
    Path,
    /// It is no name of a gRPC service.
    #[error("must be the name of a gRPC service of at most {} bytes", GrpcService::BYTES_MAX)]
    GrpcService,
}

impl Check {
    /// How long from one to the next.
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms as u64)
    }

    /// How long the answer may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms as u64)
    }
}

impl Question {
    /// Its stable name: `http`, `tcp` or `grpc`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp => "tcp",
            Self::Grpc { .. } => "grpc",
        }
    }
}

impl RequestPath {
    /// Longest path.
    pub const BYTES_MAX: usize = 256;

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RequestPath {
    type Err = ParseCheckError;

    fn from_str(text: &str) -> Result<Self, ParseCheckError> {
        let is_path = text.starts_with('/')
            && text.len() <= Self::BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        is_path.then(|| Self(text.into())).ok_or(ParseCheckError::Path)
    }
}

impl GrpcService {
    /// Longest name.
    pub const BYTES_MAX: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for GrpcService {
    type Err = ParseCheckError;

    fn from_str(text: &str) -> Result<Self, ParseCheckError> {
        let is_name = text.len() <= Self::BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte));
        is_name.then(|| Self(text.into())).ok_or(ParseCheckError::GrpcService)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names_are_bounded() {
        for path in ["/", "/health?full=1", "/a/b%20c"] {
            assert_eq!(path.parse::<RequestPath>().unwrap().as_str(), path);
        }
        let long = format!("/{}", "a".repeat(256));
        for path in ["", "health", "/a b", "/a#b", "/\r\nHost: x", &long] {
            assert_eq!(path.parse::<RequestPath>(), Err(ParseCheckError::Path), "{path}");
        }
        assert!("".parse::<GrpcService>().is_ok() && "a.b.C".parse::<GrpcService>().is_ok());
        assert!("a b".parse::<GrpcService>().is_err());
    }
}
