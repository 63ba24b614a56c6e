//! Whether the writer writes its records itself.
//!
//! A thread for the log's writes lets the next group be decided meanwhile. Where nobody asks for anything meanwhile,
//! since all callers wait for this very group, all that it does is to be woken. So the writer writes itself for as long as
//! nobody has come while it did.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::queue::Counter;

/// Groups that are left to the log's thread after somebody has come: twice as many each time, up to two to this.
const DOUBLINGS_MAX: u32 = 8;

pub(crate) struct Alone {
    requests: Counter,
    /// Whether somebody came while the last group was written.
    has_come: Arc<AtomicBool>,
    in_vain: u32,
    skip: u32,
}

impl Alone {
    pub(crate) fn new(requests: Counter) -> Self {
        Self { requests, has_come: Arc::default(), in_vain: 0, skip: 0 }
    }

    /// Whether the writer is to write the next group itself.
    pub(crate) fn is_worth_it(&mut self) -> bool {
        if self.has_come.swap(false, Ordering::Relaxed) {
            self.in_vain = (self.in_vain + 1).min(DOUBLINGS_MAX);
            self.skip = 1 << self.in_vain;
        } else if self.skip == 0 {
            self.in_vain = 0;
        }
        self.skip = self.skip.saturating_sub(1);
        self.skip == 0
    }

    /// Called when the writer begins to write; what it answers is called when it has, and before anybody is answered.
    pub(crate) fn begin(&self) -> impl FnOnce() + Send + 'static {
        let (requests, has_come) = (self.requests.clone(), Arc::clone(&self.has_come));
        let before = requests.get();
        move || has_come.store(requests.get() != before, Ordering::Relaxed)
    }
}
