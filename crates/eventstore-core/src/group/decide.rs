//! What would happen.

use std::{collections::BTreeSet, time::Duration};

use lombard_types::{GroupName, Timestamp};

use super::{
    Cause, Command, Create, Deliver, Delivery, Event, Failure, Group, Groups, Nack, Next, Outcome,
    Read, Receipt, Rejection, Reply, Status, Which, window::Entry,
};
use crate::EventPosition;

/// How much the groups may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups.
    pub groups_max: usize,
    /// Consumers with deliveries, of one group.
    pub consumers_max: usize,
    /// Events in the window of one group.
    pub window_max: usize,
    /// Dead letters of one group. Where there are as many, events are tried again instead of being given up.
    pub dead_letters_max: usize,
}

/// What happens, and what the caller is told. Without events nothing happens.
pub type Decision = (Vec<Event>, Reply);

/// Says what a command leads to at `now`.
pub fn decide(
    groups: &Groups,
    limits: Limits,
    command: Command,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    match command {
        Command::Create(create) => decide_create(groups, limits, create),
        Command::Delete(group) => {
            find(groups, &group)?;
            Ok((vec![Event::Deleted { group }], Reply::Deleted))
        }
        Command::Read(read) => decide_read(groups, limits, read),
        Command::Deliver(deliver) => decide_deliver(groups, limits, deliver, now),
        Command::Ack { group, receipts } => {
            let found = find(groups, &group)?;
            let (positions, outcomes) = found.settle(&receipts, Group::acked);
            let event = Event::Acked { group, positions: positions.clone() };
            Ok((unless_empty(&positions, event), Reply::Settled(outcomes)))
        }
        Command::Nack(nack) => decide_nack(groups, limits, nack, now),
        Command::Extend { group, receipts, visibility } => {
            let found = find(groups, &group)?;
            let (positions, outcomes) = found.settle(&receipts, Group::held);
            let deadline = now.plus(visibility);
            let event = Event::Extended { group, deadline, positions: positions.clone() };
            Ok((unless_empty(&positions, event), Reply::Settled(outcomes)))
        }
        Command::Expire(group) => decide_expire(groups, limits, group, now),
        Command::Replay { group, which } => {
            let found = find(groups, &group)?;
            let room = limits.window_max.saturating_sub(found.window.len());
            let mut positions = found.which(&which);
            positions.truncate(room);
            let reply = Reply::Moved { count: positions.len(), dead: 0 };
            let event = Event::Replayed { group, positions: positions.clone() };
            Ok((unless_empty(&positions, event), reply))
        }
        Command::Discard { group, which } => {
            let positions = find(groups, &group)?.which(&which);
            let reply = Reply::Moved { count: positions.len(), dead: 0 };
            let event = Event::Discarded { group, positions: positions.clone() };
            Ok((unless_empty(&positions, event), reply))
        }
        Command::Rewind { end } => {
            let ahead = groups.groups.iter().filter(|(_, group)| group.read_to > end);
            let events: Vec<Event> =
                ahead.map(|(name, _)| Event::Rewound { group: name.clone(), end }).collect();
            let reply = Reply::Moved { count: events.len(), dead: 0 };
            Ok((events, reply))
        }
    }
}

fn find<'a>(groups: &'a Groups, group: &GroupName) -> Result<&'a Group, Rejection> {
    groups.groups.get(group).ok_or_else(|| Rejection::NotFound { group: group.clone() })
}

fn unless_empty<T>(positions: &[T], event: Event) -> Vec<Event> {
    if positions.is_empty() { Vec::new() } else { vec![event] }
}

fn decide_create(groups: &Groups, limits: Limits, create: Create) -> Result<Decision, Rejection> {
    let Create { group, settings, first, created_by } = create;
    match groups.groups.get(&group) {
        Some(existing) if existing.settings == settings => {
            Ok((Vec::new(), Reply::Created { is_new: false }))
        }
        Some(_) => Err(Rejection::OtherSettings { group }),
        None if groups.groups.len() >= limits.groups_max => {
            Err(Rejection::TooManyGroups { count_max: limits.groups_max })
        }
        None => {
            let event = Event::Created { group, settings, first, created_by };
            Ok((vec![event], Reply::Created { is_new: true }))
        }
    }
}

fn decide_read(groups: &Groups, limits: Limits, read: Read) -> Result<Decision, Rejection> {
    let Read { group, from, epoch, to, found } = read;
    let state = find(groups, &group)?;
    let room = limits.window_max.saturating_sub(state.window.len());
    let is_in_order = found.is_sorted_by(|one, next| one.position < next.position);
    let is_inside = found.first().is_none_or(|first| first.position >= from)
        && found.last().is_none_or(|last| last.position < to);
    let is_next = state.epoch == epoch && state.read_to == from && from < to;
    if !is_next || !is_in_order || !is_inside || found.len() > room {
        return Err(Rejection::Stale);
    }
    Ok((vec![Event::Read { group, to, found }], Reply::Read))
}

