//! Opaque access tokens: handles of 256 random bits, shown once and kept as SHA-256. What they stand for is in the state.

use std::sync::Arc;

use lombard_auth_core::{Command, opaque_tokens};
use lombard_chassis::Problem;
use lombard_token::{Claims, OPAQUE_TOKEN_PREFIX};
use lombard_types::Timestamp;

use crate::{secret, service::Api, submit::submit};

/// What [`secret::generate`] is told so that the token begins with [`OPAQUE_TOKEN_PREFIX`].
const KIND: &str = "at_";

/// Whether a text looks like one.
pub(crate) fn is_one(text: &str) -> bool {
    text.starts_with(OPAQUE_TOKEN_PREFIX)
}

/// What a token that has not expired stands for. It may have been taken back.
pub(crate) fn look_up(api: &Api, token: &str, now: Timestamp) -> Option<Arc<Claims>> {
    let handle_sha256 = secret::sha256(token.as_bytes());
    api.view.read(|view| view.state.opaque_tokens.get(&handle_sha256, now).cloned())
}

/// A token that stands for these claims, whose times are in whole seconds: good, and known to whoever asks here, when it is
/// returned.
pub(crate) async fn issue(api: &Api, claims: Claims) -> Result<String, Problem> {
    let handle = secret::generate(KIND).map_err(|_| {
        tracing::error!("the system gave no randomness");
        Problem::new(&lombard_chassis::problems::INTERNAL)
    })?;
    let command = opaque_tokens::Command::Issue {
        handle_sha256: secret::sha256(handle.as_bytes()),
        claims: Arc::new(claims),
        tokens_max: api.config.opaque_tokens_max,
    };
    submit(api, Command::OpaqueToken(command)).await?;
    Ok(handle.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_know_one_by_its_beginning() {
        let handle = secret::generate(KIND).unwrap();
        assert!(is_one(&handle) && handle.len() == OPAQUE_TOKEN_PREFIX.len() + 43);
    }
}
