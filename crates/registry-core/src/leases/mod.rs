//! The leases that live: until when, and what it means when one is not renewed.
//!
//! A lease is kept by renewing it. A stream beside it shows when the process dies, at once; that a host or the way to it is
//! lost shows no stream, so renewals go on. One that runs out is judged (`judge.rs`). Kept in memory only: after a restart
//! every lease that the log knows is granted again, for its whole time and more.

mod judge;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lombard_types::ServiceName;

pub use self::judge::{Due, LeasePolicy, Verdict};
use crate::{InstanceKey, Lease, LeaseId, Ttl};

/// A reading of a clock that never goes back: the time since some fixed moment, such as the start of the process.
/// Wall clocks jump, so leases do not look at them.
pub type Uptime = Duration;

/// When each lease runs out unless it is renewed.
///
/// Whoever owns it calls [`Self::take_due`] at least every [`Self::TICK`], so that it notices when the process did not
/// run: that time counts for no lease.
#[derive(Clone, Debug)]
pub struct Leases {
    policy: LeasePolicy,
    by_id: BTreeMap<LeaseId, Held>,
    by_deadline: BTreeSet<(Uptime, LeaseId)>,
    by_service: BTreeMap<ServiceName, BTreeSet<LeaseId>>,
    /// Instances that are damped, by when they are released.
    by_release: BTreeSet<(Uptime, LeaseId)>,
    /// Leases whose last stream broke and that were not renewed since.
    broken: BTreeSet<LeaseId>,
    /// Leases with open streams.
    streaming_count: usize,
    /// When this was last looked at.
    seen: Uptime,
}

/// Who ended the stream that held a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side, or the network: the process has died, unless it comes back at once.
    ByPeer,
    /// This side, such as when the token runs out. It says nothing about the process.
    ByRegistry,
}

#[derive(Clone, Debug)]
struct Held {
    key: InstanceKey,
    lease: Lease,
    phase: Phase,
    renewed_at: Uptime,
    /// `None` where it is permanent, and for a moment while it is judged.
    deadline: Option<Uptime>,
    stream_count: u32,
    release_at: Option<Uptime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Renewed within its time.
    Living,
    /// Known from the log; not renewed since the restart.
    Unconfirmed,
    /// Its stream broke a moment ago.
    Broken,
    /// It has run out, and goes on because many others did too.
    Preserved,
    /// It has run out; its instance is still there, without traffic.
    Lapsed,
}

impl Lease {
    fn deadline(self, now: Uptime) -> Option<Uptime> {
        (!self.is_permanent).then(|| now.saturating_add(self.ttl.duration()))
    }
}

impl Leases {
    /// A process that has not looked for so long did not run: nobody's renewal could have reached it.
    pub const PAUSE_MIN: Duration = Duration::from_millis(400);
    /// How often to look at least.
    pub const TICK: Duration = Duration::from_millis(250);

    /// No leases.
    pub fn new(policy: LeasePolicy) -> Self {
        Self {
            policy,
            by_id: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
            by_service: BTreeMap::new(),
            by_release: BTreeSet::new(),
            broken: BTreeSet::new(),
            streaming_count: 0,
            seen: Uptime::ZERO,
        }
    }

    /// Lets a lease live for its whole time from now on.
    pub fn grant(&mut self, lease: Lease, key: InstanceKey, now: Uptime) {
        self.look(now);
        self.remove(lease.id);
        let of_service = match self.by_service.get_mut(&key.service) {
            Some(of_service) => of_service,
            None => self.by_service.entry(key.service.clone()).or_default(),
        };
        of_service.insert(lease.id);
        let held = Held {
            key,
            lease,
            phase: Phase::Living,
            renewed_at: now,
            deadline: None,
            stream_count: 0,
            release_at: None,
        };
        self.by_id.insert(lease.id, held);
        self.set_deadline(lease.id, lease.deadline(now));
    }

    /// Lets a lease of this instance live for its whole time again, and answers how long that is. `None` where the
    /// lease is not known, belongs to another instance, or was taken out because it had run out.
    pub fn renew(&mut self, id: LeaseId, key: &InstanceKey, now: Uptime) -> Option<Ttl> {
        self.look(now);
        let held = self.by_id.get_mut(&id).filter(|held| held.key == *key)?;
        held.phase = Phase::Living;
        held.renewed_at = now;
        let lease = held.lease;
        self.broken.remove(&id);
        self.set_deadline(id, lease.deadline(now));
        Some(lease.ttl)
    }

    /// Renews a lease, and binds it to a stream, which is open until [`Self::close_stream`].
    pub fn open_stream(&mut self, id: LeaseId, key: &InstanceKey, now: Uptime) -> Option<Ttl> {
        let ttl = self.renew(id, key, now)?;
        let held = self.by_id.get_mut(&id)?;
        held.stream_count += 1;
        if held.stream_count == 1 {
            self.streaming_count += 1;
        }
        Some(ttl)
    }

