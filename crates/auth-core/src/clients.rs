//! The state: all registered clients.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lombard_token::Revocation;
use lombard_types::{ClientId, Timestamp};

use crate::{Authentication, Client, Revocations, Target};

/// All registered clients, and what was taken back from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    by_id: BTreeMap<ClientId, Arc<Client>>,
    revocations: Revocations,
    /// Whether anything ever happened here, even if no client is left.
    has_history: bool,
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
    /// Registers a client. Registering the same client again by the same registrant, as a retry does, gives it the new
    /// secret: nobody can have received the first one.
    Register {
        /// The client; its time is set by the decision.
        client: Client,
        /// Most clients there may be.
        clients_max: usize,
    },
    /// Replaces a client's secret.
    RotateSecret {
        /// The client.
        id: ClientId,
        /// SHA-256 of the new secret.
        sha256: [u8; 32],
    },
    /// Removes a client: it gets no token any more, and those that it has are good no more.
    Remove {
        /// The client.
        id: ClientId,
        /// How long tokens live.
        token_life: Duration,
    },
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

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client was registered.
    ClientRegistered(Arc<Client>),
    /// A client's secret was replaced.
    SecretRotated {
        /// The client.
        id: ClientId,
        /// SHA-256 of the new secret.
        sha256: [u8; 32],
    },
    /// A client was removed.
    ClientRemoved {
        /// The client.
        id: ClientId,
    },
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
    /// The client is new.
    Registered(Arc<Client>),
    /// The same client was there already; if it has a secret, it has the new one now.
    AlreadyRegistered(Arc<Client>),
    /// The secret was replaced.
    Rotated,
    /// The client was removed.
    Removed,
    /// The tokens are good no more, from now on or from before.
    Revoked,
}

/// Why a command has no effect. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A client with this id exists and is another one.
    ClientExists,
    /// There are as many clients as there may be.
    TooManyClients,
    /// There is no such client.
    ClientNotFound,
    /// The client authenticates with a key and has no secret.
    HasNoSecret,
    /// There are as many revocations as are kept; some are forgotten when their tokens have expired.
    TooManyRevocations,
}

/// Why something is no part of any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is a client with this id already.
    #[error("two clients have one id")]
    ClientExists,
}

/// A command's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The events happen, together.
    Commit(Vec<Event>, Reply),
    /// Nothing new happens.
    Answer(Reply),
}

impl Clients {
    /// The client with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }

