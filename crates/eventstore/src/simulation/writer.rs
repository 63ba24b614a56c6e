//! Clients that append, retry, and hold the store to its answers.

use std::{ops::ControlFlow, rc::Rc};

use lombard_engine::{Committed, Handle, SubmitError};
use lombard_eventstore_core::{
    Append, Command, Condition, Content, Criterion, Event, EventPosition, Evidence, Expected,
    NewEvent, Past as _, Query, Rejection, Reuse, StreamAppend, StreamRange, Tag,
};
use lombard_simulation::Dice;
use lombard_types::{Position, Revision, StreamName};

use super::{
    history::{Ask, Known},
    world::World,
};
use crate::{
    cloud_event::{Data, EventContent},
    codec,
    machine::{EventStoreMachine, Reply},
    query::{AllReading, Direction, Filter, Horizon, Reader},
};

pub(super) const STREAMS: u64 = 5;
pub(super) const TYPES: u64 = 3;
pub(super) const TAGS: u64 = 3;

pub(super) struct Writer {
    pub(super) actor: u64,
    pub(super) world: Rc<World>,
    pub(super) handle: Handle<EventStoreMachine>,
    pub(super) reader: Reader,
    pub(super) dice: Dice,
}

type Submitted = Result<Committed<Reply>, SubmitError<Rejection>>;

impl Writer {
    /// Appends until the life ends. First what was not answered in the life before.
    pub(super) async fn run(mut self, number: usize) {
        let last = self.world.asked.borrow()[number].last().copied();
        let mut unanswered = last.filter(|ask| self.is_absent(*ask));
        while !self.world.nature.is_ending.get() {
            tokio::time::sleep(self.dice.pause(6)).await;
            let mine = self.world.asked.borrow()[number].clone();
            let ask = match unanswered.take() {
                Some(ask) => ask,
                None if !mine.is_empty() && self.dice.is_one_in(6) => {
                    mine[self.dice.roll(mine.len() as u64) as usize]
                }
                None => self.think_of_an_append(),
            };
            if !mine.contains(&ask) {
                self.world.asked.borrow_mut()[number].push(ask);
            }
            if self.dice.is_one_in(10) {
                self.reuse_ids(ask).await;
            }
            if self.ask(ask).await.is_break() {
                break;
            }
        }
    }

    fn is_absent(&self, ask: Ask) -> bool {
        *self.world.history.borrow().known(ask) == Known::Absent
    }

    fn think_of_an_append(&mut self) -> Ask {
        let ask = self.world.history.borrow().next_ask();
        let mut index = 0;
        let first = self.dice.roll(STREAMS);
        let streams = (0..1 + u64::from(self.dice.is_one_in(3)))
            .map(|step| self.think_of_a_part(ask, &mut index, (first + step) % STREAMS))
            .collect();
        let condition = self.dice.is_one_in(3).then(|| self.think_of_a_condition());
        let append = Append { streams, condition, evidence: evidence() };
        self.world.history.borrow_mut().add(append)
    }

    fn think_of_a_part(&mut self, ask: Ask, index: &mut usize, stream: u64) -> StreamAppend {
        let stream = stream_name(stream);
        let last = self.world.history.borrow().last_revision(&stream);
        let expected = match (self.dice.roll(4), last) {
            (0, Some(last)) => Expected::Exactly(last),
            (0, None) => Expected::NoStream,
            (1, Some(_)) => Expected::StreamExists,
            _ => Expected::Any,
        };
        let count = [1, 1, 1, 2, 5][self.dice.roll(5) as usize];
        let mut think_of_an_event = || {
            *index += 1;
            let tags = (0..TAGS).filter(|_| self.dice.is_one_in(2)).map(tag).collect();
            let text = "x".repeat(self.dice.roll(200) as usize);
            let data = Data::Json(format!("\"{text}\"").into());
            let content = EventContent { source: "/sim".into(), data, ..EventContent::default() };
            NewEvent {
                id: ask.event_id(*index - 1),
                event_type: event_type(self.dice.roll(TYPES)),
                tags,
                content: codec::encode_content(&content),
            }
        };
        let events = (0..count).map(|_| think_of_an_event()).collect();
        StreamAppend { stream, expected, events }
    }