    /// A stream has ended. When the last of a lease breaks, its process has died, unless it is heard at once.
    pub fn close_stream(&mut self, id: LeaseId, ended: Ended, now: Uptime) {
        self.look(now);
        let Some(held) = self.by_id.get_mut(&id).filter(|held| held.stream_count > 0) else {
            return;
        };
        held.stream_count -= 1;
        if held.stream_count > 0 {
            return;
        }
        self.streaming_count -= 1;
        let deadline = now.saturating_add(self.policy.stream_grace);
        if ended == Ended::ByPeer && held.deadline.is_some_and(|until| until > deadline) {
            held.phase = Phase::Broken;
            self.broken.insert(id);
            self.set_deadline(id, Some(deadline));
        }
    }

    /// Forgets a lease.
    pub fn remove(&mut self, id: LeaseId) {
        self.set_deadline(id, None);
        self.set_release(id, None);
        let Some(held) = self.by_id.remove(&id) else { return };
        if held.stream_count > 0 {
            self.streaming_count -= 1;
        }
        self.broken.remove(&id);
        if let Some(of_service) = self.by_service.get_mut(&held.key.service) {
            of_service.remove(&id);
            if of_service.is_empty() {
                self.by_service.remove(&held.key.service);
            }
        }
    }

    /// The log says that this lease had run out, and its instance stayed.
    pub fn lapse(&mut self, id: LeaseId, now: Uptime) {
        let Some(held) = self.by_id.get_mut(&id) else { return };
        held.phase = Phase::Lapsed;
        let after = Duration::from_secs(held.lease.deregister_after_seconds.into());
        self.set_deadline(id, Some(now.saturating_add(after)));
    }

    /// The instance is damped, or not any more.
    pub fn damp(&mut self, id: LeaseId, is_damped: bool, now: Uptime) {
        let release_at = is_damped.then(|| now.saturating_add(self.policy.damping));
        self.set_release(id, release_at);
    }

    /// The process has just started: how long it was away says nothing about the instances. Every lease lives for its
    /// whole time and the grace period, unconfirmed until it is renewed.
    pub fn restart(&mut self, now: Uptime) {
        self.seen = now;
        for id in self.by_id.keys().copied().collect::<Vec<_>>() {
            let Some(held) = self.by_id.get_mut(&id) else { continue };
            let is_damped = held.release_at.is_some();
            if held.phase == Phase::Lapsed {
                self.lapse(id, now);
            } else if !held.lease.is_permanent {
                held.phase = Phase::Unconfirmed;
                held.renewed_at = now;
                let time = held.lease.ttl.duration() + self.policy.restart_grace;
                self.set_deadline(id, Some(now.saturating_add(time)));
            }
            self.damp(id, is_damped, now);
        }
    }

    /// Those that were not renewed since the restart.
    pub fn unconfirmed(&self) -> Vec<(InstanceKey, LeaseId)> {
        let is_unconfirmed = |(_, held): &(&LeaseId, &Held)| held.phase == Phase::Unconfirmed;
        let found = self.by_id.iter().filter(is_unconfirmed);
        found.map(|(id, held)| (held.key.clone(), *id)).collect()
    }

    /// Whether the lease was renewed within its time.
    pub fn is_living(&self, id: LeaseId) -> bool {
        self.by_id.get(&id).is_some_and(|held| held.phase == Phase::Living)
    }

    /// When there is something to take out next.
    pub fn next_deadline(&self) -> Option<Uptime> {
        let first = |set: &BTreeSet<(Uptime, LeaseId)>| set.first().map(|(at, _)| *at);
        [first(&self.by_deadline), first(&self.by_release)].into_iter().flatten().min()
    }

    /// How many leases there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    fn set_deadline(&mut self, id: LeaseId, deadline: Option<Uptime>) {
        let Some(held) = self.by_id.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut held.deadline, deadline) {
            self.by_deadline.remove(&(before, id));
        }
        self.by_deadline.extend(deadline.map(|deadline| (deadline, id)));
    }

    fn set_release(&mut self, id: LeaseId, release_at: Option<Uptime>) {
        let Some(held) = self.by_id.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut held.release_at, release_at) {
            self.by_release.remove(&(before, id));
        }
        self.by_release.extend(release_at.map(|release_at| (release_at, id)));
    }

    /// Notices when the process did not run, and gives every lease that time.
    fn look(&mut self, now: Uptime) {
        let gap = now.saturating_sub(self.seen);
        self.seen = self.seen.max(now);
        if gap <= Self::PAUSE_MIN {
            return;
        }
        let late = |set: &BTreeSet<(Uptime, LeaseId)>| {
            set.iter().map(|(at, id)| (at.saturating_add(gap), *id)).collect::<BTreeSet<_>>()
        };
        (self.by_deadline, self.by_release) = (late(&self.by_deadline), late(&self.by_release));
        for held in self.by_id.values_mut() {
            held.renewed_at = held.renewed_at.saturating_add(gap);
            held.deadline = held.deadline.map(|at| at.saturating_add(gap));
            held.release_at = held.release_at.map(|at| at.saturating_add(gap));
        }
    }
}
