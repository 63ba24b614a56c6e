//! The keys that tokens are signed with: published before they are used, and for as long as what they signed is good.
//!
//! ```text
//!  standby ──activate──► active ──another is activated──► retiring ──► gone
//!     └──────────────────────┴────────compromise────────────┴────────► gone, and what it signed is good no more
//! ```
//!
//! Of each algorithm that is begun with there is always one standby and one active key: whatever takes one away brings another
//! of the same. Only public halves are here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lombard_token::{Algorithm, PublicJwk};
use lombard_types::Timestamp;

use crate::RestoreError;

/// The published keys, by `kid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningKeys {
    by_kid: BTreeMap<Box<str>, Arc<PublishedKey>>,
}

/// A key that verifiers know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its public half.
    pub jwk: PublicJwk,
    /// When it was published.
    pub published_at: Timestamp,
    /// What it is used for.
    pub phase: Phase,
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing yet: verifiers learn it.
    Standby,
    /// Signing, since then.
    Active(Timestamp),
    /// Verifying what it signed, since then.
    Retiring(Timestamp),
}

impl Phase {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Active(_) => "active",
            Self::Retiring(_) => "retiring",
        }
    }
}

/// When what happens to keys.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How long a key is published before it is used: longer than verifiers keep a key set.
    pub prepublish: Duration,
    /// How long a key is used.
    pub active: Duration,
    /// How long a key is published after that: longer than what it signed is good.
    pub retire: Duration,
}

/// What is to be done about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The standby of this algorithm takes over.
    Rotate(Algorithm),
    /// A key is published no more.
    Retire(Box<str>),
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Signs with a new key from now on: at the first start, where an algorithm is wanted for the first time, or where the private
    /// half of a key is lost.
    Begin {
        /// The key to sign with.
        active: PublicJwk,
        /// The one after it, of the same algorithm.
        standby: PublicJwk,
    },
    /// The standby of an algorithm takes over.
    Rotate {
        /// The standby from now on: its algorithm is the one that is meant.
        next: PublicJwk,
        /// How long the standby must have been published.
        prepublish: Duration,
    },
    /// A key is published no more, since nothing that it signed is good any more.
    Retire {
        /// Which.
        kid: Box<str>,
        /// How long it must have been published since it was used last.
        retire: Duration,
    },
    /// Somebody else may have the private half: nothing that it signed is good any more.
    Compromise {
        /// Which.
        kid: Box<str>,
        /// The standby from now on, of the same algorithm, where the key or the standby takes its place.
        next: PublicJwk,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key was published.
    Published {
        /// Its public half.
        jwk: PublicJwk,
        /// When.
        at: Timestamp,
    },
    /// A key is used from now on, and the one of its algorithm before is not.
    Activated {
        /// Which.
        kid: Box<str>,
        /// When.
        at: Timestamp,
    },
    /// A key is published no more.
    Retired {
        /// Which.
        kid: Box<str>,
    },
    /// A key is published no more, and what it signed is good no more.
    Compromised {
        /// Which.
        kid: Box<str>,
    },
}

/// What took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is as it was asked for.
    Done,
}

/// Why a command has no effect. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No such key is published, or none at all.
    KeyNotFound,
    /// Two keys that follow each other are of two algorithms.
    OtherAlgorithm,
    /// A key that is new is known already.
    KeyExists,
    /// There are as many keys as verifiers take.
    TooManyKeys,
    /// It is too early for this.
    TooEarly {
        /// When it will be time.
        ready_at: Timestamp,
    },
    /// The key is in use, or not yet.
    NotRetiring,
}

type Decision = crate::Decision<Event, Reply>;

impl SigningKeys {
    /// Keys there may be when another is published: well below what verifiers take of a key set, so that there is always
    /// room for the keys that take the place of lost ones.
    pub const COUNT_MAX: usize = 16;

