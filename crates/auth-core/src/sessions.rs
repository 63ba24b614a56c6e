//! Who is logged in, in which browser.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use lombard_types::Timestamp;

use crate::{ParseIdError, RestoreError, UserId, user::parse_hex};

/// A login of a person in one browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Names it (`sid`), and opens nothing.
    pub id: SessionId,
    /// SHA-256 of what the browser shows to be in it.
    pub secret_sha256: [u8; 32],
    /// Who is logged in.
    pub user: UserId,
    /// How the person logged in.
    pub acr: Acr,
    /// When.
    pub authenticated_at: Timestamp,
    /// From when on it is over.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The id of a session: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

impl FromStr for SessionId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a person was authenticated (`acr`, OpenID Connect Core section 2), weaker ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acr {
    /// With a password.
    Password,
    /// With a password, and a code of an authenticator app or a recovery code.
    MultiFactor,
    /// With a passkey, whose authenticator verified the person: no page of others can get anything of it.
    Passkey,
}

impl Acr {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Password, Self::MultiFactor, Self::Passkey];

    /// The value of `acr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "urn:lombard:acr:password",
            Self::MultiFactor => "urn:lombard:acr:mfa",
            Self::Passkey => "urn:lombard:acr:passkey",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acr| acr.name() == name)
    }

    /// The values of `amr` (RFC 8176).
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::MultiFactor => &["pwd", "otp", "mfa"],
            Self::Passkey => &["pop", "user", "mfa"],
        }
    }
}

/// All sessions that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    by_id: BTreeMap<SessionId, Arc<Session>>,
    by_secret: BTreeMap<[u8; 32], SessionId>,
    /// With their number in the order of beginnings, oldest first.
    by_user: BTreeMap<UserId, Vec<SessionId>>,
    by_expiry: BTreeSet<(Timestamp, SessionId)>,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begins a session after a login, or goes on with the browser's session where the same person logs in again: under
    /// another secret, with what was granted in it. The oldest of the person's ends where there are too many.
    Start {
        /// The session; its times are set by the decision.
        session: Session,
        /// The session that the same browser was in before; one of another person ends.
        replaces: Option<SessionId>,
        /// How long it lives.
        life: Duration,
        /// Most sessions of one person.
        per_user_max: usize,
        /// Most sessions of all.
        sessions_max: usize,
    },
    /// Ends a session: the person logs out.
    End {
        /// Which.
        id: SessionId,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session began, or went on under another secret.
    Started(Arc<Session>),
    /// A session ended before its time.
    Ended {
        /// Which.
        id: SessionId,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The session is there.
    Started(Arc<Session>),
    /// The session is over, from now on or from before.
    Ended,
}

/// Why a command has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There are as many sessions as there may be.
    TooManySessions,
}

type Decision = crate::Decision<Event, Reply>;

impl Sessions {
    /// The session whose browser shows a secret with this digest, if it is not over.
    pub fn with_secret(&self, sha256: &[u8; 32], now: Timestamp) -> Option<&Arc<Session>> {
        self.get(*self.by_secret.get(sha256)?, now)
    }

    /// The session, if it is not over.
    pub fn get(&self, id: SessionId, now: Timestamp) -> Option<&Arc<Session>> {
        self.by_id.get(&id).filter(|session| session.expires_at > now)
    }

    /// The session, also one that is over and not yet forgotten.
    pub(crate) fn of_any_time(&self, id: SessionId) -> Option<&Arc<Session>> {
        self.by_id.get(&id)
    }

    /// A person's sessions, oldest first.
    pub fn of_user(&self, user: UserId) -> impl Iterator<Item = &Arc<Session>> {
        let ids = self.by_user.get(&user).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// All of them: those of one person in the order in which they began.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.by_user.values().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::Start { session, replaces, life, per_user_max, sessions_max } => {
                let replaced = replaces.and_then(|id| self.by_id.get(&id));
                let renewed = replaced.filter(|replaced| replaced.user == session.user);
                let id = renewed.map_or(session.id, |renewed| renewed.id);
                let own = self.of_user(session.user).map(|own| own.id).filter(|own| *own != id);
                let own: Vec<SessionId> = own.collect();
                let surplus = (own.len() + 1).saturating_sub(per_user_max);
                let mut ended: BTreeSet<SessionId> = own.into_iter().take(surplus).collect();
                ended.extend(replaced.filter(|_| renewed.is_none()).map(|replaced| replaced.id));
                let count = self.count() + usize::from(renewed.is_none());
                if count.saturating_sub(ended.len()) > sessions_max {
                    return Err(Rejection::TooManySessions);
                }
                let (authenticated_at, expires_at) = (now, now.plus(life));
                let session = Session { id, authenticated_at, expires_at, ..session };
                let session = Arc::new(session);
                let mut events: Vec<Event> =
                    ended.into_iter().map(|id| Event::Ended { id }).collect();
                events.push(Event::Started(Arc::clone(&session)));
                Ok(Decision::Commit(events, Reply::Started(session)))
            }
            Command::End { id } => Ok(match self.by_id.get(&id) {
                Some(_) => Decision::Commit(vec![Event::Ended { id }], Reply::Ended),
                None => Decision::Answer(Reply::Ended),
            }),
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Started(session) => {
                self.remove(session.id);
                self.insert(Arc::clone(session));
            }
            Event::Ended { id } => self.remove(*id),
        }
    }

    fn insert(&mut self, session: Arc<Session>) {
        self.by_secret.insert(session.secret_sha256, session.id);
        self.by_user.entry(session.user).or_default().push(session.id);
        self.by_expiry.insert((session.expires_at, session.id));
        self.by_id.insert(session.id, session);
    }

    fn remove(&mut self, id: SessionId) {
        let Some(session) = self.by_id.remove(&id) else { return };
        self.by_secret.remove(&session.secret_sha256);
        self.by_expiry.remove(&(session.expires_at, id));
        if let Some(own) = self.by_user.get_mut(&session.user) {
            own.retain(|other| *other != id);
            if own.is_empty() {
                self.by_user.remove(&session.user);
            }
        }
    }

    pub(crate) fn end_all_of(&mut self, user: UserId) {
        for id in self.by_user.get(&user).cloned().unwrap_or_default() {
            self.remove(id);
        }
    }

    /// Forgets those that are over.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        while let Some(&(expires_at, id)) = self.by_expiry.first()
            && expires_at <= now
        {
            self.remove(id);
        }
    }

    /// Adds a session as it was.
    pub fn restore(&mut self, session: Session) -> Result<(), RestoreError> {
        if self.by_id.contains_key(&session.id)
            || self.by_secret.contains_key(&session.secret_sha256)
        {
            return Err(RestoreError::Twice);
        }
        self.insert(Arc::new(session));
        Ok(())
    }
}
