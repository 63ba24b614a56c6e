//! Exit codes: what a script can tell apart. They are documented in `lombard --help`.

use std::process::ExitCode;

use lombard_client::Error;

/// A check ran and found a fault.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CheckFailed(pub(crate) String);

/// The code for an error: the first cause in its chain that says more than "failed".
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    let code = error.chain().find_map(|cause| {
        if cause.is::<CheckFailed>() {
            return Some(7);
        }
        match cause.downcast_ref::<Error>()? {
            Error::Refused(problem) => match problem.status {
                404 => Some(3),
                401 | 403 => Some(4),
                409 | 412 | 422 => Some(5),
                502..=504 => Some(6),
                _ => None,
            },
            Error::TokenRefused { .. } => Some(4),
            Error::NotSent { .. } | Error::OutcomeUnknown { .. } => Some(6),
            Error::Unexpected { .. } | Error::Invalid(_) => None,
        }
    });
    ExitCode::from(code.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_cause_decides() {
        let refused = Error::TokenRefused {
            client_id: "x".to_owned(),
            error: "invalid_client".to_owned(),
            description: None,
        };
        let error = Err::<(), _>(refused).context("outer").unwrap_err();
        assert_eq!(code(&error), ExitCode::from(4));
        assert_eq!(code(&anyhow::anyhow!("other")), ExitCode::from(1));
        assert_eq!(code(&CheckFailed("x".to_owned()).into()), ExitCode::from(7));
    }
}