    fn think_of_a_condition(&mut self) -> Condition {
        let types = (0..TYPES).filter(|_| self.dice.is_one_in(3)).map(event_type).collect();
        let tags = (0..TAGS).filter(|_| self.dice.is_one_in(3)).map(tag).collect();
        // Often what the writer knows; sometimes less.
        let next = self.reader.index.next_position().get();
        let after = next.checked_sub(1 + self.dice.roll(4)).map(EventPosition::new);
        Condition { query: Query(vec![Criterion { types, tags }]), after }
    }

    /// Asks, and compares the answer with everything known. Breaks off when the store has stopped.
    async fn ask(&mut self, ask: Ask) -> ControlFlow<()> {
        let (append, before) = {
            let history = self.world.history.borrow();
            (history.append(ask).clone(), history.known(ask).clone())
        };
        if before == Known::Absent {
            self.world.history.borrow_mut().set(ask, Known::Unknown);
        }
        let known_before: Vec<_> = append.streams.iter().map(|part| self.last(part)).collect();
        let submitted = self.handle.submit(Command::Append(append.clone())).await;
        let what = format!("{} {submitted:?}", ask.0);
        self.world.nature.note(self.actor, &what);
        match self.judge(&append, &known_before, submitted).await {
            Judged::Present { record, ranges } => {
                let present = Known::Present { record, ranges };
                self.world.history.borrow_mut().set(ask, present);
            }
            // What has an effect cannot be without.
            Judged::Absent => self.world.history.borrow_mut().set(ask, Known::Absent),
            Judged::Undecided => self.world.history.borrow_mut().set(ask, before),
            Judged::Unknown => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn last(&self, part: &StreamAppend) -> Option<Revision> {
        self.world.history.borrow().last_revision(&part.stream)
    }

    async fn judge(
        &self,
        append: &Append,
        known_before: &[Option<Revision>],
        submitted: Submitted,
    ) -> Judged {
        let rejection = match submitted {
            Ok(committed) => return self.judge_commit(append, committed).await,
            Err(SubmitError::Rejected { rejection, position }) => {
                let durable = self.reader.durable();
                assert!(position.is_none_or(|position| position < durable), "answered too early");
                rejection
            }
            // Certain: this try has had no effect.
            Err(SubmitError::Overloaded | SubmitError::Expired) => return Judged::Undecided,
            Err(SubmitError::DiskFull) => {
                assert!(self.world.nature.was_full.get(), "the disk was never full");
                return Judged::Undecided;
            }
            Err(SubmitError::Stopped | SubmitError::OutcomeUnknown) => return Judged::Unknown,
            Err(SubmitError::TooLarge { .. }) => panic!("{append:?} is not too large"),
        };
        match rejection {
            Rejection::WrongExpectedRevision { stream, expected, actual } => {
                let parts = append.streams.iter().zip(known_before);
                let (part, before) =
                    parts.into_iter().find(|(part, _)| part.stream == stream).unwrap();
                assert!(part.expected == expected && !expected.is_met(actual));
                assert!(actual >= *before, "a stream has become shorter");
                let end = self.reader.durable();
                if let Ok(chunk) = self.reader.index.last_chunk(&stream, end) {
                    let durable = chunk.map(|chunk| chunk.last_revision());
                    assert!(durable >= actual, "rejected for what is not durable");
                }
                Judged::Absent
            }
            Rejection::ConditionFailed { position } => {
                self.judge_condition(append, position).await;
                Judged::Absent
            }
            Rejection::Unreadable(cause) => {
                self.world.nature.hear_complaint(&cause);
                Judged::Unknown
            }
            other => panic!("{append:?} was rejected: {other}"),
        }
    }

    async fn judge_commit(&self, append: &Append, committed: Committed<Reply>) -> Judged {
        let Committed { position, reply, written, .. } = committed;
        assert!(position < self.reader.durable(), "acknowledged before it was durable");
        match reply {
            Reply::Appended(ranges) => {
                assert!(written);
                Judged::Present { record: position, ranges }
            }
            Reply::Recorded(record, append) => {
                let Some(appended) = self.recorded(record).await else { return Judged::Unknown };
                let ranges = appended
                    .repeated_by(&append, |recorded, asked| recorded.event.content == asked.content)
                    .unwrap();
                Judged::Present { record, ranges }
            }
            Reply::Stored(_) => panic!("{append:?} stored a document"),
        }
    }

    async fn recorded(&self, record: Position) -> Option<lombard_eventstore_core::Appended> {
        match &self.reader.record(record).await.ok()?.event {
            Event::Appended(appended) => Some(appended.clone()),
            Event::Stored(_) => panic!("{record} holds a document"),
        }
    }

    /// The event that stands in the way is durable, and is one that the condition means.
    async fn judge_condition(&self, append: &Append, position: EventPosition) {
        let Condition { query, after } = append.condition.as_ref().expect("a condition");
        assert!(after.is_none_or(|after| position > after));
        let horizon = Horizon { end: self.reader.durable(), until: None };
        let (direction, filter) = (Direction::Forwards, &Filter::default());
        let reading = AllReading { from: position, direction, filter, horizon };
        let mut is_meant = None;
        let take = |stored: crate::query::Stored<'_>| {
            let event = stored.placed.event;
            let is_it = query.is_met_by(&event.event_type, &event.tags);
            is_meant = Some(is_it && stored.placed.position == position);
            ControlFlow::Break(())
        };
        // The disk may have died meanwhile.
        if self.reader.read_all(reading, 1, take).await.is_ok() {
            assert_eq!(is_meant, Some(true), "{position} does not stand in the way of {query:?}");
        }
    }

    /// The ids of an append that has happened, with other content: refused, and nothing changes.
    async fn reuse_ids(&mut self, ask: Ask) {
        let mut other = self.world.history.borrow().append(ask).clone();
        if !matches!(self.world.history.borrow().known(ask), Known::Present { .. }) {
            return;
        }
        let event = &mut other.streams[0].events[0];
        event.content = Content([&*event.content.0, &[0]].concat().into());
        if let Ok(Committed { reply, .. }) = self.handle.submit(Command::Append(other)).await {
            let Reply::Recorded(record, other) = reply else { panic!("an id was used twice") };
            let Some(appended) = self.recorded(record).await else { return };
            let repeated = appended
                .repeated_by(&other, |recorded, asked| recorded.event.content == asked.content);
            let is_refused =
                matches!(repeated, Err(Rejection::EventIdReused { how: Reuse::OtherContent, .. }));
            assert!(is_refused, "{repeated:?}");
        }
    }
}

/// What an answer says of the append.
enum Judged {
    Present {
        record: Position,
        ranges: Vec<StreamRange>,
    },
    /// It has no effect.
    Absent,
    /// This try has none; an earlier one may have.
    Undecided,
    /// It may have an effect, and the store has stopped.
    Unknown,
}

fn evidence() -> Evidence {
    Evidence {
        client_id: "client".parse().unwrap(),
        subject: "client".into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
    }
}

pub(super) fn stream_name(number: u64) -> StreamName {
    format!("stream-{number}").parse().unwrap()
}

pub(super) fn event_type(number: u64) -> lombard_eventstore_core::EventType {
    format!("type-{number}").parse().unwrap()
}

pub(super) fn tag(number: u64) -> Tag {
    format!("tag-{number}").parse().unwrap()
}
