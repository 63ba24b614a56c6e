//! The index and the readers against the past in memory and a plain list, through seals and restarts.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use lombard_engine::{Engine, Handle, Limits as EngineLimits, StateAt};
use lombard_eventstore_core::{
    Append, Command, Content, Criterion, Evidence, Expected, Limits, MemoryPast, NewEvent,
    Past as _, Query, StreamAppend, Tag,
};
use lombard_log::MemoryLog;
use lombard_types::{EventId, Revision, StreamName};
use proptest::prelude::*;

use super::*;
use crate::{
    codec::EventCodec,
    machine::{EventStoreMachine, Reply},
    query::{AllReading, Direction, Filter, Horizon, Reader, StreamReading},
    schema::Schemas,
};

const LIMITS: Limits = Limits { append_streams_max: 5, append_events_max: 100 };

fn stream(number: u8) -> StreamName {
    format!("stream-{number}").parse().unwrap()
}

fn tag(number: u8) -> Tag {
    format!("tag-{number}").parse().unwrap()
}

/// An event of a type with some of three tags.
type Kind = (u8, [bool; 3]);

fn event(number: u128, (event_type, tags): Kind) -> NewEvent {
    let tags = (0..).zip(tags).filter(|(_, is_set)| *is_set).map(|(number, _)| tag(number));
    NewEvent {
        id: EventId::from_u128(number + 1).unwrap(),
        event_type: format!("type-{event_type}").parse().unwrap(),
        tags: tags.collect(),
        content: Content(number.to_be_bytes().into()),
    }
}

fn append(streams: Vec<StreamAppend>) -> Command {
    let evidence = Evidence {
        client_id: "client".parse().unwrap(),
        subject: "client".into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
    };
    Command::Append(Append { streams, condition: None, evidence })
}

struct Running {
    writer: Handle<EventStoreMachine>,
    reader: Reader,
    engine: Engine,
}

fn start(log: &MemoryLog, directory: &Path) -> Running {
    let log: SharedLog = Arc::new(log.clone());
    let (index, position) = EventIndex::open(directory, &log, 7).unwrap();
    let schemas = Schemas::new(log.durable(), 1);
    let machine = EventStoreMachine::new(index.clone(), schemas, LIMITS);
    let (writer, engine) = Engine::start(
        "test",
        Arc::clone(&log),
        StateAt::new(machine, position),
        EventCodec,
        EngineLimits::default(),
    )
    .unwrap();
    Running { writer, reader: Reader { index, log }, engine }
}

/// Returns when nobody has the index open any more.
async fn stop(running: Running) {
    let Running { writer, reader, engine } = running;
    drop((writer, reader));
    engine.stopped().await.unwrap();
}

/// One append: to each stream so many events of these kinds.
type Step = Vec<(u8, Vec<Kind>)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = prop::collection::vec((0u8..3, any::<[bool; 3]>()), 1..4);
    let parts = prop::collection::btree_map(0u8..4, kinds, 1..3);
    prop::collection::vec(parts.prop_map(|parts| parts.into_iter().collect()), 1..60)
}

fn criterion() -> impl Strategy<Value = Criterion> {
    let types = prop::collection::vec(0u8..4, 0..3);
    let tags = prop::collection::btree_set(0u8..4, 0..3);
    (types, tags).prop_map(|(types, tags)| Criterion {
        types: types.iter().map(|number| format!("type-{number}").parse().unwrap()).collect(),
        tags: tags.into_iter().map(tag).collect(),
    })
}

async fn read(
    running: &Running,
    stream: Option<&StreamName>,
    from: u64,
    direction: Direction,
    filter: &Filter,
    until: Option<u64>,
) -> Vec<u128> {
    let until = until.map(EventPosition::new);
    let horizon = Horizon { end: running.reader.durable(), until };
    let mut found = Vec::new();
    let take = |stored: crate::query::Stored<'_>| {
        found.push(stored.placed.event.id.as_u128() - 1);
        ControlFlow::Continue(())
    };
    match stream {
        Some(stream) => {
            let from = Revision::new(from);
            let reading = StreamReading { stream, from, direction, filter, horizon };
            running.reader.read_stream(reading, usize::MAX, take).await.unwrap();
        }
        None => {
            let from = EventPosition::new(from);
            let reading = AllReading { from, direction, filter, horizon };
            running.reader.read_all(reading, usize::MAX, take).await.unwrap();
        }
    }
    found
}

