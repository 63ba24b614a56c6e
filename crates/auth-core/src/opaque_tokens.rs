//! Access tokens that say nothing by themselves: what each stands for, by the SHA-256 of its handle.
//!
//! Only the authorization server can say what such a token is good for. It is forgotten when it expires; what takes tokens back
//! before that ([`crate::Revocations`]) concerns these like those that say it themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lombard_token::Claims;
use lombard_types::Timestamp;

use crate::RestoreError;

/// SHA-256 of a handle.
pub type HandleSha256 = [u8; 32];

/// Those that have not expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpaqueTokens {
    by_handle: BTreeMap<HandleSha256, Arc<Claims>>,
    /// When each is forgotten.
    alarms: BTreeSet<(Timestamp, HandleSha256)>,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Keeps what a new token stands for.
    Issue {
        /// SHA-256 of its handle, which has 256 random bits.
        handle_sha256: HandleSha256,
        /// What it stands for.
        claims: Arc<Claims>,
        /// Most tokens that are kept.
        tokens_max: usize,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A token was issued.
    Issued {
        /// SHA-256 of its handle.
        handle_sha256: HandleSha256,
        /// What it stands for.
        claims: Arc<Claims>,
    },
}

/// What took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The token is good.
    Issued,
}

/// Why a command has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There are as many as are kept; some are forgotten when they have expired.
    TooManyTokens,
}

type Decision = crate::Decision<Event, Reply>;

impl OpaqueTokens {
    /// What the token with this handle stands for, if it has not expired. Whether it was taken back is asked elsewhere.
    pub fn get(&self, handle_sha256: &HandleSha256, now: Timestamp) -> Option<&Arc<Claims>> {
        self.by_handle.get(handle_sha256).filter(|claims| claims.expires_at > now)
    }

    /// All of them, by the digests of their handles.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HandleSha256, &Arc<Claims>)> {
        self.by_handle.iter()
    }

    /// Adds one as it was.
    pub fn restore(
        &mut self,
        handle_sha256: HandleSha256,
        claims: Claims,
    ) -> Result<(), RestoreError> {
        if self.by_handle.contains_key(&handle_sha256) {
            return Err(RestoreError::Twice);
        }
        self.insert(handle_sha256, Arc::new(claims));
        Ok(())
    }

    pub(crate) fn decide(&self, command: Command) -> Result<Decision, Rejection> {
        let Command::Issue { handle_sha256, claims, tokens_max } = command;
        if self.by_handle.contains_key(&handle_sha256) {
            return Ok(Decision::Answer(Reply::Issued));
        }
        if self.by_handle.len() >= tokens_max {
            return Err(Rejection::TooManyTokens);
        }
        Ok(Decision::Commit(vec![Event::Issued { handle_sha256, claims }], Reply::Issued))
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        let Event::Issued { handle_sha256, claims } = event;
        self.insert(*handle_sha256, Arc::clone(claims));
    }

    fn insert(&mut self, handle_sha256: HandleSha256, claims: Arc<Claims>) {
        self.alarms.insert((claims.expires_at, handle_sha256));
        self.by_handle.insert(handle_sha256, claims);
    }

    /// Forgets those that have expired.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        while let Some(&(at, handle_sha256)) = self.alarms.first()
            && at <= now
        {
            self.alarms.pop_first();
            self.by_handle.remove(&handle_sha256);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        Command as Whole, Rejection as WholeRejection, State,
        state::tests::{at, submit},
    };

    const TOKENS_MAX: usize = 4;

    fn issue(handle: u8, until: u64) -> Whole {
        let claims = Arc::new(Claims { expires_at: at(until), ..Claims::default() });
        let handle_sha256 = [handle; 32];
        Whole::OpaqueToken(Command::Issue { handle_sha256, claims, tokens_max: TOKENS_MAX })
    }

    proptest! {
        /// Against a map from handle to the time of expiry.
        #[test]
        fn a_token_is_there_until_it_expires_and_memory_is_bounded(
            steps in prop::collection::vec((0u8..12, 1u64..30, 0u64..10), 0..60),
        ) {
            let mut state = State::default();
            let mut model: BTreeMap<u8, u64> = BTreeMap::new();
            let mut now = 100;
            for (handle, life, pause) in steps {
                now += pause;
                // What has expired counts until the next event, which forgets it.
                let has_room = model.len() < TOKENS_MAX;
                let is_new = !model.contains_key(&handle);
                match submit(&mut state, now, issue(handle, now + life)) {
                    Ok((events, _)) => {
                        prop_assert_eq!(events.len(), usize::from(is_new));
                        if is_new {
                            prop_assert!(has_room);
                            model.insert(handle, now + life);
                            model.retain(|_, until| *until > now);
                        }
                    }
                    Err(rejection) => {
                        prop_assert!(!has_room && is_new);
                        let expected = WholeRejection::OpaqueToken(Rejection::TooManyTokens);
                        prop_assert_eq!(rejection, expected);
                    }
                }
                prop_assert_eq!(state.opaque_tokens.iter().len(), model.len());
                prop_assert_eq!(state.opaque_tokens.alarms.len(), model.len());
                for handle in 0..12 {
                    let is_good = model.get(&handle).is_some_and(|until| *until > now);
                    let found = state.opaque_tokens.get(&[handle; 32], at(now));
                    prop_assert_eq!(found.is_some(), is_good);
                }
            }
        }
    }
}
