//! The passkeys of persons (WebAuthn): what each is known by, and that none is used that seems to have been copied.
//!
//! What an authenticator says is checked elsewhere; here is decided what of it is new.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use lombard_types::Timestamp;

use crate::{PersonText, RestoreError, UserId};

/// The passkeys of all persons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passkeys {
    by_id: BTreeMap<CredentialId, Arc<Passkey>>,
    by_user: BTreeSet<(UserId, CredentialId)>,
}

/// What an authenticator calls a passkey: bytes of its own choice, which are not secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialId(pub Box<[u8]>);

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({} bytes)", self.0.len())
    }
}

/// A passkey.
#[derive(Clone, PartialEq, Eq)]
pub struct Passkey {
    /// What the authenticator calls it.
    pub id: CredentialId,
    /// Whose it is.
    pub user: UserId,
    /// What the person calls it.
    pub name: PersonText,
    /// Its public key, as whoever checks signatures keeps it.
    pub public_key: Box<[u8]>,
    /// How often it was used; 0 where the authenticator does not count.
    pub sign_count: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last.
    pub used_at: Option<Timestamp>,
}

impl fmt::Debug for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passkey").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Gives a person a passkey. The person must be there.
    Register {
        /// The passkey; its times are set by the decision.
        passkey: Passkey,
        /// Most passkeys of one person.
        per_user_max: usize,
    },
    /// Uses a passkey, whose signature was found to be right.
    Use {
        /// Which.
        id: CredentialId,
        /// How often it was used, as the authenticator says.
        sign_count: u32,
    },
    /// Takes a passkey away. Whoever was logged in as the person is so no more.
    Remove {
        /// Whose.
        user: UserId,
        /// Which.
        id: CredentialId,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person has a passkey.
    Registered(Arc<Passkey>),
    /// A passkey was used.
    Used {
        /// Which.
        id: CredentialId,
        /// How often it was used.
        sign_count: u32,
        /// When.
        at: Timestamp,
    },
    /// A person has a passkey no more.
    Removed {
        /// Whose.
        user: UserId,
        /// Which.
        id: CredentialId,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The passkey is there.
    Registered(Arc<Passkey>),
    /// The passkey was good.
    Used,
    /// The passkey is gone.
    Removed,
}

/// Why a command has no effect. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such person.
    UserNotFound,
    /// There is such a passkey already, be it another person's.
    PasskeyExists,
    /// The person has as many passkeys as one may have.
    TooManyPasskeys,
    /// The person has no such passkey.
    PasskeyNotFound,
    /// It was used more often before: there are two of it (WebAuthn section 6.1.1).
    Copied,
}

type Decision = crate::Decision<Event, Reply>;

impl Passkeys {
    /// The passkey of this id.
    pub fn get(&self, id: &CredentialId) -> Option<&Arc<Passkey>> {
        self.by_id.get(id)
    }

    /// A person's, by id.
    pub fn of_user(&self, user: UserId) -> impl Iterator<Item = &Arc<Passkey>> {
        let own = self.by_user.range((user, CredentialId(Box::default()))..);
        let own = own.take_while(move |(other, _)| *other == user);
        own.filter_map(|(_, id)| self.by_id.get(id))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Passkey>> {
        self.by_id.values()
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::Register { passkey, per_user_max } => {
                if self.by_id.contains_key(&passkey.id) {
                    return Err(Rejection::PasskeyExists);
                }
                if self.of_user(passkey.user).take(per_user_max).count() >= per_user_max {
                    return Err(Rejection::TooManyPasskeys);
                }
                let passkey = Arc::new(Passkey { created_at: now, used_at: None, ..passkey });
                let event = Event::Registered(Arc::clone(&passkey));
                Ok(Decision::Commit(vec![event], Reply::Registered(passkey)))
            }
            Command::Use { id, sign_count } => {
                let passkey = self.get(&id).ok_or(Rejection::PasskeyNotFound)?;
                let counts = sign_count != 0 || passkey.sign_count != 0;
                if counts && sign_count <= passkey.sign_count {
                    return Err(Rejection::Copied);
                }
                let event = Event::Used { id, sign_count, at: now };
                Ok(Decision::Commit(vec![event], Reply::Used))
            }
            Command::Remove { user, id } => {
                let passkey = self.get(&id).filter(|passkey| passkey.user == user);
                passkey.ok_or(Rejection::PasskeyNotFound)?;
                Ok(Decision::Commit(vec![Event::Removed { user, id }], Reply::Removed))
            }
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Registered(passkey) => self.insert(Arc::clone(passkey)),
            Event::Used { id, sign_count, at } => {
                if let Some(passkey) = self.by_id.get_mut(id) {
                    let passkey = Arc::make_mut(passkey);
                    (passkey.sign_count, passkey.used_at) = (*sign_count, Some(*at));
                }
            }
            Event::Removed { user, id } => {
                self.by_id.remove(id);
                self.by_user.remove(&(*user, id.clone()));
            }
        }
    }