async fn check(
    steps: Vec<Step>,
    criteria: Vec<Criterion>,
    (from, until): (u64, Option<u64>),
    restart_every: usize,
) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    let log = MemoryLog::new();
    let mut running = start(&log, directory.path());
    let mut past = MemoryPast::default();
    // Of each event, in order: its stream and what it is.
    let mut model: Vec<(u8, NewEvent)> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        if (number + 1) % restart_every == 0 {
            stop(running).await;
            running = start(&log, directory.path());
        }
        let mut streams = Vec::new();
        for (number, kinds) in step {
            let first = model.len() as u128;
            let events: Vec<NewEvent> =
                (first..).zip(kinds).map(|(number, kind)| event(number, kind)).collect();
            model.extend(events.iter().map(|event| (number, event.clone())));
            streams.push(StreamAppend { stream: stream(number), expected: Expected::Any, events });
        }
        let committed = running.writer.submit(append(streams)).await.unwrap();
        prop_assert!(matches!(committed.reply, Reply::Appended(_)));
        let record = running.reader.record(committed.position).await.unwrap();
        past.apply(&record.event, committed.position);
    }
    stop(running).await;
    let running = start(&log, directory.path());
    let index = &running.reader.index;
    prop_assert_eq!(index.next_position(), past.next_position());
    for number in 0..5 {
        let name = stream(number);
        prop_assert_eq!(index.last_revision(&name), past.last_revision(&name));
    }
    for (_, event) in &model {
        prop_assert_eq!(index.record_of(event.id), past.record_of(event.id));
    }
    for criterion in &criteria {
        for from in [0, from] {
            let from = EventPosition::new(from);
            let found = index.find(criterion, from).unwrap();
            prop_assert_eq!(found.is_some(), past.find(criterion, from).unwrap().is_some());
            if let Some(found) = found {
                let (_, event) = &model[usize::try_from(found.get()).unwrap()];
                prop_assert!(found >= from && criterion.is_met_by(&event.event_type, &event.tags));
            }
        }
    }
    let query = Query(criteria);
    for filter in [
        Filter::default(),
        Filter { stream_prefix: None, query: Some(query.clone()) },
        Filter { stream_prefix: Some("stream-1".into()), query: Some(query) },
    ] {
        for direction in [Direction::Forwards, Direction::Backwards] {
            for of in [None, Some(1_u8)] {
                let mut wanted: Vec<u128> = Vec::new();
                let mut revision = 0_u64;
                for (position, (number, event)) in (0_u64..).zip(&model) {
                    if of.is_some_and(|of| of != *number) {
                        continue;
                    }
                    let place = if of.is_some() { revision } else { position };
                    revision += 1;
                    let is_there = match direction {
                        Direction::Forwards => place >= from,
                        Direction::Backwards => place <= from,
                    };
                    let name = stream(*number);
                    let is_met = filter
                        .stream_prefix
                        .as_deref()
                        .is_none_or(|prefix| name.as_str().starts_with(prefix))
                        && filter
                            .query
                            .as_ref()
                            .is_none_or(|query| query.is_met_by(&event.event_type, &event.tags));
                    if is_there && is_met && until.is_none_or(|until| position <= until) {
                        wanted.push(event.id.as_u128() - 1);
                    }
                }
                if direction == Direction::Backwards {
                    wanted.reverse();
                }
                let name = of.map(stream);
                let found = read(&running, name.as_ref(), from, direction, &filter, until).await;
                prop_assert_eq!(found, wanted, "{:?} {:?} {:?}", filter, direction, of);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn knows_and_reads_what_a_list_does(
        steps in steps(),
        criteria in prop::collection::vec(criterion(), 0..3),
        from in 0_u64..150,
        until in prop::option::of(0_u64..150),
        restart_every in 5_usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps, criteria, (from, until), restart_every))?;
    }
}

#[tokio::test]
async fn an_index_of_another_log_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    for count in [20_u128, 12, 3] {
        let log = MemoryLog::new();
        let running = start(&log, directory.path());
        assert_eq!(running.reader.index.next_position().get(), 0);
        for number in 0..count {
            let events = vec![event(number, (0, [true, false, false]))];
            let part = StreamAppend { stream: stream(0), expected: Expected::Any, events };
            running.writer.submit(append(vec![part])).await.unwrap();
        }
        while count > 7 && running.reader.index.sealed() < Position::new(7) {
            tokio::task::yield_now().await;
        }
        stop(running).await;
    }
}
