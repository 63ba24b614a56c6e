//! Who brings answers to those who wait for them.
//!
//! The log tells of a group on its own thread, from where each task that is woken costs a system call. So the answers of a
//! group that are waited for on one runtime go to a task there, which hands them on: waking its neighbours costs next to
//! nothing.

use parking_lot::Mutex;
use tokio::{runtime, sync::mpsc};

use crate::{
    Machine,
    unanswered::{Waiting, answer},
};

/// Those who wait, and whether what they wait for is durable.
type Load<M> = (Vec<Waiting<M>>, bool);

/// Brings answers to one runtime. It ends with the last of its clones, or with the runtime.
pub(crate) struct Courier<M: Machine> {
    runtime: runtime::Id,
    // Not without limit: everybody in it has a place among the commands that may wait.
    loads: mpsc::UnboundedSender<Load<M>>,
}

impl<M: Machine> Clone for Courier<M> {
    fn clone(&self) -> Self {
        Self { runtime: self.runtime, loads: self.loads.clone() }
    }
}

/// The couriers of one engine: one for each runtime that has asked for something.
pub(crate) struct Couriers<M: Machine>(Mutex<Vec<Courier<M>>>);

/// Somebody who waits, and who brings the answer; nobody where it is waited for outside of a runtime.
pub(crate) struct Addressed<M: Machine> {
    pub(crate) waiting: Waiting<M>,
    pub(crate) courier: Option<Courier<M>>,
}

impl<M: Machine> Couriers<M> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The courier of a runtime.
    pub(crate) fn of(&self, runtime: &runtime::Handle) -> Courier<M> {
        let mut couriers = self.0.lock();
        let id = runtime.id();
        if let Some(known) = couriers.iter().find(|courier| courier.runtime == id) {
            return known.clone();
        }
        // Runtimes that have ended have taken their couriers with them.
        couriers.retain(|courier| !courier.loads.is_closed());
        let (loads, mut arriving) = mpsc::unbounded_channel::<Load<M>>();
        drop(runtime.spawn(async move {
            while let Some((waiting, is_durable)) = arriving.recv().await {
                waiting.into_iter().for_each(|waiting| answer(waiting, is_durable));
            }
        }));
        let courier = Courier { runtime: id, loads };
        couriers.push(courier.clone());
        courier
    }
}

/// Answers those who wait, in their order on each runtime.
pub(crate) fn deliver<M: Machine>(addressed: Vec<Addressed<M>>, is_durable: bool) {
    let mut rest = addressed.into_iter().peekable();
    while let Some(Addressed { waiting, courier }) = rest.next() {
        // Who is by itself is woken as fast as the courier would be.
        let Some(courier) =
            courier.filter(|courier| rest.peek().is_some_and(|next| next.is_for(courier)))
        else {
            answer(waiting, is_durable);
            continue;
        };
        let mut together = Vec::with_capacity(1 + rest.len());
        together.push(waiting);
        while let Some(next) = rest.next_if(|next| next.is_for(&courier)) {
            together.push(next.waiting);
        }
        if let Err(mpsc::error::SendError((waiting, is_durable))) =
            courier.loads.send((together, is_durable))
        {
            waiting.into_iter().for_each(|waiting| answer(waiting, is_durable));
        }
    }
}

impl<M: Machine> Addressed<M> {
    fn is_for(&self, courier: &Courier<M>) -> bool {
        self.courier.as_ref().is_some_and(|own| own.runtime == courier.runtime)
    }
}