fn decide_deliver(
    groups: &Groups,
    limits: Limits,
    deliver: Deliver,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    let Deliver { group, consumer, count, credits, visibility } = deliver;
    let state = find(groups, &group)?;
    let (settings, window) = (&state.settings, &state.window);
    let own = window.consumers().get(&consumer).copied();
    if own.is_none() && window.consumers().len() >= limits.consumers_max {
        return Err(Rejection::TooManyConsumers { count_max: limits.consumers_max });
    }
    let consumer_max = settings.consumer_in_flight_max.min(credits.unwrap_or(u32::MAX));
    let consumer_room = consumer_max.saturating_sub(own.unwrap_or(0));
    let in_flight = u32::try_from(window.in_flight_count()).unwrap_or(u32::MAX);
    let group_room = settings.in_flight_max.saturating_sub(in_flight);
    let count = usize::try_from(count.min(consumer_room).min(group_room)).unwrap_or(0);
    let positions = window.deliverable(now, count);
    let deadline = now.plus(visibility.unwrap_or(settings.visibility));
    let deliver = |position: &EventPosition| {
        let attempt = window.get(*position).map_or(0, |entry| entry.attempts).saturating_add(1);
        let receipt = Receipt { epoch: state.epoch, position: *position, attempt };
        Delivery { receipt, deadline }
    };
    let deliveries = positions.iter().map(deliver).collect();
    let mut supply = state.supply(now, limits.window_max);
    supply.ready -= positions.len();
    let next_at = window.next_at(now);
    let reply = Reply::Delivered { deliveries, supply, next_at };
    let event = Event::Delivered { group, consumer, deadline, positions: positions.clone() };
    Ok((unless_empty(&positions, event), reply))
}

fn decide_nack(
    groups: &Groups,
    limits: Limits,
    nack: Nack,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    let Nack { group, receipts, delay, is_dead, reason } = nack;
    let state = find(groups, &group)?;
    let (positions, outcomes) = state.settle(&receipts, Group::held);
    let wish = Wish { delay, is_dead };
    let failures = state.failures(&positions, limits, now, wish);
    let event = Event::Failed { group, cause: Cause::Refused(reason), failures };
    Ok((unless_empty(&positions, event), Reply::Settled(outcomes)))
}

fn decide_expire(
    groups: &Groups,
    limits: Limits,
    group: GroupName,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    let state = find(groups, &group)?;
    let positions = state.window.overdue(now);
    // Its time was the delay.
    let wish = Wish { delay: Some(Duration::ZERO), is_dead: false };
    let failures = state.failures(&positions, limits, now, wish);
    let dead = failures.iter().filter(|failure| failure.next == Next::Dead).count();
    let reply = Reply::Moved { count: positions.len(), dead };
    let event = Event::Failed { group, cause: Cause::TimedOut, failures };
    Ok((unless_empty(&positions, event), reply))
}

/// What is wished for events whose attempt failed.
#[derive(Clone, Copy)]
struct Wish {
    delay: Option<Duration>,
    is_dead: bool,
}

impl Group {
    /// Which of the receipts' events are to be changed, each once, and what becomes of each receipt.
    fn settle(
        &self,
        receipts: &[Receipt],
        judge: impl Fn(&Entry, &Receipt) -> Outcome,
    ) -> (Vec<EventPosition>, Vec<Outcome>) {
        let mut positions = BTreeSet::new();
        let outcomes = receipts.iter().map(|receipt| {
            let outcome = self.outcome(receipt, &judge);
            if outcome == Outcome::Done {
                positions.insert(receipt.position);
            }
            outcome
        });
        let outcomes = outcomes.collect();
        (positions.into_iter().collect(), outcomes)
    }

    fn outcome(&self, receipt: &Receipt, judge: impl Fn(&Entry, &Receipt) -> Outcome) -> Outcome {
        let Receipt { epoch, position, .. } = *receipt;
        if epoch != self.epoch || position < self.first || position >= self.read_to {
            return Outcome::Unknown;
        }
        match self.window.get(position) {
            Some(entry) => judge(entry, receipt),
            None if self.dead.contains_key(&position) => Outcome::Dead,
            None => Outcome::AlreadySettled,
        }
    }

    /// The event is done, as whoever had it last says: also when its time is over, as long as nobody else has it.
    fn acked(entry: &Entry, receipt: &Receipt) -> Outcome {
        if entry.attempts == receipt.attempt { Outcome::Done } else { Outcome::Lost }
    }

    /// The consumer must still have it.
    fn held(entry: &Entry, receipt: &Receipt) -> Outcome {
        let is_in_flight = matches!(entry.status, Status::InFlight(..));
        if is_in_flight && entry.attempts == receipt.attempt {
            Outcome::Done
        } else {
            Outcome::Lost
        }
    }

    fn failures(
        &self,
        positions: &[EventPosition],
        limits: Limits,
        now: Timestamp,
        wish: Wish,
    ) -> Vec<Failure> {
        let Wish { delay, is_dead } = wish;
        let mut dead_room = limits.dead_letters_max.saturating_sub(self.dead.len());
        let fail = |position: &EventPosition| {
            let spent = self.window.get(*position).map_or(0, Entry::spent);
            let is_last = is_dead || spent >= self.settings.attempts_max;
            let next = if is_last && dead_room > 0 {
                dead_room -= 1;
                Next::Dead
            } else if is_last {
                // Nothing is lost for want of room.
                Next::Retry(now.plus(self.settings.backoff.most))
            } else {
                Next::Retry(now.plus(delay.unwrap_or(self.settings.backoff.after(spent))))
            };
            Failure { position: *position, next }
        };
        positions.iter().map(fail).collect()
    }

    fn which(&self, which: &Which) -> Vec<EventPosition> {
        match which {
            Which::All => self.dead.keys().copied().collect(),
            Which::These(positions) => {
                let wanted: BTreeSet<&EventPosition> = positions.iter().collect();
                wanted.into_iter().filter(|at| self.dead.contains_key(at)).copied().collect()
            }
        }
    }
}
