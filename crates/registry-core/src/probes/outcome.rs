//! How a question to an instance went.

/// The answer, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It can serve.
    Passing,
    /// It can serve, with something wrong.
    Warning,
    /// It cannot, or was not reached.
    Failed(Failure),
}

/// Why an instance was not found to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It answered with this status, over HTTP.
    Status(u16),
    /// It answered that it does not serve, over gRPC.
    NotServing,
    /// It answered something else than was asked for.
    Malformed,
    /// Nobody listens there.
    Refused,
    /// The connection broke.
    Broken,
    /// No answer in time.
    TimedOut,
    /// There is no way there.
    Unreachable,
    /// Its name has no address, or none that may be asked.
    NoAddress,
}

impl Failure {
    /// Whether it says as much about the way to the instance as about the instance.
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::TimedOut | Self::Unreachable)
    }

    /// In words. What the instance has answered is not among them: whoever may register could read with them what the
    /// registry alone can reach.
    pub fn reason(self) -> String {
        match self {
            Self::Status(status) => format!("the check was answered with status {status}"),
            Self::NotServing => "the check was answered with not serving".to_owned(),
            Self::Malformed => "the check was answered with something else".to_owned(),
            Self::Refused => "the check's connection was refused".to_owned(),
            Self::Broken => "the check's connection broke".to_owned(),
            Self::TimedOut => "the check was not answered in time".to_owned(),
            Self::Unreachable => "the check found no way there".to_owned(),
            Self::NoAddress => "the check's host has no address that may be asked".to_owned(),
        }
    }
}
