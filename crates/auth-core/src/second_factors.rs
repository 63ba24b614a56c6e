//! What persons show beside their passwords: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it
//! is lost.
//!
//! Whether a code is right is found out elsewhere, where the secret can be opened. That it is good once is decided here, by
//! one writer, so that of many showings at once exactly one is the first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use lombard_types::Timestamp;

use crate::{RestoreError, UserId};

/// The second factors of all persons who have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecondFactors {
    by_user: BTreeMap<UserId, Arc<SecondFactor>>,
}

/// A person's second factor.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Whose.
    pub user: UserId,
    /// The secret that is in the authenticator app too, sealed with the master key.
    pub sealed_secret: Box<[u8]>,
    /// The newest time step whose code was used: neither its code nor an older one is good again (RFC 6238 section 5.2).
    pub used_step: u64,
    /// SHA-256 of the recovery codes that are left.
    pub recovery_codes_sha256: BTreeSet<[u8; 32]>,
    /// Since when it is asked for; names this enrolment among those of the person.
    pub enrolled_at: Timestamp,
    /// The client that did it, as an administrator or for a person who was logging in.
    pub enrolled_by: Box<str>,
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Gives a person a second factor. The person must be there.
    Enrol {
        /// The factor; its time is set by the decision.
        factor: SecondFactor,
    },
    /// Uses the code of a time step, which was found to be right.
    UseStep {
        /// Whose.
        user: UserId,
        /// Of which enrolment the secret was.
        enrolled_at: Timestamp,
        /// The step.
        step: u64,
    },
    /// Uses a recovery code.
    UseRecoveryCode {
        /// Whose.
        user: UserId,
        /// SHA-256 of the code.
        sha256: [u8; 32],
    },
    /// Takes a person's second factor away, as when it is lost. Whoever was logged in is so no more.
    Remove {
        /// Whose.
        user: UserId,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person has a second factor.
    Enrolled(Arc<SecondFactor>),
    /// The code of a step was used.
    StepUsed {
        /// Whose.
        user: UserId,
        /// The step.
        step: u64,
    },
    /// A recovery code was used.
    RecoveryCodeUsed {
        /// Whose.
        user: UserId,
        /// SHA-256 of the code.
        sha256: [u8; 32],
    },
    /// A person has no second factor any more.
    Removed {
        /// Whose.
        user: UserId,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The person has the factor.
    Enrolled(Arc<SecondFactor>),
    /// The code was good, and is so no more.
    Used {
        /// How many recovery codes are left.
        recovery_codes_left: usize,
    },
    /// The factor is gone.
    Removed,
}

/// Why a command has no effect. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such person.
    UserNotFound,
    /// The person has a second factor already.
    AlreadyEnrolled,
    /// The person has none, or another one by now.
    NotEnrolled,
    /// The code was used before, or it is no recovery code of the person that is left.
    CodeUsed,
}

type Decision = crate::Decision<Event, Reply>;

impl SecondFactors {
    /// A person's.
    pub fn get(&self, user: UserId) -> Option<&Arc<SecondFactor>> {
        self.by_user.get(&user)
    }

    /// All of them, by person.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<SecondFactor>> {
        self.by_user.values()
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        let enrolled = |user: &UserId| self.by_user.get(user).ok_or(Rejection::NotEnrolled);
        match command {
            Command::Enrol { factor } => {
                if self.by_user.contains_key(&factor.user) {
                    return Err(Rejection::AlreadyEnrolled);
                }
                let factor = Arc::new(SecondFactor { enrolled_at: now, ..factor });
                let event = Event::Enrolled(Arc::clone(&factor));
                Ok(Decision::Commit(vec![event], Reply::Enrolled(factor)))
            }
            Command::UseStep { user, enrolled_at, step } => {
                let factor = enrolled(&user)?;
                if factor.enrolled_at != enrolled_at {
                    return Err(Rejection::NotEnrolled);
                }
                if step <= factor.used_step {
                    return Err(Rejection::CodeUsed);
                }
                let recovery_codes_left = factor.recovery_codes_sha256.len();
                let event = Event::StepUsed { user, step };
                Ok(Decision::Commit(vec![event], Reply::Used { recovery_codes_left }))
            }
            Command::UseRecoveryCode { user, sha256 } => {
                let factor = enrolled(&user)?;
                if !factor.recovery_codes_sha256.contains(&sha256) {
                    return Err(Rejection::CodeUsed);
                }
                let recovery_codes_left = factor.recovery_codes_sha256.len() - 1;
                let event = Event::RecoveryCodeUsed { user, sha256 };
                Ok(Decision::Commit(vec![event], Reply::Used { recovery_codes_left }))
            }
            Command::Remove { user } => {
                enrolled(&user)?;
                Ok(Decision::Commit(vec![Event::Removed { user }], Reply::Removed))
            }
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        let mut change = |user: &UserId, change: &dyn Fn(&mut SecondFactor)| {
            if let Some(factor) = self.by_user.get_mut(user) {
                change(Arc::make_mut(factor));
            }
        };
        match event {
            Event::Enrolled(factor) => {
                self.by_user.insert(factor.user, Arc::clone(factor));
            }
            Event::StepUsed { user, step } => change(user, &|factor| factor.used_step = *step),
            Event::RecoveryCodeUsed { user, sha256 } => change(user, &|factor| {
                factor.recovery_codes_sha256.remove(sha256);
            }),
            Event::Removed { user } => self.remove(*user),
        }
    }

