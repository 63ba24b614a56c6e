//! What was taken back: tokens that are good no more although they have not expired.

use std::collections::{BTreeMap, VecDeque};

use lombard_token::{Claims, Revocation, RevocationKey};
use lombard_types::Timestamp;

/// Which tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The one with this id (`jti`).
    Token(Box<str>),
    /// All of this client.
    Client(Box<str>),
    /// All of this grant of a person.
    Grant(Box<str>),
    /// All of grants that end with this session.
    Session(Box<str>),
    /// All about this person.
    Subject(Box<str>),
    /// All that this key signed.
    Key(Box<str>),
}

impl Target {
    /// What verifiers look for.
    pub fn key(&self) -> RevocationKey {
        match self {
            Self::Token(id) => RevocationKey::of_token(id),
            Self::Client(id) => RevocationKey::of_client(id),
            Self::Grant(id) => RevocationKey::of_grant(id),
            Self::Session(id) => RevocationKey::of_session(id),
            Self::Subject(id) => RevocationKey::of_subject(id),
            Self::Key(kid) => RevocationKey::of_key(kid),
        }
    }
}

/// The revocations whose tokens have not all expired, oldest first. Each has a number, one more than the one before, so
/// that verifiers can ask for what is new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    numbered: VecDeque<(u64, Revocation)>,
    last_number: u64,
    /// The newest of each key, which concerns all tokens that older ones concern.
    newest: BTreeMap<RevocationKey, (u64, Revocation)>,
}

impl Revocations {
    /// The number of the newest revocation ever; 0 if there was none.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.numbered.len()
    }

    /// Those after the one with this number, with their numbers.
    pub fn after(&self, number: u64) -> impl Iterator<Item = &(u64, Revocation)> {
        let index = self.numbered.partition_point(|(other, _)| *other <= number);
        self.numbered.range(index..)
    }

    /// Whether exactly these tokens were taken back already, at or after `at`.
    pub(crate) fn has(&self, target: &Target, at: Timestamp) -> bool {
        self.newest.get(&target.key()).is_some_and(|(_, newest)| match target {
            Target::Token(_) | Target::Grant(_) | Target::Session(_) | Target::Key(_) => {
                newest.until > at
            }
            // These may get new tokens after a revocation.
            Target::Client(_) | Target::Subject(_) => newest.at >= at,
        })
    }

    /// Whether a token was taken back.
    pub fn contains(&self, claims: &Claims) -> bool {
        RevocationKey::all_of(claims).any(|key| {
            self.newest
                .get(&key)
                .is_some_and(|(_, revocation)| revocation.concerns(claims.issued_at))
        })
    }

    /// Adds the next one, and forgets those that no token is left for.
    pub(crate) fn add(&mut self, revocation: Revocation, now: Timestamp) {
        self.restore(self.last_number + 1, revocation);
        self.forget(now);
    }

    /// Adds one as it was.
    pub fn restore(&mut self, number: u64, revocation: Revocation) {
        self.last_number = number;
        self.numbered.push_back((number, revocation));
        self.newest.insert(revocation.key, (number, revocation));
    }

    /// As they were after the one with this number, which may be forgotten itself.
    pub fn restored_after(last_number: u64) -> Self {
        Self { last_number, ..Self::default() }
    }

    /// From the front while they have expired. One that lives longer holds up those behind it, at most for as long as
    /// tokens live.
    fn forget(&mut self, now: Timestamp) {
        while let Some((number, oldest)) =
            self.numbered.pop_front_if(|(_, oldest)| oldest.until <= now)
        {
            if self.newest.get(&oldest.key).is_some_and(|(newest, _)| *newest == number) {
                self.newest.remove(&oldest.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of all that ever happened, which never forgets.
        #[test]
        fn forgets_nothing_that_matters(
            steps in prop::collection::vec((0u64..5, any::<bool>(), 0u8..4, 1u64..20), 0..60),
        ) {
            let mut revocations = Revocations::default();
            let mut all: Vec<Revocation> = Vec::new();
            let mut now = Timestamp::from_unix_seconds(1000);
            for (pause, is_client, id, life) in steps {
                now = now.plus(Duration::from_secs(pause));
                let id: Box<str> = format!("{id}").into();
                let target = if is_client { Target::Client(id) } else { Target::Token(id) };
                // Of one client all are revoked for the same time, which is the life of tokens.
                let life = if is_client { 20 } else { life };
                let until = now.plus(Duration::from_secs(life));
                let revocation = Revocation { key: target.key(), at: now, until };
                if !revocations.has(&target, now) {
                    revocations.add(revocation, now);
                    all.push(revocation);
                }
                prop_assert_eq!(revocations.last_number(), u64::try_from(all.len()).unwrap());
                for age in 0..20 {
                    let issued_at = Timestamp::from_unix_seconds(now.unix_seconds() - age);
                    for (token, client) in [("0", "1"), ("2", "3"), ("9", "0"), ("1", "9")] {
                        let claims = Claims {
                            token_id: token.into(), client_id: client.into(), issued_at, ..Claims::default()
                        };
                        let keys: Vec<_> = RevocationKey::all_of(&claims).collect();
                        let expected = all.iter().any(|r| keys.contains(&r.key) && r.until > now && r.concerns(issued_at));
                        if expected {
                            prop_assert!(revocations.contains(&claims));
                        }
                    }
                }
                // Whoever asks for what is new misses nothing that still matters.
                let half = revocations.last_number() / 2;
                let new: Vec<u64> = revocations.after(half).map(|(number, _)| *number).collect();
                for (number, revocation) in (1u64..).zip(&all).filter(|(number, _)| *number > half) {
                    prop_assert!(revocation.until <= now || new.contains(&number));
                }
                prop_assert!(revocations.count() <= all.len());
            }
        }
    }
}
