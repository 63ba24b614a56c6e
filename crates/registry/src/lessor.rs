//! The leases that live, shared by those who renew them and the task that ends them.

use std::sync::Arc;

use lombard_registry_core::{
    Due, Ended, InstanceKey, Lease, LeaseId, LeasePolicy, Leases, Ttl, Uptime,
};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// Knows every lease and what time it is. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Lessor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    leases: Mutex<Leases>,
    /// A deadline may be earlier than the one that is slept for.
    granted: Notify,
    start: Instant,
}

impl Lessor {
    pub(crate) fn new(policy: LeasePolicy) -> Self {
        let leases = Mutex::new(Leases::new(policy));
        Self { inner: Arc::new(Inner { leases, granted: Notify::new(), start: Instant::now() }) }
    }

    pub(crate) fn grant(&self, lease: Lease, key: InstanceKey) {
        self.bring_forward(|leases, now| leases.grant(lease, key, now));
    }

    pub(crate) fn renew(&self, id: LeaseId, key: &InstanceKey) -> Option<Ttl> {
        self.inner.leases.lock().renew(id, key, self.now())
    }

    /// Renews a lease and binds it to a stream, which is open until the binding is dropped. `None` where the lease is not
    /// known.
    pub(crate) fn bind(&self, id: LeaseId, key: &InstanceKey) -> Option<Binding> {
        self.inner.leases.lock().open_stream(id, key, self.now())?;
        Some(Binding { lessor: self.clone(), id, ended: Ended::ByPeer })
    }

    /// The log says that a lease has run out and its instance stayed.
    pub(crate) fn lapse(&self, id: LeaseId) {
        self.inner.leases.lock().lapse(id, self.now());
    }

    pub(crate) fn damp(&self, id: LeaseId, is_damped: bool) {
        self.bring_forward(|leases, now| leases.damp(id, is_damped, now));
    }

    pub(crate) fn is_living(&self, id: LeaseId) -> bool {
        self.inner.leases.lock().is_living(id)
    }

    /// Those that were not renewed since the restart.
    pub(crate) fn unconfirmed(&self) -> Vec<(InstanceKey, LeaseId)> {
        self.inner.leases.lock().unconfirmed()
    }

    pub(crate) fn remove(&self, id: LeaseId) {
        self.inner.leases.lock().remove(id);
    }

    /// Every lease lives for its whole time and more: how long the process was away says nothing about the instances.
    pub(crate) fn restart(&self) {
        self.inner.leases.lock().restart(self.now());
        self.inner.granted.notify_one();
    }

    /// How many leases live.
    pub(crate) fn count(&self) -> usize {
        self.inner.leases.lock().count()
    }

    /// Waits until there is something to do about leases. Cancel safe: what is taken out is answered at once.
    pub(crate) async fn due(&self) -> Vec<Due> {
        loop {
            let deadline = {
                let mut leases = self.inner.leases.lock();
                let due = leases.take_due(self.now());
                if !due.is_empty() {
                    return due;
                }
                leases.next_deadline()
            };
            let granted = self.inner.granted.notified();
            match deadline {
                None => granted.await,
                Some(deadline) => {
                    // A process that did not run for a while must notice.
                    let until = deadline.min(self.now() + Leases::TICK);
                    tokio::select! {
                        () = tokio::time::sleep_until(self.inner.start + until) => {}
                        () = granted => {}
                    }
                }
            }
        }
    }

    /// Wakes whoever waits for what is due only where something is due earlier than before: most new leases are not.
    fn bring_forward(&self, change: impl FnOnce(&mut Leases, Uptime)) {
        let mut leases = self.inner.leases.lock();
        let before = leases.next_deadline();
        change(&mut leases, self.now());
        let next = leases.next_deadline();
        drop(leases);
        if next.is_some_and(|next| before.is_none_or(|before| next < before)) {
            self.inner.granted.notify_one();
        }
    }

    fn now(&self) -> Uptime {
        self.inner.start.elapsed()
    }
}

/// A stream that holds a lease.
#[derive(Debug)]
pub(crate) struct Binding {
    lessor: Lessor,
    id: LeaseId,
    ended: Ended,
}

impl Binding {
    /// It is this side that ends the stream.
    pub(crate) fn end(&mut self) {
        self.ended = Ended::ByRegistry;
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        let Inner { leases, granted, .. } = &*self.lessor.inner;
        leases.lock().close_stream(self.id, self.ended, self.lessor.now());
        granted.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lombard_registry_core::Verdict;

    use super::*;

    fn lease(id: u128, seconds: u64) -> Lease {
        let ttl = Ttl::from_seconds(seconds).unwrap();
        Lease { id: LeaseId::from_u128(id), ttl, deregister_after_seconds: 0, is_permanent: false }
    }

    fn key() -> InstanceKey {
        InstanceKey { service: "a".parse().unwrap(), instance: "b".parse().unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_wakes_and_a_renewal_puts_off() {
        let lessor = Lessor::new(crate::Config::default().lease_policy());
        lessor.grant(lease(1, 3600), key());
        let waiting = tokio::spawn({
            let lessor = lessor.clone();
            async move { (lessor.due().await, lessor.now()) }
        });
        tokio::task::yield_now().await;
        lessor.grant(lease(2, 10), key());
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(lessor.renew(LeaseId::from_u128(2), &key()).is_some());
        let (due, at) = waiting.await.unwrap();
        let lease_id = LeaseId::from_u128(2);
        assert_eq!(due, [Due { key: key(), lease_id, verdict: Verdict::Expire }]);
        // Timers of tokio count in milliseconds.
        assert!((Duration::from_secs(19)..Duration::from_millis(19_010)).contains(&at), "{at:?}");
    }
}
