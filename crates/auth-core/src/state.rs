//! The whole state, and what of one part leads to another.

use std::{collections::BTreeSet, time::Duration};

use lombard_token::Revocation;
use lombard_types::{ClientId, Timestamp};

use crate::{
    AuditEntry, Client, Clients, Decision, Grants, Logouts, OpaqueTokens, Passkeys, Revocations,
    SecondFactors, SessionId, Sessions, SigningKeys, Target, Telling, UserId, Users, clients,
    grants, logouts, opaque_tokens, passkeys, second_factors, sessions, signing_keys, users,
};

/// All that the authorization server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The registered clients.
    pub clients: Clients,
    /// The persons who may log in.
    pub users: Users,
    /// What they show beside their passwords.
    pub second_factors: SecondFactors,
    /// And in place of them.
    pub passkeys: Passkeys,
    /// Who is logged in.
    pub sessions: Sessions,
    /// What persons have allowed clients.
    pub grants: Grants,
    /// Which clients must hear that somebody has left.
    pub logouts: Logouts,
    /// What access tokens stand for that do not say it themselves.
    pub opaque_tokens: OpaqueTokens,
    /// What tokens are signed with.
    pub signing_keys: SigningKeys,
    /// What was taken back.
    pub revocations: Revocations,
    /// Whether anything ever happened here, even if nothing is left of it.
    pub has_history: bool,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Registers the clients of the first start, all or none, if nothing ever happened before: a client that was removed
    /// since does not come back with the next start.
    Bootstrap {
        /// The clients; their time is set by the decision.
        clients: Vec<Client>,
    },
    /// About a client. Tokens of one that is removed are good no more.
    Client(clients::Command, Lives),
    /// About a person.
    User(users::Command, Lives),
    /// About a person's second factor.
    SecondFactor(second_factors::Command, Lives),
    /// About a person's passkey.
    Passkey(passkeys::Command, Lives),
    /// About a session.
    Session(sessions::Command, Lives),
    /// About a grant.
    Grant(grants::Command, Lives),
    /// About a logout that a client must hear of.
    Logout(logouts::Command, Lives),
    /// About an access token that does not say what it stands for.
    OpaqueToken(opaque_tokens::Command),
    /// About the keys that tokens are signed with.
    SigningKey(signing_keys::Command, Lives),
    /// Records what was decided.
    Audit(Vec<AuditEntry>),
    /// Takes tokens back.
    Revoke {
        /// Which.
        target: Target,
        /// When the last of them expires.
        until: Timestamp,
        /// Most revocations that are kept.
        revocations_max: usize,
    },
}

/// How long what a command may take back lives, and how clients are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// How long an access token is good, with a margin for clocks.
    pub access_token: Duration,
    /// How clients hear that a session is over.
    pub telling: Telling,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To a client.
    Client(clients::Event),
    /// To a person.
    User(users::Event),
    /// To a person's second factor.
    SecondFactor(second_factors::Event),
    /// To a person's passkey.
    Passkey(passkeys::Event),
    /// To a session.
    Session(sessions::Event),
    /// To a grant.
    Grant(grants::Event),
    /// To a logout that a client must hear of.
    Logout(logouts::Event),
    /// To an access token that does not say what it stands for.
    OpaqueToken(opaque_tokens::Event),
    /// To a key that tokens are signed with.
    SigningKey(signing_keys::Event),
    /// Something was decided.
    Audited(Vec<AuditEntry>),
    /// Tokens were taken back.
    Revoked {
        /// Which.
        target: Target,
        /// When.
        at: Timestamp,
        /// When the last of them expires.
        until: Timestamp,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The clients of the first start are there, from now on or from before.
    Bootstrapped,
    /// About a client.
    Client(clients::Reply),
    /// About a person.
    User(users::Reply),
    /// About a person's second factor.
    SecondFactor(second_factors::Reply),
    /// About a person's passkey.
    Passkey(passkeys::Reply),
    /// About a session.
    Session(sessions::Reply),
    /// About a grant.
    Grant(grants::Reply),
    /// About a logout that a client must hear of.
    Logout(logouts::Reply),
    /// About an access token that does not say what it stands for.
    OpaqueToken(opaque_tokens::Reply),
    /// About the keys that tokens are signed with.
    SigningKey(signing_keys::Reply),
    /// What was decided is recorded.
    Audited,
    /// The tokens are good no more, from now on or from before.
    Revoked,
}

