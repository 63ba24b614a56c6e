//! All registered clients.

use std::{collections::BTreeMap, sync::Arc};

use lombard_types::{ClientId, Timestamp};

use crate::{Authentication, Client, RestoreError};

/// All registered clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    by_id: BTreeMap<ClientId, Arc<Client>>,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Registers a client. Registering the same client again by the same registrant, as a retry does, gives it the new
    /// secret: nobody can have received the first one.
    Register {
        /// The client; its time is set by the decision.
        client: Box<Client>,
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
    /// Removes a client.
    Remove {
        /// The client.
        id: ClientId,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client was registered.
    Registered(Arc<Client>),
    /// A client's secret was replaced.
    SecretRotated {
        /// The client.
        id: ClientId,
        /// SHA-256 of the new secret.
        sha256: [u8; 32],
    },
    /// A client was removed, and all that was granted to it.
    Removed {
        /// The client.
        id: ClientId,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The client is new.
    Registered(Arc<Client>),
    /// The same client was there already; if it has a secret, it has the new one now.
    AlreadyRegistered(Arc<Client>),
    /// The secret was replaced.
    Rotated,
    /// The client was removed.
    Removed,
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
    /// The client authenticates in another way, or not at all, and has no secret.
    HasNoSecret,
}

type Decision = crate::Decision<Event, Reply>;

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

    /// How many clients there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Adds a client as it was.
    pub fn restore(&mut self, client: Client) -> Result<(), RestoreError> {
        match self.by_id.insert(client.id.clone(), Arc::new(client)) {
            None => Ok(()),
            Some(_) => Err(RestoreError::Twice),
        }
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::Register { client, clients_max } => self.register(*client, clients_max, now),
            Command::RotateSecret { id, sha256 } => {
                let client = self.get(id.as_str()).ok_or(Rejection::ClientNotFound)?;
                match client.authentication {
                    Authentication::Secret { .. } => {
                        let event = Event::SecretRotated { id, sha256 };
                        Ok(Decision::Commit(vec![event], Reply::Rotated))
                    }
                    _ => Err(Rejection::HasNoSecret),
                }
            }
            Command::Remove { id } => {
                self.get(id.as_str()).ok_or(Rejection::ClientNotFound)?;
                Ok(Decision::Commit(vec![Event::Removed { id }], Reply::Removed))
            }
        }
    }

    fn register(
        &self,
        client: Client,
        clients_max: usize,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        if let Some(existing) = self.get(client.id.as_str()) {
            let client = Client { registered_at: existing.registered_at, ..client };
            return match (&existing.authentication, &client.authentication) {
                (Authentication::Secret { .. }, Authentication::Secret { sha256 })
                    if existing.is_same_but_for_the_secret(&client) =>
                {
                    let event = Event::SecretRotated { id: client.id, sha256: *sha256 };
                    let reply = Reply::AlreadyRegistered(Arc::clone(existing));
                    Ok(Decision::Commit(vec![event], reply))
                }
                _ if **existing == client => {
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
            vec![Event::Registered(Arc::clone(&client))],
            Reply::Registered(client),
        ))
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Registered(client) => {
                self.by_id.insert(client.id.clone(), Arc::clone(client));
            }
            Event::SecretRotated { id, sha256 } => {
                if let Some(client) = self.by_id.get_mut(id) {
                    Arc::make_mut(client).authentication =
                        Authentication::Secret { sha256: *sha256 };
                }
            }
            Event::Removed { id } => {
                self.by_id.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(id: u8, scope: &str, secret: u8) -> Client {
        Client {
            id: format!("client-{id}").parse().unwrap(),
            scope: scope.parse().unwrap(),
            ..Client::of_secret([secret; 32])
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
                        (Command::Register { client: Box::new(client(id, scope, secret)), clients_max: 3 }, expected)
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
                        (Command::Remove { id: format!("client-{id}").parse().unwrap() }, expected)
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
