//! What a handler is told of its call.

use std::{fmt, sync::Arc, time::SystemTime};

use http::HeaderMap;
use lombard_chassis::{CancellationToken, Context, Problem, authenticate};
use lombard_token::{Claims, Generation, Verifier};
use lombard_types::Timestamp;
use tokio::time::Instant;

/// Who calls, until when, and in which request.
#[derive(Clone)]
pub struct Call {
    /// The request's id and trace: kept with what the call causes.
    pub context: Context,
    /// What the caller's token says.
    pub claims: Arc<Claims>,
    /// When the caller stops waiting, where it said so.
    pub deadline: Option<Instant>,
    /// Cancelled when the server stops: a call without an end of its own ends then.
    pub drain: CancellationToken,
    pub(crate) grant: Grant,
}

/// The token of a call, for asking again whether it is good.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) verifier: Verifier,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) generation: Generation,
}

impl Call {
    /// Whether the token that the call began with is still good: for calls that last. Costs little while nothing has
    /// changed.
    pub fn check_token(&mut self) -> Result<(), Problem> {
        let Self { claims, grant: Grant { verifier, headers, generation }, .. } = self;
        if verifier.is_still_good(claims, *generation) {
            return Ok(());
        }
        let now = verifier.generation();
        let token = authenticate::bearer_token(headers)?;
        *claims = verifier.verify(token).map_err(|error| authenticate::refusal(&error))?;
        *generation = now;
        Ok(())
    }

    /// When the token expires.
    pub fn token_expires_at(&self) -> Instant {
        let now = Timestamp::from_system_time(SystemTime::now());
        Instant::now() + self.claims.expires_at.since(now)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, claims, deadline, .. } = self;
        f.debug_struct("Call")
            .field("request_id", &context.request_id)
            .field("client_id", &claims.client_id)
            .field("deadline", deadline)
            .finish_non_exhaustive()
    }
}
