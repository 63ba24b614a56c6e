//! The deadlines of the leases that live.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{InstanceKey, Lease, LeaseId, Ttl};

/// A reading of a clock that never goes back: the time since some fixed moment, such as the start of the process.
/// Wall clocks jump, so leases do not look at them.
pub type Uptime = Duration;

/// When each lease runs out unless it is renewed. Kept in memory only: after a restart every lease that the log knows
/// is granted again, for its whole time.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    by_id: BTreeMap<LeaseId, Held>,
    by_deadline: BTreeSet<(Uptime, LeaseId)>,
}

#[derive(Clone, Debug)]
struct Held {
    key: InstanceKey,
    ttl: Ttl,
    deadline: Uptime,
}

impl Leases {
    /// Lets a lease live for its whole time from now on.
    pub fn grant(&mut self, lease: Lease, key: InstanceKey, now: Uptime) {
        self.remove(lease.id);
        let deadline = now.saturating_add(lease.ttl.duration());
        self.by_id.insert(lease.id, Held { key, ttl: lease.ttl, deadline });
        self.by_deadline.insert((deadline, lease.id));
    }

    /// Lets a lease of this instance live for its whole time again, and answers how long that is. `None` where the
    /// lease is not known, belongs to another instance, or has run out (even if nobody has noticed yet).
    pub fn renew(&mut self, id: LeaseId, key: &InstanceKey, now: Uptime) -> Option<Ttl> {
        let held =
            self.by_id.get_mut(&id).filter(|held| held.key == *key && held.deadline > now)?;
        self.by_deadline.remove(&(held.deadline, id));
        held.deadline = now.saturating_add(held.ttl.duration());
        self.by_deadline.insert((held.deadline, id));
        Some(held.ttl)
    }

    /// Forgets a lease.
    pub fn remove(&mut self, id: LeaseId) {
        if let Some(held) = self.by_id.remove(&id) {
            self.by_deadline.remove(&(held.deadline, id));
        }
    }

    /// Takes out the leases that have run out, the earliest first; at the same moment by id. From here on they cannot
    /// be renewed, so that an expiry under way and a renewal never both succeed.
    pub fn take_due(&mut self, now: Uptime) -> Vec<(InstanceKey, LeaseId)> {
        let mut due = Vec::new();
        while let Some(&(deadline, id)) = self.by_deadline.first()
            && deadline <= now
        {
            self.by_deadline.pop_first();
            due.extend(self.by_id.remove(&id).map(|held| (held.key, id)));
        }
        due
    }

    /// When the next lease runs out.
    pub fn next_deadline(&self) -> Option<Uptime> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Lets every lease live for its whole time from now on.
    pub fn renew_all(&mut self, now: Uptime) {
        self.by_deadline.clear();
        for (id, held) in &mut self.by_id {
            held.deadline = now.saturating_add(held.ttl.duration());
            self.by_deadline.insert((held.deadline, *id));
        }
    }

    /// How many leases live.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(instance: &str) -> InstanceKey {
        InstanceKey { service: "payments".parse().unwrap(), instance: instance.parse().unwrap() }
    }

    fn lease(id: u128, seconds: u64) -> Lease {
        Lease { id: LeaseId::from_u128(id), ttl: Ttl::from_seconds(seconds).unwrap() }
    }

    const fn at(seconds: u64) -> Uptime {
        Uptime::from_secs(seconds)
    }

    #[test]
    fn leases_run_out_in_order() {
        let mut leases = Leases::default();
        for (id, seconds, instance) in [(3, 5, "c"), (2, 5, "b"), (1, 9, "a"), (4, 2, "d")] {
            leases.grant(lease(id, seconds), key(instance), at(0));
        }
        assert_eq!(leases.next_deadline(), Some(at(2)));
        let due = leases.take_due(at(5));
        let ids: Vec<_> = due.iter().map(|(_, id)| id.as_u128()).collect();
        assert_eq!(ids, [4, 2, 3]);
        assert_eq!(leases.take_due(at(5)), []);
        assert_eq!((leases.count(), leases.next_deadline()), (1, Some(at(9))));
    }

    #[test]
    fn a_renewed_lease_lives_its_whole_time_again() {
        let mut leases = Leases::default();
        let (granted, id) = (lease(1, 5), LeaseId::from_u128(1));
        leases.grant(granted, key("a"), at(0));
        assert_eq!(leases.renew(id, &key("a"), at(4)), Some(granted.ttl));
        assert_eq!(leases.take_due(at(8)), []);
        assert_eq!(leases.renew(id, &key("b"), at(8)), None, "another instance");
        assert_eq!(leases.renew(LeaseId::from_u128(2), &key("a"), at(8)), None, "unknown");
        assert_eq!(leases.renew(id, &key("a"), at(9)), None, "run out, though not taken yet");
        assert_eq!(leases.take_due(at(9)), [(key("a"), id)]);
        assert_eq!(leases.renew(id, &key("a"), at(9)), None, "taken");
    }

    #[test]
    fn all_can_be_renewed_at_once_and_removed() {
        let mut leases = Leases::default();
        leases.grant(lease(1, 5), key("a"), at(0));
        leases.grant(lease(2, 6), key("b"), at(0));
        leases.renew_all(at(100));
        assert_eq!(leases.next_deadline(), Some(at(105)));
        leases.remove(LeaseId::from_u128(1));
        assert_eq!(leases.take_due(at(200)), [(key("b"), LeaseId::from_u128(2))]);
    }
}