    fn insert(&mut self, passkey: Arc<Passkey>) {
        self.by_user.insert((passkey.user, passkey.id.clone()));
        self.by_id.insert(passkey.id.clone(), passkey);
    }

    pub(crate) fn remove_all_of(&mut self, user: UserId) {
        let own: Vec<CredentialId> = self.of_user(user).map(|own| own.id.clone()).collect();
        for id in own {
            self.by_id.remove(&id);
            self.by_user.remove(&(user, id));
        }
    }

    /// Adds a passkey as it was.
    pub fn restore(&mut self, passkey: Passkey) -> Result<(), RestoreError> {
        if self.by_id.contains_key(&passkey.id) {
            return Err(RestoreError::Twice);
        }
        self.insert(Arc::new(passkey));
        Ok(())
    }
}

impl Event {
    /// Whose sessions and grants end with it: a passkey is taken away when somebody else may have it.
    pub(crate) fn ends_logins_of(&self) -> Option<UserId> {
        match self {
            Self::Removed { user, .. } => Some(*user),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId([1; 16]);
    const BOB: UserId = UserId([2; 16]);

    fn id(byte: u8) -> CredentialId {
        CredentialId([byte; 4].into())
    }

    fn submit(passkeys: &mut Passkeys, command: Command) -> Result<(), Rejection> {
        if let Decision::Commit(events, _) = passkeys.decide(command, Timestamp::EPOCH)? {
            events.iter().for_each(|event| passkeys.apply(event));
        }
        Ok(())
    }

    fn register(user: UserId, byte: u8, sign_count: u32) -> Command {
        let passkey = Passkey {
            id: id(byte),
            user,
            name: "phone".parse().unwrap(),
            public_key: [byte; 3].into(),
            sign_count,
            created_at: Timestamp::EPOCH,
            used_at: None,
        };
        Command::Register { passkey, per_user_max: 2 }
    }

    #[test]
    fn ids_are_everybodys_and_persons_have_so_many() {
        let mut passkeys = Passkeys::default();
        for (command, expected) in [
            (register(ADA, 1, 0), Ok(())),
            (register(BOB, 1, 0), Err(Rejection::PasskeyExists)),
            (register(ADA, 2, 0), Ok(())),
            (register(ADA, 3, 0), Err(Rejection::TooManyPasskeys)),
            (register(BOB, 3, 0), Ok(())),
            (Command::Remove { user: ADA, id: id(3) }, Err(Rejection::PasskeyNotFound)),
            (Command::Remove { user: BOB, id: id(3) }, Ok(())),
            (Command::Use { id: id(3), sign_count: 0 }, Err(Rejection::PasskeyNotFound)),
        ] {
            assert_eq!(submit(&mut passkeys, command.clone()), expected, "{command:?}");
        }
        assert_eq!(passkeys.of_user(ADA).count(), 2);
        passkeys.remove_all_of(ADA);
        assert_eq!((passkeys.of_user(ADA).count(), passkeys.iter().len()), (0, 0));
    }

    #[test]
    fn a_count_that_does_not_grow_is_a_copys() {
        let copied = Err(Rejection::Copied);
        for (before, shown, expected) in [
            (0, 0, Ok(())),
            (0, 1, Ok(())),
            (5, 6, Ok(())),
            (5, 5, copied),
            (5, 4, copied),
            (5, 0, copied),
        ] {
            let mut passkeys = Passkeys::default();
            submit(&mut passkeys, register(ADA, 1, before)).unwrap();
            let command = Command::Use { id: id(1), sign_count: shown };
            assert_eq!(submit(&mut passkeys, command), expected, "{before} {shown}");
        }
    }
}
