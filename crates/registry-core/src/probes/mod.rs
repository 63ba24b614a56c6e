//! When the registry asks which instance how it is, and what it concludes from the answers. No clock and no I/O: the shell
//! says what time it is, asks, and tells how it went.
//!
//! An instance is asked one thing at a time. Many that are silent at once are not taken for dead: it is likely that the way
//! to them is broken. That ends by itself, each by its own count.

mod outcome;
mod status;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lombard_types::ServiceName;

use self::status::Status;
pub use self::{
    outcome::{Failure, Outcome},
    status::{Finding, ProbePolicy},
};
use crate::{Address, Check, Health, InstanceKey, LeaseId, Uptime};

/// All checks that the registry makes, and what it knows from them.
#[derive(Clone, Debug)]
pub struct Probes {
    policy: ProbePolicy,
    by_lease: BTreeMap<LeaseId, Probed>,
    by_service: BTreeMap<ServiceName, BTreeSet<LeaseId>>,
    /// Those that are not under way, by when they are due.
    queue: BTreeSet<(Uptime, LeaseId)>,
    /// Those that are critical, by when they are to be taken out.
    ends: BTreeSet<(Uptime, LeaseId)>,
}

/// An instance that is asked.
#[derive(Clone, Debug)]
struct Probed {
    key: InstanceKey,
    check: Check,
    at: Address,
    /// How long it stays while it is critical; for ever where this is zero.
    stays: Duration,
    status: Status,
    /// `None` while it is asked, and until the conclusion is recorded.
    due_at: Option<Uptime>,
    ends_at: Option<Uptime>,
    /// How often it was asked.
    round: u64,
}

/// To be asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The instance.
    pub key: InstanceKey,
    /// The lease it lives under.
    pub lease_id: LeaseId,
    /// What to ask.
    pub check: Check,
    /// Where.
    pub at: Address,
}

/// The first question comes within this time, so that an instance that is ready is not kept waiting.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// By so much of it, at most, an interval is longer or shorter than it says, so that those that began together do not go on
/// together: the 16th part.
const JITTER_PART: u32 = 16;

/// Of an instance that is asked seldom it is not waited for what it says: so many times less often than another.
const WAITED_FOR: u32 = 2;

