//! A request is done once for each Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): what is known of a key
//! decides what happens to the next request with it.

use std::time::Duration;

/// The SHA-256 of what a request asks for: method, target and body.
pub type RequestDigest = [u8; 32];

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing.
    Unused,
    /// A request was taken on.
    Begun {
        /// What it asks for.
        request: RequestDigest,
        /// When.
        at: Duration,
    },
    /// It was never sent: the key is free again.
    Released,
    /// It was sent, and no answer came.
    Unknown {
        /// What it asks for.
        request: RequestDigest,
    },
    /// It was answered.
    Answered {
        /// What it asks for.
        request: RequestDigest,
    },
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// It is the first: take it on.
    Begin,
    /// It gets the first one's answer.
    Replay,
    /// The first one is not answered yet.
    InProgress,
    /// The key stands for another request.
    OtherRequest,
    /// The first one was sent and not answered, or whoever took it on is gone: it is not sent again.
    OutcomeUnknown,
}

impl KeyState {
    /// Judges a request with the key. `now` is of the same clock as [`KeyState::Begun`]; after `time_max` nobody works on a
    /// request any more.
    pub fn judge(&self, request: &RequestDigest, now: Duration, time_max: Duration) -> KeyVerdict {
        let (known, verdict) = match self {
            Self::Unused | Self::Released => return KeyVerdict::Begin,
            Self::Begun { request, at } if now.saturating_sub(*at) <= time_max => {
                (request, KeyVerdict::InProgress)
            }
            Self::Begun { request, .. } | Self::Unknown { request } => {
                (request, KeyVerdict::OutcomeUnknown)
            }
            Self::Answered { request } => (request, KeyVerdict::Replay),
        };
        if known == request { verdict } else { KeyVerdict::OtherRequest }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyState as S, KeyVerdict as V, *};

    #[test]
    fn what_happens_to_the_next_request() {
        let (same, other) = ([1; 32], [2; 32]);
        let at = Duration::from_secs;
        for (state, of_same, of_other) in [
            (S::Unused, V::Begin, V::Begin),
            (S::Released, V::Begin, V::Begin),
            (S::Begun { request: same, at: at(90) }, V::InProgress, V::OtherRequest),
            (S::Begun { request: same, at: at(200) }, V::InProgress, V::OtherRequest),
            (S::Begun { request: same, at: at(89) }, V::OutcomeUnknown, V::OtherRequest),
            (S::Unknown { request: same }, V::OutcomeUnknown, V::OtherRequest),
            (S::Answered { request: same }, V::Replay, V::OtherRequest),
        ] {
            assert_eq!(state.judge(&same, at(100), at(10)), of_same, "{state:?}");
            assert_eq!(state.judge(&other, at(100), at(10)), of_other, "{state:?}");
        }
    }
}
