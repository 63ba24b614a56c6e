//! The leases that live, shared by those who renew them and the task that ends them.

use std::sync::Arc;

use lombard_registry_core::{InstanceKey, Lease, LeaseId, Leases, Ttl, Uptime};
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
    pub(crate) fn new() -> Self {
        let leases = Mutex::default();
        Self { inner: Arc::new(Inner { leases, granted: Notify::new(), start: Instant::now() }) }
    }

    pub(crate) fn grant(&self, lease: Lease, key: InstanceKey) {
        self.inner.leases.lock().grant(lease, key, self.now());
        self.inner.granted.notify_one();
    }

    pub(crate) fn renew(&self, id: LeaseId, key: &InstanceKey) -> Option<Ttl> {
        self.inner.leases.lock().renew(id, key, self.now())
    }

    pub(crate) fn remove(&self, id: LeaseId) {
        self.inner.leases.lock().remove(id);
    }

    /// Every lease lives for its whole time again: how long the process was away says nothing about the instances.
    pub(crate) fn renew_all(&self) {
        self.inner.leases.lock().renew_all(self.now());
        self.inner.granted.notify_one();
    }

    /// How many leases live.
    pub(crate) fn count(&self) -> usize {
        self.inner.leases.lock().count()
    }

    /// Waits until leases run out, and takes them out. Cancel safe: what is taken out is answered at once.
    pub(crate) async fn due(&self) -> Vec<(InstanceKey, LeaseId)> {
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
                    tokio::select! {
                        () = tokio::time::sleep_until(self.inner.start + deadline) => {}
                        () = granted => {}
                    }
                }
            }
        }
    }

    fn now(&self) -> Uptime {
        self.inner.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lease(id: u128, seconds: u64) -> Lease {
        Lease { id: LeaseId::from_u128(id), ttl: Ttl::from_seconds(seconds).unwrap() }
    }

    fn key() -> InstanceKey {
        InstanceKey { service: "a".parse().unwrap(), instance: "b".parse().unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_wakes_and_a_renewal_puts_off() {
        let lessor = Lessor::new();
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
        assert_eq!(due, [(key(), LeaseId::from_u128(2))]);
        // Timers of tokio count in milliseconds.
        assert!((Duration::from_secs(19)..Duration::from_millis(19_010)).contains(&at), "{at:?}");
    }
}
