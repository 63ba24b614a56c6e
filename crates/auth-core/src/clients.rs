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
    /// Puts what is said now in the place of all that was said at the registration (RFC 7592 section 2.2). Who registered it, when,
    /// its secret and that of its registration stay.
    Replace {
        /// The client as it shall be.
        client: Box<Client>,
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
    /// A client's registration was replaced.
    Replaced {
        /// The client as it is now.
        client: Arc<Client>,
        /// Whether its access tokens are good no more: it authenticates in another way, or may ask for less.
        ends_tokens: bool,
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
    /// The registration is as it was asked for, from now on or from before.
    Replaced(Arc<Client>),
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
            Command::Replace { client } => self.replace(*client),
            Command::Remove { id } => {
                self.get(id.as_str()).ok_or(Rejection::ClientNotFound)?;
                Ok(Decision::Commit(vec![Event::Removed { id }], Reply::Removed))
            }
        }
    }

    fn replace(&self, client: Client) -> Result<Decision, Rejection> {
        let existing = self.get(client.id.as_str()).ok_or(Rejection::ClientNotFound)?;
        let client = existing.with_what_stays(client);
        if **existing == client {
            return Ok(Decision::Answer(Reply::Replaced(Arc::clone(existing))));
        }
        let ends_tokens = existing.authentication != client.authentication
            || !client.scope.covers(&existing.scope);
        let client = Arc::new(client);
        let event = Event::Replaced { client: Arc::clone(&client), ends_tokens };
        Ok(Decision::Commit(vec![event], Reply::Replaced(client)))
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
            Event::Registered(client) | Event::Replaced { client, .. } => {
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
        Replace(u8, bool),
        Remove(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let id = 0u8..4;
        let step = prop_oneof![
            (id.clone(), any::<bool>(), any::<u8>())
                .prop_map(|(id, wide, secret)| Step::Register(id, wide, secret)),
            (id.clone(), any::<u8>()).prop_map(|(id, secret)| Step::Rotate(id, secret)),
            (id.clone(), any::<bool>()).prop_map(|(id, wide)| Step::Replace(id, wide)),
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
                    Step::Replace(id, is_wide) => {
                        let scope = if is_wide { "ledger:read ledger:write" } else { "ledger:read" };
                        // What is the same already needs no event.
                        let expected = match model.get(&id) {
                            Some((wide, secret)) if *wide != is_wide => {
                                Ok(Some((id, Some((is_wide, *secret)))))
                            }
                            Some(_) => Ok(None),
                            None => Err(Rejection::ClientNotFound),
                        };
                        (Command::Replace { client: Box::new(client(id, scope, 99)) }, expected)
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
                    (Ok(Decision::Answer(Reply::Replaced(_))), Ok(None)) => {}
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

    #[test]
    fn a_replacement_ends_tokens_where_less_or_another_is_left() {
        let mut clients = Clients::default();
        let first = client(1, "ledger:read ledger:write", 7);
        clients.apply(&Event::Registered(Arc::new(first.clone())));
        let named =
            |name: &str| Client { name: crate::ClientName::new(name).unwrap(), ..first.clone() };
        let wider = "ledger:read ledger:write events:read".parse().unwrap();
        let narrower = "ledger:read".parse().unwrap();
        for (changed, expected) in [
            (named("Other"), false),
            (Client { scope: wider, ..first.clone() }, false),
            (Client { scope: narrower, ..first.clone() }, true),
            (Client { authentication: Authentication::Nothing, ..first.clone() }, true),
            // A secret is not replaced in this way.
            (
                Client { authentication: Authentication::Secret { sha256: [8; 32] }, ..named("B") },
                false,
            ),
        ] {
            let command = Command::Replace { client: Box::new(changed) };
            let decision = clients.decide(command, Timestamp::from_unix_seconds(9)).unwrap();
            let Decision::Commit(events, Reply::Replaced(replaced)) = decision else { panic!() };
            let [Event::Replaced { ends_tokens, client }] = &*events else { panic!() };
            assert_eq!((*ends_tokens, client), (expected, &replaced));
            assert_eq!(replaced.registered_at, first.registered_at);
            assert_ne!(replaced.authentication, Authentication::Secret { sha256: [8; 32] });
        }
    }
}