/// Why a command has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// About a client.
    Client(clients::Rejection),
    /// About a person.
    User(users::Rejection),
    /// About a person's second factor.
    SecondFactor(second_factors::Rejection),
    /// About a person's passkey.
    Passkey(passkeys::Rejection),
    /// About a session.
    Session(sessions::Rejection),
    /// About a grant.
    Grant(grants::Rejection),
    /// About an access token that does not say what it stands for.
    OpaqueToken(opaque_tokens::Rejection),
    /// About the keys that tokens are signed with.
    SigningKey(signing_keys::Rejection),
    /// There are as many revocations as are kept; some are forgotten when their tokens have expired.
    TooManyRevocations,
}

/// Why something is no part of any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It is there already.
    #[error("two have one id")]
    Twice,
}

impl State {
    /// What would happen.
    pub fn decide(
        &self,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision<Event, Reply>, Rejection> {
        let (decision, lives) = match command {
            Command::Bootstrap { .. } if self.has_history => {
                return Ok(Decision::Answer(Reply::Bootstrapped));
            }
            Command::Bootstrap { clients } => return Ok(bootstrap(clients, now)),
            Command::Revoke { target, until, revocations_max } => {
                return self.revoke(target, until, revocations_max, now);
            }
            Command::Audit(entries) => {
                return Ok(Decision::Commit(vec![Event::Audited(entries)], Reply::Audited));
            }
            Command::OpaqueToken(command) => {
                let decision = self.opaque_tokens.decide(command);
                return Ok(decision.map_err(Rejection::OpaqueToken)?.into_terms());
            }
            Command::Client(command, lives) => {
                let decision = self.clients.decide(command, now).map_err(Rejection::Client)?;
                (decision.into_terms(), lives)
            }
            Command::User(command, lives) => {
                let decision = self.users.decide(command, now).map_err(Rejection::User)?;
                (decision.into_terms(), lives)
            }
            Command::SecondFactor(command, lives) => {
                self.check_person(&command).map_err(Rejection::SecondFactor)?;
                let decision = self.second_factors.decide(command, now);
                (decision.map_err(Rejection::SecondFactor)?.into_terms(), lives)
            }
            Command::Passkey(command, lives) => {
                self.check_owner(&command).map_err(Rejection::Passkey)?;
                let decision = self.passkeys.decide(command, now).map_err(Rejection::Passkey)?;
                (decision.into_terms(), lives)
            }
            Command::Session(command, lives) => {
                let decision = self.sessions.decide(command, now).map_err(Rejection::Session)?;
                (decision.into_terms(), lives)
            }
            Command::Grant(command, lives) => {
                self.check_login(&command, now).map_err(Rejection::Grant)?;
                let decision = self.grants.decide(command, now).map_err(Rejection::Grant)?;
                (decision.into_terms(), lives)
            }
            Command::Logout(command, lives) => (self.logouts.decide(command).into_terms(), lives),
            Command::SigningKey(command, lives) => {
                let decision = self.signing_keys.decide(command, now);
                (decision.map_err(Rejection::SigningKey)?.into_terms(), lives)
            }
        };
        Ok(match decision {
            Decision::Answer(reply) => Decision::Answer(reply),
            Decision::Commit(mut events, reply) => {
                let until = now.plus(lives.access_token);
                let revoked = events.iter().filter_map(takes_back);
                let revoked = revoked.map(|target| Event::Revoked { target, at: now, until });
                let revoked: Vec<Event> = revoked.collect();
                let due = self.logouts_due(&events, lives.telling, now);
                events.extend(revoked);
                events.extend(due);
                Decision::Commit(events, reply)
            }
        })
    }

    /// Each client that has an ID token of a session hears once that it is over.
    fn logouts_due(&self, events: &[Event], telling: Telling, now: Timestamp) -> Vec<Event> {
        let sessions: BTreeSet<(UserId, SessionId)> =
            events.iter().flat_map(|event| self.sessions_ended_by(event)).collect();
        let clients = sessions.into_iter().flat_map(|(user, session)| {
            let grants = self.grants.of_session(session);
            let knowing =
                grants.filter(|grant| grant.is_active() && grant.scope.contains("openid"));
            let clients: BTreeSet<&ClientId> = knowing.map(|grant| &grant.client).collect();
            clients.into_iter().map(move |client| (client.clone(), user, session))
        });
        let hears = |(client, _, _): &(ClientId, UserId, SessionId)| {
            let client = self.clients.get(client.as_str());
            client.is_some_and(|client| client.backchannel_logout_uri.is_some())
        };
        let due = self.logouts.due(clients.filter(hears), telling, now);
        due.into_iter().map(Event::Logout).collect()
    }

    fn sessions_ended_by(&self, event: &Event) -> Vec<(UserId, SessionId)> {
        let user = match event {
            Event::Session(sessions::Event::Ended { id }) => {
                let session = self.sessions.of_any_time(*id);
                return session.map(|session| (session.user, session.id)).into_iter().collect();
            }
            Event::User(event) => event.ends_logins_of(),
            Event::SecondFactor(event) => event.ends_logins_of(),
            Event::Passkey(event) => event.ends_logins_of(),
            _ => None,
        };
        let sessions = user.into_iter().flat_map(|user| self.sessions.of_user(user));
        sessions.map(|session| (session.user, session.id)).collect()
    }

    /// A second factor is a person's who is there.
    fn check_person(
        &self,
        command: &second_factors::Command,
    ) -> Result<(), second_factors::Rejection> {
        let second_factors::Command::Enrol { factor } = command else { return Ok(()) };
        let user = self.users.get(factor.user);
        user.map(|_| ()).ok_or(second_factors::Rejection::UserNotFound)
    }

    /// So is a passkey.
    fn check_owner(&self, command: &passkeys::Command) -> Result<(), passkeys::Rejection> {
        let passkeys::Command::Register { passkey, .. } = command else { return Ok(()) };
        let user = self.users.get(passkey.user);
        user.map(|_| ()).ok_or(passkeys::Rejection::UserNotFound)
    }

    /// A grant begins in a session that goes on, by a person who may log in.
    fn check_login(
        &self,
        command: &grants::Command,
        now: Timestamp,
    ) -> Result<(), grants::Rejection> {
        let grants::Command::Start { grant, .. } = command else { return Ok(()) };
        let session = self.sessions.get(grant.session, now);
        let is_theirs = session.is_some_and(|session| session.user == grant.user);
        let is_enabled = self.users.get(grant.user).is_some_and(|user| !user.is_disabled);
        let is_client = self.clients.get(grant.client.as_str()).is_some();
        if is_theirs && is_enabled && is_client {
            Ok(())
        } else {
            Err(grants::Rejection::LoggedOut)
        }
    }

    fn revoke(
        &self,
        target: Target,
        until: Timestamp,
        revocations_max: usize,
        now: Timestamp,
    ) -> Result<Decision<Event, Reply>, Rejection> {
        if until <= now || self.revocations.has(&target, now) {
            return Ok(Decision::Answer(Reply::Revoked));
        }
        if self.revocations.count() >= revocations_max {
            return Err(Rejection::TooManyRevocations);
        }
        Ok(Decision::Commit(vec![Event::Revoked { target, at: now, until }], Reply::Revoked))
    }

    /// Makes an event part of the state, and forgets what is over at its time.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        // Who was refused before the first clients are there does not keep them from coming.
        self.has_history |= !matches!(event, Event::Audited(_));
        match event {
            Event::Audited(_) => {}
            Event::Client(event) => {
                self.clients.apply(event);
                if let clients::Event::Removed { id } = event {
                    self.grants.end_all_of_client(id);
                }
            }
            Event::User(event) => {
                self.users.apply(event);
                if let users::Event::Removed { id } = event {
                    self.second_factors.remove(*id);
                    self.passkeys.remove_all_of(*id);
                }
                self.end_logins_of(event.ends_logins_of());
            }
            Event::Passkey(event) => {
                self.passkeys.apply(event);
                self.end_logins_of(event.ends_logins_of());
            }
            Event::SecondFactor(event) => {
                self.second_factors.apply(event);
                self.end_logins_of(event.ends_logins_of());
            }
            Event::Session(event) => {
                self.sessions.apply(event);
                if let sessions::Event::Ended { id } = event {
                    self.grants.end_all_of_session(*id);
                }
            }
            Event::Grant(event) => self.grants.apply(event),
            Event::Logout(event) => self.logouts.apply(event),
            Event::OpaqueToken(event) => self.opaque_tokens.apply(event),
            Event::SigningKey(event) => self.signing_keys.apply(event),
            Event::Revoked { target, at: now, until } => {
                let at = if matches!(target, Target::Key(_)) { Revocation::WHENEVER } else { *now };
                self.revocations.add(Revocation { key: target.key(), at, until: *until }, *now);
            }
        }
        self.sessions.forget(at);
        self.grants.forget(at);
        self.opaque_tokens.forget(at);
    }

