//! What becomes of a lease that was not renewed in time.

use std::time::Duration;

use super::{Held, Leases, Phase, Uptime};
use crate::{Doubt, InstanceKey, LeaseId};

/// By what leases are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// What a lease gets beyond its time after a restart.
    pub restart_grace: Duration,
    /// The share of a service's leases, in percent, that must have fallen silent for the silence not to be taken for
    /// their death. 0 for never.
    pub preserve_percent: u8,
    /// How many times its time a lease lives, since it was last renewed, where it is preserved.
    pub preserve_ttls: u32,
    /// How long a process whose stream broke may take to come back.
    pub stream_grace: Duration,
    /// How long an instance that is damped must be steady.
    pub damping: Duration,
}

/// Something to do about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which one.
    pub key: InstanceKey,
    /// The lease it lives under.
    pub lease_id: LeaseId,
    /// What.
    pub verdict: Verdict,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Mark it: it goes on being served. The lease stays, and can be renewed.
    Doubt(Doubt),
    /// Keep traffic away. The lease stays, and can be renewed.
    Lapse,
    /// Take it out. The lease is gone: an expiry under way and a renewal never both succeed.
    Expire,
    /// It is damped no more.
    Release,
}

/// Fewer than this are no crowd.
const MANY_MIN: usize = 2;
/// Clients renew a lease three times in its time. Who has not for this share of it, in percent, has missed one.
const SILENT_PERCENT: u32 = 50;

impl Leases {
    /// Judges what has run out, the earliest first; at the same moment by id.
    pub fn take_due(&mut self, now: Uptime) -> Vec<Due> {
        self.look(now);
        let mut due = Vec::new();
        while let Some(&(deadline, id)) = self.by_deadline.first()
            && deadline <= now
        {
            self.set_deadline(id, None);
            due.extend(self.judge(id, now));
        }
        while let Some(&(release_at, id)) = self.by_release.first()
            && release_at <= now
        {
            self.set_release(id, None);
            let held = self.by_id.get(&id);
            due.extend(held.map(|held| held.due(id, Verdict::Release)));
        }
        due
    }

    fn judge(&mut self, id: LeaseId, now: Uptime) -> Option<Due> {
        let held = self.by_id.get(&id)?;
        let until =
            held.renewed_at.saturating_add(held.lease.ttl.duration() * self.policy.preserve_ttls);
        let doubt = match held.phase {
            Phase::Living | Phase::Unconfirmed => {
                self.has_many_silent(held, now).then_some(Doubt::Silence)
            }
            Phase::Broken => self.has_many_broken(held).then_some(Doubt::BrokenStreams),
            Phase::Preserved | Phase::Lapsed => None,
        };
        match doubt.filter(|_| until > now) {
            Some(doubt) => self.preserve(id, doubt, until),
            None => self.end(id, now),
        }
    }

    fn preserve(&mut self, id: LeaseId, doubt: Doubt, until: Uptime) -> Option<Due> {
        let held = self.by_id.get_mut(&id)?;
        held.phase = Phase::Preserved;
        let due = held.due(id, Verdict::Doubt(doubt));
        self.set_deadline(id, Some(until));
        Some(due)
    }

    fn end(&mut self, id: LeaseId, now: Uptime) -> Option<Due> {
        let held = self.by_id.get(&id)?;
        if held.phase != Phase::Lapsed && held.lease.deregister_after_seconds > 0 {
            let due = held.due(id, Verdict::Lapse);
            self.broken.remove(&id);
            self.lapse(id, now);
            return Some(due);
        }
        let due = held.due(id, Verdict::Expire);
        self.remove(id);
        Some(due)
    }

    fn has_many_silent(&self, judged: &Held, now: Uptime) -> bool {
        let (silent, expected) = self.among(judged, |_, held| held.is_silent(now));
        self.are_many(silent, expected)
    }

    /// Streams of all services are looked at together, too: what breaks them, such as a proxy that was restarted, is no
    /// service's own.
    fn has_many_broken(&self, judged: &Held) -> bool {
        let (broken, expected) = self.among(judged, |id, _| self.broken.contains(&id));
        self.are_many(broken, expected)
            || self.are_many(self.broken.len(), self.broken.len() + self.streaming_count)
    }

    /// How many leases of the same service are so, and how many there are. Those that have run out count as neither.
    fn among(&self, judged: &Held, is_so: impl Fn(LeaseId, &Held) -> bool) -> (usize, usize) {
        let ids = self.by_service.get(&judged.key.service).into_iter().flatten();
        let of_service = ids.filter_map(|id| Some((*id, self.by_id.get(id)?)));
        of_service
            .filter(|(_, held)| held.phase != Phase::Lapsed)
            .fold((0, 0), |(found, expected), (id, held)| {
                (found + usize::from(is_so(id, held)), expected + 1)
            })
    }

    fn are_many(&self, silent: usize, expected: usize) -> bool {
        let percent = usize::from(self.policy.preserve_percent);
        percent > 0 && silent >= MANY_MIN && silent * 100 >= expected * percent
    }
}

impl Held {
    fn is_silent(&self, now: Uptime) -> bool {
        let silence = self.lease.ttl.duration() * SILENT_PERCENT / 100;
        !self.lease.is_permanent && now.saturating_sub(self.renewed_at) > silence
    }

    fn due(&self, lease_id: LeaseId, verdict: Verdict) -> Due {
        Due { key: self.key.clone(), lease_id, verdict }
    }
}