    pub(crate) fn remove(&mut self, user: UserId) {
        self.by_user.remove(&user);
    }

    /// Adds a factor as it was.
    pub fn restore(&mut self, factor: SecondFactor) -> Result<(), RestoreError> {
        match self.by_user.insert(factor.user, Arc::new(factor)) {
            None => Ok(()),
            Some(_) => Err(RestoreError::Twice),
        }
    }
}

impl Event {
    /// Whose sessions and grants end with it: who lost the factor may have lost more.
    pub(crate) fn ends_logins_of(&self) -> Option<UserId> {
        match self {
            Self::Removed { user } => Some(*user),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADA: UserId = UserId([1; 16]);
    const BOB: UserId = UserId([2; 16]);

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    fn enrol(user: UserId, used_step: u64) -> Command {
        let factor = SecondFactor {
            user,
            sealed_secret: [7; 4].into(),
            used_step,
            recovery_codes_sha256: [[1; 32], [2; 32]].into(),
            enrolled_at: Timestamp::EPOCH,
            enrolled_by: "admin".into(),
        };
        Command::Enrol { factor }
    }

    /// Decides and applies.
    fn submit(
        factors: &mut SecondFactors,
        command: Command,
        now: Timestamp,
    ) -> Result<Reply, Rejection> {
        match factors.decide(command, now)? {
            Decision::Answer(reply) => Ok(reply),
            Decision::Commit(events, reply) => {
                events.iter().for_each(|event| factors.apply(event));
                Ok(reply)
            }
        }
    }

    #[test]
    fn a_step_is_good_once_and_older_ones_with_it() {
        let mut factors = SecondFactors::default();
        assert!(submit(&mut factors, enrol(ADA, 10), at(5)).is_ok());
        let used = Ok(Reply::Used { recovery_codes_left: 2 });
        for (user, enrolled_at, step, expected) in [
            (ADA, 5, 10, Err(Rejection::CodeUsed)),
            (ADA, 5, 12, used.clone()),
            (ADA, 5, 12, Err(Rejection::CodeUsed)),
            (ADA, 5, 11, Err(Rejection::CodeUsed)),
            (ADA, 4, 13, Err(Rejection::NotEnrolled)),
            (BOB, 5, 13, Err(Rejection::NotEnrolled)),
            (ADA, 5, 13, used),
        ] {
            let command = Command::UseStep { user, enrolled_at: at(enrolled_at), step };
            assert_eq!(submit(&mut factors, command, at(9)), expected, "{user} {step}");
        }
    }

    #[test]
    fn a_recovery_code_is_good_once_and_its_owners() {
        let mut factors = SecondFactors::default();
        submit(&mut factors, enrol(ADA, 0), at(5)).unwrap();
        for (user, byte, expected) in [
            (BOB, 1, Err(Rejection::NotEnrolled)),
            (ADA, 3, Err(Rejection::CodeUsed)),
            (ADA, 1, Ok(Reply::Used { recovery_codes_left: 1 })),
            (ADA, 1, Err(Rejection::CodeUsed)),
            (ADA, 2, Ok(Reply::Used { recovery_codes_left: 0 })),
        ] {
            let command = Command::UseRecoveryCode { user, sha256: [byte; 32] };
            assert_eq!(submit(&mut factors, command, at(9)), expected, "{user} {byte}");
        }
    }

    #[test]
    fn there_is_one_at_a_time() {
        let mut factors = SecondFactors::default();
        submit(&mut factors, enrol(ADA, 0), at(5)).unwrap();
        let again = submit(&mut factors, enrol(ADA, 0), at(6));
        assert_eq!(again, Err(Rejection::AlreadyEnrolled));
        assert_eq!(submit(&mut factors, Command::Remove { user: ADA }, at(7)), Ok(Reply::Removed));
        let gone = submit(&mut factors, Command::Remove { user: ADA }, at(8));
        assert_eq!(gone, Err(Rejection::NotEnrolled));
        // What the first could still have used is worth nothing for the second.
        submit(&mut factors, enrol(ADA, 0), at(9)).unwrap();
        let command = Command::UseStep { user: ADA, enrolled_at: at(5), step: 99 };
        assert_eq!(submit(&mut factors, command, at(9)), Err(Rejection::NotEnrolled));
    }

    proptest! {
        /// Whatever is shown in whatever order: the steps that are taken only grow, and each code is taken at most once.
        #[test]
        fn nothing_is_good_twice(shown in prop::collection::vec((any::<bool>(), 0u64..6), 0..40)) {
            let mut factors = SecondFactors::default();
            submit(&mut factors, enrol(ADA, 0), at(5)).unwrap();
            let (mut newest, mut left) = (0, BTreeSet::from([1, 2]));
            for (is_step, number) in shown {
                let byte = u8::try_from(number).unwrap_or_default();
                let command = if is_step {
                    Command::UseStep { user: ADA, enrolled_at: at(5), step: number }
                } else {
                    Command::UseRecoveryCode { user: ADA, sha256: [byte; 32] }
                };
                let is_new = if is_step { number > newest } else { left.remove(&byte) };
                if is_step && is_new {
                    newest = number;
                }
                prop_assert_eq!(submit(&mut factors, command, at(9)).is_ok(), is_new);
            }
        }
    }
}
