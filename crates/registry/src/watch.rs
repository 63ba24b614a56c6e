//! Who waits for a change of what.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lombard_types::ServiceName;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Wakes those who wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Watches {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    overall: watch::Sender<()>,
    names: watch::Sender<()>,
    /// Services that somebody waits for, whether they exist or not.
    services: Mutex<HashMap<ServiceName, watch::Sender<()>>>,
    waiters: AtomicUsize,
    waiters_max: usize,
}

/// What may change.
#[derive(Clone, Debug)]
pub(crate) enum Topic {
    Overall,
    /// Which services there are, and the tags of their instances.
    Names,
    Service(ServiceName),
}

/// A place among those who wait; left by dropping it.
#[derive(Debug)]
pub(crate) struct Waiter {
    watches: Watches,
    topic: Topic,
    /// Taken before the place is given up, so that the last one out can tell that it is the last.
    changed: Option<watch::Receiver<()>>,
}

/// All places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyWaiters {
    pub(crate) waiters_max: usize,
}

impl Watches {
    pub(crate) fn new(waiters_max: usize) -> Self {
        let inner = Inner {
            overall: watch::Sender::new(()),
            names: watch::Sender::new(()),
            services: Mutex::default(),
            waiters: AtomicUsize::new(0),
            waiters_max,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a place. Changes from here on are seen.
    pub(crate) fn enter(&self, topic: Topic) -> Result<Waiter, TooManyWaiters> {
        let waiters_max = self.inner.waiters_max;
        self.inner
            .waiters
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |waiters| {
                (waiters < waiters_max).then_some(waiters + 1)
            })
            .map_err(|_| TooManyWaiters { waiters_max })?;
        let changed = match &topic {
            Topic::Overall => self.inner.overall.subscribe(),
            Topic::Names => self.inner.names.subscribe(),
            Topic::Service(name) => {
                let mut services = self.inner.services.lock();
                services.entry(name.clone()).or_insert_with(|| watch::Sender::new(())).subscribe()
            }
        };
        Ok(Waiter { watches: self.clone(), topic, changed: Some(changed) })
    }

    /// A service has changed.
    pub(crate) fn wake(&self, service: &ServiceName) {
        self.inner.overall.send_replace(());
        if let Some(watch) = self.inner.services.lock().get(service) {
            watch.send_replace(());
        }
    }

    /// A service has come or gone, or a tag of one.
    pub(crate) fn wake_names(&self) {
        self.inner.names.send_replace(());
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.inner.waiters.load(Ordering::Relaxed)
    }
}

impl Waiter {
    /// Waits for the next change.
    pub(crate) async fn changed(&mut self) {
        let is_open = match &mut self.changed {
            Some(changed) => changed.changed().await.is_ok(),
            None => false,
        };
        // Not reached: the sender lives at least as long as this waiter's place in the table.
        if !is_open {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.changed = None;
        if let Topic::Service(name) = &self.topic {
            let mut services = self.watches.inner.services.lock();
            if services.get(name).is_some_and(|watch| watch.receiver_count() == 0) {
                services.remove(name);
            }
        }
        self.watches.inner.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn only_those_who_wait_for_it_wake() {
        let watches = Watches::new(3);
        let name = |name: &str| name.parse::<ServiceName>().unwrap();
        let mut overall = watches.enter(Topic::Overall).unwrap();
        let mut mine = watches.enter(Topic::Service(name("a"))).unwrap();
        let mut other = watches.enter(Topic::Service(name("b"))).unwrap();
        watches.wake(&name("a"));
        assert!(overall.changed().now_or_never().is_some());
        assert!(mine.changed().now_or_never().is_some());
        assert!(other.changed().now_or_never().is_none());
        assert!(mine.changed().now_or_never().is_none(), "seen once");
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let watches = Watches::new(2);
        let service = || Topic::Service("a".parse().unwrap());
        let (first, second) =
            (watches.enter(service()).unwrap(), watches.enter(service()).unwrap());
        let refused = watches.enter(Topic::Overall).unwrap_err();
        assert_eq!(refused, TooManyWaiters { waiters_max: 2 });
        drop(first);
        assert_eq!(watches.inner.services.lock().len(), 1, "somebody is left");
        drop(second);
        assert_eq!(watches.inner.services.lock().len(), 0);
        assert_eq!(watches.count(), 0);
    }
}