    /// All of them, by `kid`.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PublishedKey>> {
        self.by_kid.values()
    }

    /// The one with this `kid`.
    pub fn get(&self, kid: &str) -> Option<&Arc<PublishedKey>> {
        self.by_kid.get(kid)
    }

    /// The one that signs with this algorithm.
    pub fn active(&self, algorithm: Algorithm) -> Option<&Arc<PublishedKey>> {
        self.of(algorithm).find(|key| matches!(key.phase, Phase::Active(_)))
    }

    /// The one that is next with this algorithm.
    pub fn standby(&self, algorithm: Algorithm) -> Option<&Arc<PublishedKey>> {
        self.of(algorithm).find(|key| key.phase == Phase::Standby)
    }

    fn of(&self, algorithm: Algorithm) -> impl Iterator<Item = &Arc<PublishedKey>> {
        self.iter().filter(move |key| key.jwk.algorithm() == algorithm)
    }

    /// The algorithms that there are keys to sign with.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(|algorithm| self.active(*algorithm).is_some())
    }

    /// What is to be done next, and when; nothing before a key is published.
    pub fn next_step(&self, schedule: Schedule) -> Option<(Timestamp, Step)> {
        let step = |key: &Arc<PublishedKey>| match key.phase {
            Phase::Standby => None,
            Phase::Active(since) => {
                let algorithm = key.jwk.algorithm();
                let standby = self.standby(algorithm)?;
                let ready_at = standby.published_at.plus(schedule.prepublish);
                Some((since.plus(schedule.active).max(ready_at), Step::Rotate(algorithm)))
            }
            Phase::Retiring(since) => {
                Some((since.plus(schedule.retire), Step::Retire(key.jwk.kid().into())))
            }
        };
        self.iter().filter_map(step).min_by_key(|(at, _)| *at)
    }

    /// Adds a key as it was.
    pub fn restore(&mut self, key: PublishedKey) -> Result<(), RestoreError> {
        match self.by_kid.insert(key.jwk.kid().into(), Arc::new(key)) {
            None => Ok(()),
            Some(_) => Err(RestoreError::Twice),
        }
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        let published = |jwk| Event::Published { jwk, at: now };
        let activated = |kid: &str| Event::Activated { kid: kid.into(), at: now };
        let events = match command {
            Command::Begin { active, standby } => {
                must_be_of(&standby, active.algorithm())?;
                self.must_be_new(&active)?;
                self.must_be_new(&standby)?;
                let before = self.standby(active.algorithm());
                let before = before.map(|key| Event::Retired { kid: key.jwk.kid().into() });
                let activated = activated(active.kid());
                before
                    .into_iter()
                    .chain([published(active), activated, published(standby)])
                    .collect()
            }
            Command::Rotate { next, prepublish } => {
                let standby = self.standby(next.algorithm()).ok_or(Rejection::KeyNotFound)?;
                self.must_be_new(&next)?;
                if self.by_kid.len() >= Self::COUNT_MAX {
                    return Err(Rejection::TooManyKeys);
                }
                must_be(standby.published_at.plus(prepublish), now)?;
                vec![activated(standby.jwk.kid()), published(next)]
            }
            Command::Retire { kid, retire } => {
                let key = self.get(&kid).ok_or(Rejection::KeyNotFound)?;
                let Phase::Retiring(since) = key.phase else { return Err(Rejection::NotRetiring) };
                must_be(since.plus(retire), now)?;
                vec![Event::Retired { kid }]
            }
            Command::Compromise { kid, next } => {
                let key = self.get(&kid).ok_or(Rejection::KeyNotFound)?;
                let algorithm = key.jwk.algorithm();
                let standby = self.standby(algorithm).ok_or(Rejection::KeyNotFound)?;
                must_be_of(&next, algorithm)?;
                self.must_be_new(&next)?;
                let successor = match key.phase {
                    Phase::Standby => vec![published(next)],
                    Phase::Active(_) => vec![activated(standby.jwk.kid()), published(next)],
                    Phase::Retiring(_) => Vec::new(),
                };
                [vec![Event::Compromised { kid }], successor].concat()
            }
        };
        Ok(Decision::Commit(events, Reply::Done))
    }

    fn must_be_new(&self, jwk: &PublicJwk) -> Result<(), Rejection> {
        if self.by_kid.contains_key(jwk.kid()) { Err(Rejection::KeyExists) } else { Ok(()) }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Published { jwk, at } => {
                let key =
                    PublishedKey { jwk: jwk.clone(), published_at: *at, phase: Phase::Standby };
                self.by_kid.insert(jwk.kid().into(), Arc::new(key));
            }
            Event::Activated { kid, at } => {
                let algorithm = self.get(kid).map(|key| key.jwk.algorithm());
                for (other, key) in &mut self.by_kid {
                    if other == kid {
                        Arc::make_mut(key).phase = Phase::Active(*at);
                    } else if matches!(key.phase, Phase::Active(_))
                        && Some(key.jwk.algorithm()) == algorithm
                    {
                        Arc::make_mut(key).phase = Phase::Retiring(*at);
                    }
                }
            }
            Event::Retired { kid } | Event::Compromised { kid } => {
                self.by_kid.remove(kid);
            }
        }
    }
}

fn must_be_of(jwk: &PublicJwk, algorithm: Algorithm) -> Result<(), Rejection> {
    if jwk.algorithm() == algorithm { Ok(()) } else { Err(Rejection::OtherAlgorithm) }
}

fn must_be(ready_at: Timestamp, now: Timestamp) -> Result<(), Rejection> {
    if ready_at > now { Err(Rejection::TooEarly { ready_at }) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests;
