//! Who waits for what is decided and not durable yet.
//!
//! The log tells of a group on its own thread as soon as the group is durable, and its callers are answered there: the
//! writer is not woken in between (`courier.rs` says how).

use std::{collections::VecDeque, mem};

use lombard_log::AppendError;
use lombard_types::Position;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{
    Machine, SubmitError,
    courier::{Addressed, deliver},
    handle::Answer,
};

/// Somebody who is answered when a group is durable.
pub(crate) enum Waiting<M: Machine> {
    Command { answer: oneshot::Sender<Answer<M>>, result: Answer<M> },
    Query(Box<dyn FnOnce(bool) + Send>),
}

/// Those who wait for one append, or only for the appends before them.
struct Group<M: Machine> {
    waiting: Vec<Addressed<M>>,
    is_append: bool,
}

/// All who wait, in the order of the appends.
pub(crate) struct Unanswered<M: Machine> {
    state: Mutex<State<M>>,
    /// The writer may go on, or must stop.
    changed: Notify,
}

struct State<M: Machine> {
    groups: VecDeque<Group<M>>,
    appends: usize,
    /// The writer wants to be woken when fewer appends than this are under way.
    wake_below: usize,
    failure: Option<AppendError>,
}

impl<M: Machine> Unanswered<M> {
    pub(crate) fn new() -> Self {
        let state = State { groups: VecDeque::new(), appends: 0, wake_below: 0, failure: None };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// An append is about to be handed to the log.
    pub(crate) fn push_append(&self, waiting: Vec<Addressed<M>>) {
        let mut state = self.state.lock();
        state.appends += 1;
        state.groups.push_back(Group { waiting, is_append: true });
    }

    /// Answers when all appends under way are durable: at once where there is none.
    pub(crate) fn push(&self, waiting: Vec<Addressed<M>>) {
        let mut state = self.state.lock();
        if state.appends > 0 {
            state.groups.push_back(Group { waiting, is_append: false });
            return;
        }
        let is_durable = state.failure.is_none();
        drop(state);
        deliver(waiting, is_durable);
    }

    /// The log says what became of the first append under way. After a failure nothing that follows becomes durable.
    pub(crate) fn tell(&self, outcome: Result<Position, AppendError>) {
        let mut state = self.state.lock();
        let is_durable = outcome.is_ok();
        if let Err(error) = outcome {
            state.failure.get_or_insert(error);
            state.appends = 0;
        }
        let answered = match is_durable {
            true => state.pop(),
            false => mem::take(&mut state.groups).into(),
        };
        let is_writer_woken = state.failure.is_some() || state.appends < state.wake_below;
        if is_writer_woken {
            state.wake_below = 0;
        }
        drop(state);
        if is_writer_woken {
            self.changed.notify_one();
        }
        answered.into_iter().for_each(|group: Group<M>| deliver(group.waiting, is_durable));
    }

    /// Whether fewer appends than `count` are under way; where there are not, the writer is woken when there are.
    pub(crate) fn are_below(&self, count: usize) -> bool {
        let mut state = self.state.lock();
        let are_below = state.appends < count;
        state.wake_below = if are_below { 0 } else { count };
        are_below
    }

    /// Whether no append is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().appends == 0
    }

    /// Waits until the writer is woken. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The first append that failed.
    pub(crate) fn failure(&self) -> Option<AppendError> {
        self.state.lock().failure.clone()
    }
}

impl<M: Machine> State<M> {
    /// Those who wait for the first append, and for nothing behind it.
    fn pop(&mut self) -> Vec<Group<M>> {
        let behind = self.groups.iter().skip(1).take_while(|group| !group.is_append).count();
        let count = (1 + behind).min(self.groups.len());
        self.appends = self.appends.saturating_sub(1);
        self.groups.drain(..count).collect()
    }
}

pub(crate) fn answer<M: Machine>(waiting: Waiting<M>, is_durable: bool) {
    match waiting {
        Waiting::Query(answer) => answer(is_durable),
        // A caller that went away does not need its answer.
        Waiting::Command { answer, result } if is_durable => drop(answer.send(result)),
        Waiting::Command { answer, .. } => drop(answer.send(Err(SubmitError::OutcomeUnknown))),
    }
}