    fn end_logins_of(&mut self, user: Option<UserId>) {
        if let Some(user) = user {
            self.sessions.end_all_of(user);
            self.grants.end_all_of_user(user);
        }
    }
}

fn bootstrap(clients: Vec<Client>, now: Timestamp) -> Decision<Event, Reply> {
    let register = |client| {
        let client = Client { registered_at: now, ..client };
        Event::Client(clients::Event::Registered(client.into()))
    };
    Decision::Commit(clients.into_iter().map(register).collect(), Reply::Bootstrapped)
}

/// Which tokens are good no more after an event.
fn takes_back(event: &Event) -> Option<Target> {
    match event {
        Event::Client(clients::Event::Removed { id }) => Some(Target::Client(id.as_str().into())),
        Event::Client(clients::Event::Replaced { client, ends_tokens: true }) => {
            Some(Target::Client(client.id.as_str().into()))
        }
        Event::User(event) => event.ends_logins_of().map(subject),
        Event::SecondFactor(event) => event.ends_logins_of().map(subject),
        Event::Passkey(event) => event.ends_logins_of().map(subject),
        Event::Session(sessions::Event::Ended { id }) => {
            Some(Target::Session(id.to_string().into()))
        }
        Event::Grant(grants::Event::Ended { id, .. }) => Some(Target::Grant(id.to_string().into())),
        Event::SigningKey(signing_keys::Event::Compromised { kid }) => {
            Some(Target::Key(kid.clone()))
        }
        _ => None,
    }
}

fn subject(user: UserId) -> Target {
    Target::Subject(user.subject().into())
}

macro_rules! part {
    ($part:ident, $module:ident) => {
        impl From<$module::Event> for Event {
            fn from(event: $module::Event) -> Self {
                Self::$part(event)
            }
        }

        impl From<$module::Reply> for Reply {
            fn from(reply: $module::Reply) -> Self {
                Self::$part(reply)
            }
        }
    };
}
part!(Client, clients);
part!(User, users);
part!(Passkey, passkeys);
part!(SecondFactor, second_factors);
part!(Session, sessions);
part!(Grant, grants);
part!(Logout, logouts);
part!(OpaqueToken, opaque_tokens);
part!(SigningKey, signing_keys);

#[cfg(test)]
pub(crate) mod tests;