impl Probes {
    /// No checks.
    pub const fn new(policy: ProbePolicy) -> Self {
        Self {
            policy,
            by_lease: BTreeMap::new(),
            by_service: BTreeMap::new(),
            queue: BTreeSet::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Asks an instance from now on, at `address` unless its check says otherwise. It stays for `stays` while it is critical, for ever where that is zero.
    pub fn start(
        &mut self,
        key: InstanceKey,
        lease_id: LeaseId,
        (check, address): (Check, Address),
        stays: Duration,
        now: Uptime,
    ) {
        self.stop(lease_id);
        let spread = FIRST_WITHIN.min(check.interval());
        let due_at = now.saturating_add(spread.mul_f64(share(lease_id, 0)));
        self.queue.insert((due_at, lease_id));
        self.by_service.entry(key.service.clone()).or_default().insert(lease_id);
        let status = Status::first(&check);
        let at = check.at.clone().unwrap_or(address);
        let due_at = Some(due_at);
        let probed = Probed { key, check, at, stays, status, due_at, ends_at: None, round: 0 };
        self.by_lease.insert(lease_id, probed);
    }

    /// What the log says was concluded before this process started. How long ago that was says nothing.
    pub fn recall(&mut self, lease_id: LeaseId, health: Health, now: Uptime) {
        let Some(probed) = self.by_lease.get_mut(&lease_id) else { return };
        probed.status.recall(health);
        self.note_end(lease_id, now);
    }

    /// Asks an instance no more.
    pub fn stop(&mut self, lease_id: LeaseId) {
        let Some(probed) = self.by_lease.remove(&lease_id) else { return };
        if let Some(due_at) = probed.due_at {
            self.queue.remove(&(due_at, lease_id));
        }
        if let Some(ends_at) = probed.ends_at {
            self.ends.remove(&(ends_at, lease_id));
        }
        if let Some(of_service) = self.by_service.get_mut(&probed.key.service) {
            of_service.remove(&lease_id);
            if of_service.is_empty() {
                self.by_service.remove(&probed.key.service);
            }
        }
    }

    /// Those to be asked now, the earliest first, at most `count_max`. Each must be told of with [`Self::answer`], and
    /// then again with [`Self::again`].
    pub fn take_due(&mut self, now: Uptime, count_max: usize) -> Vec<Probe> {
        let mut due = Vec::new();
        while due.len() < count_max
            && let Some(&(due_at, lease_id)) = self.queue.first()
            && due_at <= now
        {
            self.queue.pop_first();
            let Some(probed) = self.by_lease.get_mut(&lease_id) else { continue };
            probed.due_at = None;
            let Probed { key, check, at, .. } = probed.clone();
            due.push(Probe { key, lease_id, check, at });
        }
        due
    }

    /// An instance was asked. Answers what is concluded, where that is news.
    pub fn answer(&mut self, lease_id: LeaseId, outcome: Outcome, now: Uptime) -> Option<Finding> {
        let probed = self.by_lease.get_mut(&lease_id)?;
        probed.status.count(outcome, now);
        let is_silence = self.is_silence_of_many(lease_id);
        let probed = self.by_lease.get_mut(&lease_id)?;
        let finding = probed.status.conclude(outcome, &probed.check, is_silence, self.policy);
        if finding.is_some() {
            self.note_end(lease_id, now);
        }
        finding
    }

    /// What was concluded is recorded, so the instance may be asked again: an older conclusion never comes after a newer.
    pub fn again(&mut self, lease_id: LeaseId, now: Uptime) {
        let Some(probed) = self.by_lease.get_mut(&lease_id) else { return };
        probed.round += 1;
        let interval = probed.check.interval();
        let jitter = (interval / JITTER_PART).mul_f64(share(lease_id, probed.round));
        let due_at = now.saturating_add(interval - interval / (2 * JITTER_PART) + jitter);
        if let Some(before) = probed.due_at.replace(due_at) {
            self.queue.remove(&(before, lease_id));
        }
        self.queue.insert((due_at, lease_id));
    }

    /// Those that have been critical for as long as they may stay. Each is told once.
    pub fn take_ended(&mut self, now: Uptime) -> Vec<(InstanceKey, LeaseId)> {
        let mut ended = Vec::new();
        while let Some(&(ends_at, lease_id)) = self.ends.first()
            && ends_at <= now
        {
            self.ends.pop_first();
            let Some(probed) = self.by_lease.get_mut(&lease_id) else { continue };
            probed.ends_at = None;
            ended.push((probed.key.clone(), lease_id));
        }
        ended
    }

    /// When there is something to do next.
    pub fn next_at(&self) -> Option<Uptime> {
        let first = |set: &BTreeSet<(Uptime, LeaseId)>| set.first().map(|(at, _)| *at);
        [first(&self.queue), first(&self.ends)].into_iter().flatten().min()
    }

    /// How many instances are asked.
    pub fn count(&self) -> usize {
        self.by_lease.len()
    }

    /// Whether an instance is silent, and many of its service are, or may be: of those that were not asked since it began
    /// nothing is known.
    fn is_silence_of_many(&self, lease_id: LeaseId) -> bool {
        let Some(probed) = self.by_lease.get(&lease_id) else { return false };
        if !probed.status.is_silent() {
            return false;
        }
        let of_service = self.by_service.get(&probed.key.service).into_iter().flatten();
        let (mut silent, mut known) = (0, 0);
        for each in of_service.filter_map(|id| self.by_lease.get(id)) {
            if each.status.was_asked_since(&probed.status) {
                known += 1;
                silent += usize::from(each.status.is_silent());
            } else if self.policy.preserve_percent > 0
                && each.check.interval() <= probed.check.interval() * WAITED_FOR
            {
                // It is asked soon: then more is known.
                return true;
            }
        }
        self.policy.are_many(silent, known)
    }

    /// An instance that is critical is taken out some time later; one that is not is not.
    fn note_end(&mut self, lease_id: LeaseId, now: Uptime) {
        let Some(probed) = self.by_lease.get_mut(&lease_id) else { return };
        if let Some(before) = probed.ends_at.take() {
            self.ends.remove(&(before, lease_id));
        }
        if probed.status.health() == Health::Critical && !probed.stays.is_zero() {
            let ends_at = now.saturating_add(probed.stays);
            probed.ends_at = Some(ends_at);
            self.ends.insert((ends_at, lease_id));
        }
    }
}

/// From 0 to 1: the same for the same round of the same lease, and spread evenly over leases, whose ids are random.
fn share(lease_id: LeaseId, round: u64) -> f64 {
    let mixed = lease_id.as_u128() ^ u128::from(round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let folded = (mixed ^ (mixed >> 64)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let top = u32::try_from((folded >> 32) & u128::from(u32::MAX)).unwrap_or_default();
    f64::from(top) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
