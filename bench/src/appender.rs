//! A worker that appends to a stream of its own.

use lombard_engine::Handle;
use lombard_eventstore::EventStoreMachine;
use lombard_eventstore_core::{
    Append, Condition, Content, EventType, Evidence, Expected, NewEvent, StreamAppend, Tag,
};
use lombard_types::StreamName;

use crate::{Worker, content, event_id, evidence, store};

/// Appends so many events at a time.
pub struct Appender {
    handle: Handle<EventStoreMachine>,
    /// What it appends to next, and its part of each append that stays the same.
    stream: StreamName,
    event_type: EventType,
    content: Content,
    evidence: Evidence,
    batch: usize,
    tags: Box<[Tag]>,
    condition: Option<Condition>,
}

impl Appender {
    /// The appender with this number: it has a stream of its own.
    pub fn new(handle: Handle<EventStoreMachine>, number: usize, batch: usize) -> Self {
        Self {
            handle,
            stream: format!("payment-{number:07}").parse().expect("a stream's name"),
            event_type: "com.example.payment.settled".parse().expect("a type"),
            content: content(number as u64),
            evidence: evidence(number as u64),
            batch,
            tags: Box::default(),
            condition: None,
        }
    }

    /// What each event is tagged with.
    pub fn tag(&mut self, tags: Box<[Tag]>) {
        self.tags = tags;
    }

    /// What each append depends on.
    pub fn depend_on(&mut self, condition: Option<Condition>) {
        self.condition = condition;
    }

    fn next(&self) -> Append {
        let event = || NewEvent {
            id: event_id(),
            event_type: self.event_type.clone(),
            tags: self.tags.clone(),
            content: self.content.clone(),
        };
        let events = (0..self.batch).map(|_| event()).collect();
        let (stream, expected) = (self.stream.clone(), Expected::Any);
        Append {
            streams: vec![StreamAppend { stream, expected, events }],
            condition: self.condition.clone(),
            evidence: self.evidence.clone(),
        }
    }
}

impl Worker for Appender {
    async fn ask(&mut self) -> anyhow::Result<()> {
        store::append(&self.handle, self.next()).await.map(drop)
    }
}
