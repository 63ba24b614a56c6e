//! Why a call has no answer, or another than was hoped for.

use std::fmt;

use lombard_proto::{Code, ledger::v1::TransferResult, rpc::Status};

use crate::Error;

/// A call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrpcError {
    /// There is no token to call with.
    #[error("failed to get an access token")]
    Token(#[from] Error),
    /// The call did not leave this machine.
    #[error("failed to connect to {address}: {cause}")]
    NotSent {
        /// Where to.
        address: String,
        /// What went wrong.
        cause: String,
    },
    /// The connection was lost, or the time was over, before an answer came. What was asked for may have
    /// happened: repeating it with the same ids is harmless, and asking by id tells.
    #[error("no answer from {address}, the outcome is unknown: {cause}")]
    OutcomeUnknown {
        /// Where to.
        address: String,
        /// What went wrong.
        cause: String,
    },
    /// The server refused. [`Status::error_info`] has the reason, which `lombard explain-error` explains.
    #[error("{}: {}", reason(.0), .0.message)]
    Refused(Box<Status>),
    /// It cannot be sent as it is.
    #[error("cannot be sent: {what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// What arrived is not an answer.
    #[error("{address} does not answer as it should: {what}")]
    Unexpected {
        /// Where from.
        address: String,
        /// What is wrong with it.
        what: String,
    },
}

impl GrpcError {
    /// What became of a transfer that the ledger refused; `None` where it was something else, or is of a newer server.
    pub fn transfer_result(&self) -> Option<TransferResult> {
        let Self::Refused(status) = self else { return None };
        let info = status.error_info()?;
        let name = info.metadata.get("result")?.to_ascii_uppercase();
        TransferResult::from_str_name(&format!("TRANSFER_RESULT_{name}"))
    }

    pub(super) fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Refused(status) if status.grpc_code() == Code::Unauthenticated)
    }

    pub(super) fn not_sent(address: &str, cause: impl fmt::Display) -> Self {
        Self::NotSent { address: address.to_owned(), cause: cause.to_string() }
    }

    pub(super) fn unknown(address: &str, cause: impl fmt::Display) -> Self {
        Self::OutcomeUnknown { address: address.to_owned(), cause: cause.to_string() }
    }

    pub(super) fn unexpected(address: &str, what: impl fmt::Display) -> Self {
        Self::Unexpected { address: address.to_owned(), what: what.to_string() }
    }

    /// The last part of the problem's type, where the server refused.
    pub fn slug(&self) -> Option<String> {
        match self {
            Self::Refused(status) => Some(status.error_info()?.reason),
            _ => None,
        }
    }

    /// Whether the same call may go better later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::OutcomeUnknown { .. } => true,
            Self::Refused(status) => match status.grpc_code() {
                Code::Unavailable | Code::DeadlineExceeded | Code::Unauthenticated => true,
                Code::ResourceExhausted => status.retry_info().is_some(),
                _ => false,
            },
            Self::Token(_) | Self::Unexpected { .. } | Self::Invalid { .. } => false,
        }
    }
}

fn reason(status: &Status) -> String {
    match status.error_info() {
        Some(info) => info.reason,
        None => format!("{:?}", status.grpc_code()),
    }
}
