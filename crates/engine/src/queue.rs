//! The queue of commands, and the bell that wakes the writer.
//!
//! A writer that is woken by each command has decided it and sleeps again before the next one comes, and waking it costs
//! more than deciding. So the bell is rung by a task of its own: it runs after the tasks that are ready now, which submit
//! what they have, such as all that has arrived on a connection, or all whose last command has just been answered.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    runtime,
    sync::{
        Notify,
        mpsc::{
            self,
            error::{TryRecvError, TrySendError},
        },
    },
};

use crate::{
    Machine,
    courier::{Courier, Couriers},
    handle::Request,
};

/// A request, and who brings its answer.
pub(crate) type Sent<M> = (Request<M>, Option<Courier<M>>);

/// The callers' end.
pub(crate) struct Sender<M: Machine> {
    // Goes first: with the last bell all senders have gone, and the writer is woken to see it.
    requests: mpsc::Sender<Sent<M>>,
    bell: Arc<Bell>,
    couriers: Arc<Couriers<M>>,
}

impl<M: Machine> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            bell: Arc::clone(&self.bell),
            couriers: Arc::clone(&self.couriers),
        }
    }
}

/// The writer's end.
pub(crate) struct Receiver<M: Machine> {
    requests: mpsc::Receiver<Sent<M>>,
    heard: Arc<Heard>,
}

/// What the writer hears.
#[derive(Default)]
struct Heard {
    rung: Notify,
    /// How many requests there have been.
    sent: AtomicU64,
}

struct Bell {
    heard: Arc<Heard>,
    is_about_to_ring: AtomicBool,
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.heard.rung.notify_one();
    }
}

/// Rings when it is dropped, in whatever way its task ends.
struct Ring(Arc<Bell>);

impl Drop for Ring {
    fn drop(&mut self) {
        let Self(bell) = self;
        // Whoever saw it set has its request in the queue by now.
        bell.is_about_to_ring.swap(false, Ordering::AcqRel);
        bell.heard.rung.notify_one();
    }
}

pub(crate) fn queue<M: Machine>(commands_max: usize) -> (Sender<M>, Receiver<M>) {
    let (sender, receiver) = mpsc::channel(commands_max);
    let heard = Arc::new(Heard::default());
    let bell = Bell { heard: Arc::clone(&heard), is_about_to_ring: AtomicBool::new(false) };
    let (bell, couriers) = (Arc::new(bell), Arc::new(Couriers::new()));
    (Sender { requests: sender, bell, couriers }, Receiver { requests: receiver, heard })
}

impl<M: Machine> Sender<M> {
    pub(crate) fn send(&self, request: Request<M>) -> Result<(), TrySendError<Sent<M>>> {
        let runtime = runtime::Handle::try_current().ok();
        let courier = runtime.as_ref().map(|runtime| self.couriers.of(runtime));
        self.requests.try_send((request, courier))?;
        self.bell.heard.sent.fetch_add(1, Ordering::Relaxed);
        if !self.bell.is_about_to_ring.swap(true, Ordering::AcqRel) {
            let ring = Ring(Arc::clone(&self.bell));
            match runtime {
                Some(runtime) => drop(runtime.spawn(async move { drop(ring) })),
                None => drop(ring),
            }
        }
        Ok(())
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.requests.max_capacity() - self.requests.capacity()
    }
}

impl<M: Machine> Receiver<M> {
    /// Takes what waits, until `requests` are `count`. Whether more may come.
    pub(crate) fn take(&mut self, requests: &mut Vec<Sent<M>>, count: usize) -> bool {
        while requests.len() < count {
            match self.requests.try_recv() {
                Ok(request) => requests.push(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// Waits until there may be something to take. Cancel safe.
    pub(crate) async fn rung(&self) {
        self.heard.rung.notified().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Counts the requests that there have been.
    pub(crate) fn counter(&self) -> Counter {
        Counter(Arc::clone(&self.heard))
    }
}

/// Counts the requests that there have been.
#[derive(Clone)]
pub(crate) struct Counter(Arc<Heard>);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }
}
