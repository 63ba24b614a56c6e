//! Clients that must hear that a person has left (OpenID Connect Back-Channel Logout 1.0): one logout for each client that knew
//! of the session, until it was told, or for as long as is tried.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lombard_types::{ClientId, Timestamp};

use crate::{RestoreError, SessionId, UserId};

/// Most clients that hear of one decision: a record of the log has so much room.
const AT_ONCE_MAX: usize = 128;

/// The logouts that are not told yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logouts {
    by_number: BTreeMap<u64, Arc<Logout>>,
    last_number: u64,
}

/// A client must hear that a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// Names it: 1, 2, and so on.
    pub number: u64,
    /// Who must hear it.
    pub client: ClientId,
    /// Who has left.
    pub user: UserId,
    /// The session that is over.
    pub session: SessionId,
    /// Until when it is tried.
    pub until: Timestamp,
}

/// How logouts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// How long it is tried.
    pub patience: Duration,
    /// Most logouts that wait; of more, clients are not told.
    pub logouts_max: usize,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// A logout waits no more: the client was told, or it is given up.
    Settle {
        /// Which.
        number: u64,
        /// Whether the client was told.
        is_told: bool,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client must hear of a logout.
    Due(Arc<Logout>),
    /// It has heard, or it is given up.
    Settled {
        /// Which.
        number: u64,
        /// Whether the client was told.
        is_told: bool,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It waits no more, from now on or from before.
    Settled,
}

type Decision = crate::Decision<Event, Reply>;

impl Logouts {
    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Logout>> {
        self.by_number.values()
    }

    /// The number of the newest that there ever was.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// What must be told to these clients; nothing to those for whom there is no room.
    pub(crate) fn due(
        &self,
        clients: impl IntoIterator<Item = (ClientId, UserId, SessionId)>,
        telling: Telling,
        now: Timestamp,
    ) -> Vec<Event> {
        let room = telling.logouts_max.saturating_sub(self.by_number.len()).min(AT_ONCE_MAX);
        let until = now.plus(telling.patience);
        let numbers = self.last_number.saturating_add(1)..;
        let due = numbers.zip(clients.into_iter().take(room));
        due.map(|(number, (client, user, session))| {
            Event::Due(Arc::new(Logout { number, client, user, session, until }))
        })
        .collect()
    }

    pub(crate) fn decide(&self, Command::Settle { number, is_told }: Command) -> Decision {
        match self.by_number.contains_key(&number) {
            true => Decision::Commit(vec![Event::Settled { number, is_told }], Reply::Settled),
            false => Decision::Answer(Reply::Settled),
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Due(logout) => {
                self.last_number = logout.number;
                self.by_number.insert(logout.number, Arc::clone(logout));
            }
            Event::Settled { number, .. } => drop(self.by_number.remove(number)),
        }
    }

    /// None, after so many.
    pub fn restored_after(last_number: u64) -> Self {
        Self { by_number: BTreeMap::new(), last_number }
    }

    /// Adds a logout as it was.
    pub fn restore(&mut self, logout: Logout) -> Result<(), RestoreError> {
        match self.by_number.insert(logout.number, Arc::new(logout)) {
            None => Ok(()),
            Some(_) => Err(RestoreError::Twice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logouts_wait_until_they_are_settled_and_no_more_than_may() {
        let mut logouts = Logouts::default();
        let telling = Telling { patience: Duration::from_secs(60), logouts_max: 3 };
        let client = |name: &str| (name.parse().unwrap(), UserId([1; 16]), SessionId([2; 16]));
        let now = Timestamp::from_unix_seconds(100);
        for (clients, numbers) in [(vec!["a", "b"], vec![1, 2]), (vec!["c", "d"], vec![3])] {
            let due = logouts.due(clients.into_iter().map(client), telling, now);
            let told: Vec<u64> = due
                .iter()
                .map(|event| match event {
                    Event::Due(logout) => logout.number,
                    Event::Settled { number, .. } => panic!("{number}"),
                })
                .collect();
            assert_eq!(told, numbers);
            due.iter().for_each(|event| logouts.apply(event));
        }
        assert!(logouts.iter().all(|logout| logout.until == Timestamp::from_unix_seconds(160)));
        for (number, is_there) in [(2, true), (2, false), (9, false)] {
            let decision = logouts.decide(Command::Settle { number, is_told: true });
            if let Decision::Commit(events, _) = &decision {
                events.iter().for_each(|event| logouts.apply(event));
            }
            assert_eq!(matches!(decision, Decision::Commit(..)), is_there, "{number}");
        }
        assert_eq!((logouts.iter().len(), logouts.last_number()), (2, 3));
        // Numbers are not used again.
        let due = logouts.due([client("e")], telling, now);
        assert!(matches!(&due[..], [Event::Due(logout)] if logout.number == 4));
    }
}