    /// All clients after `after`, by id.
    pub fn after<'a>(
        &'a self,
        after: Option<&'a ClientId>,
    ) -> impl Iterator<Item = &'a Arc<Client>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.by_id.range::<ClientId, _>((from, Unbounded)).map(|(_, client)| client)
    }

    /// What was taken back.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// How many clients there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether anything ever happened here.
    pub fn has_history(&self) -> bool {
        self.has_history
    }

    /// No clients, as they were: with or without a history, and with these revocations.
    pub fn restored(has_history: bool, revocations: Revocations) -> Self {
        Self { by_id: BTreeMap::new(), revocations, has_history }
    }

    /// Adds a client as it was.
    pub fn restore(&mut self, client: Client) -> Result<(), RestoreError> {
        match self.by_id.insert(client.id.clone(), Arc::new(client)) {
            None => Ok(()),
            Some(_) => Err(RestoreError::ClientExists),
        }
    }

    /// What would happen.
    pub fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::Bootstrap { .. } if self.has_history => {
                Ok(Decision::Answer(Reply::Bootstrapped))
            }
            Command::Bootstrap { clients } => {
                let register = |client| {
                    Event::ClientRegistered(Arc::new(Client { registered_at: now, ..client }))
                };
                Ok(Decision::Commit(
                    clients.into_iter().map(register).collect(),
                    Reply::Bootstrapped,
                ))
            }
            Command::Register { client, clients_max } => self.register(client, clients_max, now),
            Command::RotateSecret { id, sha256 } => {
                let client = self.get(id.as_str()).ok_or(Rejection::ClientNotFound)?;
                match client.authentication {
                    Authentication::Secret { .. } => Ok(Decision::Commit(
                        vec![Event::SecretRotated { id, sha256 }],
                        Reply::Rotated,
                    )),
                    Authentication::Key(_) => Err(Rejection::HasNoSecret),
                }
            }
            Command::Remove { id, token_life } => {
                self.get(id.as_str()).ok_or(Rejection::ClientNotFound)?;
                let target = Target::Client(id.as_str().into());
                let revoked = Event::Revoked { target, at: now, until: now.plus(token_life) };
                Ok(Decision::Commit(vec![Event::ClientRemoved { id }, revoked], Reply::Removed))
            }
            Command::Revoke { target, until, revocations_max } => {
                self.revoke(target, until, revocations_max, now)
            }
        }
    }

    fn revoke(
        &self,
        target: Target,
        until: Timestamp,
        revocations_max: usize,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        if until <= now || self.revocations.has(&target, now) {
            return Ok(Decision::Answer(Reply::Revoked));
        }
        if self.revocations.count() >= revocations_max {
            return Err(Rejection::TooManyRevocations);
        }
        Ok(Decision::Commit(vec![Event::Revoked { target, at: now, until }], Reply::Revoked))
    }

    fn register(
        &self,
        client: Client,
        clients_max: usize,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        if let Some(existing) = self.get(client.id.as_str()) {
            let is_same = existing.name == client.name
                && existing.scope == client.scope
                && existing.authorization_details_types == client.authorization_details_types
                && existing.registered_by == client.registered_by;
            return match (&existing.authentication, client.authentication) {
                (Authentication::Secret { .. }, Authentication::Secret { sha256 }) if is_same => {
                    let event = Event::SecretRotated { id: client.id, sha256 };
                    Ok(Decision::Commit(
                        vec![event],
                        Reply::AlreadyRegistered(Arc::clone(existing)),
                    ))
                }
                (Authentication::Key(own), Authentication::Key(key)) if is_same && *own == key => {
                    Ok(Decision::Answer(Reply::AlreadyRegistered(Arc::clone(existing))))
                }
                _ => Err(Rejection::ClientExists),
            };
        }
        if self.count() >= clients_max {
            return Err(Rejection::TooManyClients);
        }
        let client = Arc::new(Client { registered_at: now, ..client });
        Ok(Decision::Commit(
            vec![Event::ClientRegistered(Arc::clone(&client))],
            Reply::Registered(client),
        ))
    }

    /// Makes an event part of the state.
    pub fn apply(&mut self, event: &Event) {
        self.has_history = true;
        match event {
            Event::ClientRegistered(client) => {
                self.by_id.insert(client.id.clone(), Arc::clone(client));
            }
            Event::SecretRotated { id, sha256 } => {
                if let Some(client) = self.by_id.get_mut(id) {
                    Arc::make_mut(client).authentication =
                        Authentication::Secret { sha256: *sha256 };
                }
            }
            Event::ClientRemoved { id } => {
                self.by_id.remove(id);
            }
            Event::Revoked { target, at, until } => {
                self.revocations.add(Revocation { key: target.key(), at: *at, until: *until });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ClientName;

    fn client(id: u8, scope: &str, secret: u8) -> Client {
        Client {
            id: format!("client-{id}").parse().unwrap(),
            name: ClientName::new("test").unwrap(),
            scope: scope.parse().unwrap(),
            authorization_details_types: BTreeSet::new(),
            authentication: Authentication::Secret { sha256: [secret; 32] },
            registered_at: Timestamp::EPOCH,
            registered_by: "admin".into(),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Register(u8, bool, u8),
        Rotate(u8, u8),
        Remove(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let id = 0u8..4;
        let step = prop_oneof![
            (id.clone(), any::<bool>(), any::<u8>())
                .prop_map(|(id, wide, secret)| Step::Register(id, wide, secret)),
            (id.clone(), any::<u8>()).prop_map(|(id, secret)| Step::Rotate(id, secret)),
            id.prop_map(Step::Remove),
        ];
        prop::collection::vec(step, 0..60)
    }

    #[test]
    fn what_was_removed_does_not_come_back_with_the_next_start() {
        let mut clients = Clients::default();
        let bootstrap =
            || Command::Bootstrap { clients: vec![client(1, "admin", 1), client(2, "admin", 2)] };
        let Ok(Decision::Commit(events, Reply::Bootstrapped)) =
            clients.decide(bootstrap(), Timestamp::EPOCH)
        else {
            panic!("the first start registers");
        };
        events.iter().for_each(|event| clients.apply(event));
        assert_eq!(clients.count(), 2);
        for id in ["client-1", "client-2"] {
            clients.apply(&Event::ClientRemoved { id: id.parse().unwrap() });
        }
        let again = clients.decide(bootstrap(), Timestamp::EPOCH);
        assert_eq!(again, Ok(Decision::Answer(Reply::Bootstrapped)));
    }

    proptest! {
        /// Against a map from id to (scope is wide, secret), of which there may be three.
        #[test]
        fn behaves_like_a_map(steps in steps()) {
            let mut clients = Clients::default();
            let mut model: BTreeMap<u8, (bool, u8)> = BTreeMap::new();
            for step in steps {
                let (command, expected) = match step {
                    Step::Register(id, is_wide, secret) => {
                        let scope = if is_wide { "ledger:read ledger:write" } else { "ledger:read" };
                        let expected = match model.get(&id) {
                            Some((wide, _)) if *wide != is_wide => Err(Rejection::ClientExists),
                            None if model.len() >= 3 => Err(Rejection::TooManyClients),
                            _ => Ok(Some((id, Some((is_wide, secret))))),
                        };
                        (Command::Register { client: client(id, scope, secret), clients_max: 3 }, expected)
                    }
                    Step::Rotate(id, secret) => {
                        let expected = match model.get(&id) {
                            Some((wide, _)) => Ok(Some((id, Some((*wide, secret))))),
                            None => Err(Rejection::ClientNotFound),
                        };
                        let id = format!("client-{id}").parse().unwrap();
                        (Command::RotateSecret { id, sha256: [secret; 32] }, expected)
                    }
                    Step::Remove(id) => {
                        let expected = model.get(&id).map(|_| Some((id, None))).ok_or(Rejection::ClientNotFound);
                        (Command::Remove { id: format!("client-{id}").parse().unwrap(), token_life: Duration::from_secs(300) }, expected)
                    }
                };
                match (clients.decide(command, Timestamp::EPOCH), expected) {
                    (Ok(Decision::Commit(events, _)), Ok(Some((id, entry)))) => {
                        events.iter().for_each(|event| clients.apply(event));
                        match entry {
                            Some(entry) => drop(model.insert(id, entry)),
                            None => drop(model.remove(&id)),
                        }
                    }
                    (Err(rejection), Err(expected)) => prop_assert_eq!(rejection, expected),
                    (found, expected) => prop_assert!(false, "{found:?} instead of {expected:?}"),
                }
                prop_assert_eq!(clients.count(), model.len());
                for (id, (_, secret)) in &model {
                    let sha256 = [*secret; 32];
                    let found = clients.get(&format!("client-{id}")).unwrap();
                    prop_assert_eq!(&found.authentication, &Authentication::Secret { sha256 });
                }
            }
        }
    }
}
