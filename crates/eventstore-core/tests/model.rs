//! The store against a model that is a plain list of everything that happened.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers are small")]

use lombard_eventstore_core::{
    Append, Appended, Command, Condition, Content, Criterion, Decision, DocumentKey, DocumentKind,
    Event, EventPosition, Evidence, Expected, Limits, MemoryPast, NewEvent, Past as _, PutDocument,
    Query, Rejection, Reply, Reuse, StreamAppend, StreamRange, Tag, decide,
};
use lombard_types::{EventId, Position, Revision, StreamName};
use proptest::prelude::*;

const LIMITS: Limits = Limits { append_streams_max: 2, append_events_max: 3 };

fn stream(number: u8) -> StreamName {
    format!("stream-{number}").parse().unwrap()
}

fn id(number: u128) -> EventId {
    EventId::from_u128(number).unwrap()
}

fn tag(number: u8) -> Tag {
    format!("tag-{number}").parse().unwrap()
}

/// Its type and tags follow from its id.
fn event(number: u128, content: u8) -> NewEvent {
    NewEvent {
        id: id(number),
        event_type: format!("type-{}", number % 3).parse().unwrap(),
        tags: (0..number % 4).map(|number| tag(number as u8)).collect(),
        content: Content(vec![content].into()),
    }
}

fn part(number: u8, expected: Expected, events: &[(u128, u8)]) -> StreamAppend {
    let events = events.iter().map(|&(id, content)| event(id, content)).collect();
    StreamAppend { stream: stream(number), expected, events }
}

fn append(streams: Vec<StreamAppend>) -> Append {
    let evidence = Evidence {
        client_id: "client".parse().unwrap(),
        subject: "client".into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
    };
    Append { streams, condition: None, evidence }
}

/// The store as its shell runs it: the log, and the past that follows from it.
#[derive(Default)]
struct Store {
    past: MemoryPast,
    records: Vec<Event>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Committed(Vec<StreamRange>),
    Repeated(Vec<StreamRange>),
}

impl Store {
    fn append(&mut self, append: Append) -> Result<Answer, Rejection> {
        match decide(&self.past, LIMITS, Command::Append(append))? {
            Decision::Commit(event, Reply::Appended(ranges)) => {
                let record = Position::new(self.records.len() as u64);
                self.past.apply(&event, record);
                self.records.push(event);
                Ok(Answer::Committed(ranges))
            }
            Decision::Commit(_, Reply::Stored(_)) => panic!("an append stored a document"),
            Decision::Recorded(record, append) => {
                let appended = self.appended(record);
                appended
                    .repeated_by(&append, |recorded, asked| recorded.event.content == asked.content)
                    .map(Answer::Repeated)
            }
        }
    }

    fn appended(&self, record: Position) -> &Appended {
        match &self.records[record.get() as usize] {
            Event::Appended(appended) => appended,
            Event::Stored(_) => panic!("the record of an event is a document"),
        }
    }
}

/// Everything that happened, in order.
#[derive(Default)]
struct Model {
    appends: Vec<Vec<ModelEvent>>,
}

#[derive(Clone, PartialEq)]
struct ModelEvent {
    stream: StreamName,
    event: NewEvent,
}

/// What the model expects the store to say.
#[derive(Debug, PartialEq)]
enum Outcome {
    Committed,
    /// The same as this earlier append.
    Answered(usize),
    Reused,
    WrongRevision(StreamName, Option<Revision>),
    ConditionFailed,
}

impl Model {
    fn events(&self) -> impl Iterator<Item = &ModelEvent> {
        self.appends.iter().flatten()
    }

    fn last_revision(&self, stream: &StreamName) -> Option<Revision> {
        let count = self.events().filter(|event| event.stream == *stream).count() as u64;
        Revision::new(count).previous()
    }

    fn expect(&self, append: &Append, events: &[ModelEvent]) -> Outcome {
        if let Some(index) = self.appends.iter().position(|earlier| earlier == events) {
            return Outcome::Answered(index);
        }
        if self.events().any(|known| events.iter().any(|new| new.event.id == known.event.id)) {
            return Outcome::Reused;
        }
        for part in &append.streams {
            let actual = self.last_revision(&part.stream);
            let is_met = match part.expected {
                Expected::Any => true,
                Expected::NoStream => actual.is_none(),
                Expected::StreamExists => actual.is_some(),
                Expected::Exactly(revision) => actual == Some(revision),
            };
            if !is_met {
                return Outcome::WrongRevision(part.stream.clone(), actual);
            }
        }
        if let Some(Condition { query, after }) = &append.condition {
            let known = after.map_or(0, |after| after.get() as usize + 1);
            let is_meant = |event: &NewEvent| {
                query.0.iter().any(|criterion| {
                    let has_type = criterion.types.contains(&event.event_type);
                    (criterion.types.is_empty() || has_type)
                        && criterion.tags.iter().all(|tag| event.tags.contains(tag))
                })
            };
            if self.events().skip(known).any(|known| is_meant(&known.event)) {
                return Outcome::ConditionFailed;
            }
        }
        Outcome::Committed
    }
}

fn condition_strategy() -> impl Strategy<Value = Option<Condition>> {
    let criterion = (
        prop::collection::vec((0u8..4).prop_map(|n| format!("type-{n}").parse().unwrap()), 0..3),
        prop::collection::vec((0u8..4).prop_map(tag), 0..3),
    )
        .prop_map(|(types, tags)| Criterion { types, tags });
    let condition = (
        prop::collection::vec(criterion, 0..3),
        prop::option::of((0u64..60).prop_map(EventPosition::new)),
    )
        .prop_map(|(criteria, after)| Condition { query: Query(criteria), after });
    prop::option::of(condition)
}

fn expected_strategy() -> impl Strategy<Value = Expected> {
    prop_oneof![
        4 => Just(Expected::Any),
        1 => Just(Expected::NoStream),
        1 => Just(Expected::StreamExists),
        2 => (0u64..6).prop_map(|revision| Expected::Exactly(Revision::new(revision))),
    ]
}

/// Appends of one or two streams whose ids come from a small range, so that retries and reuse are frequent.
fn append_strategy() -> impl Strategy<Value = Append> {
    let events = |max| prop::collection::vec((1u128..25, 0u8..2), 1..=max);
    let one = (0u8..3, expected_strategy(), events(3))
        .prop_map(|(number, expected, events)| vec![part(number, expected, &events)]);
    let two = (expected_strategy(), events(2), expected_strategy(), events(1)).prop_map(
        |(first, first_events, second, second_events)| {
            vec![part(0, first, &first_events), part(1, second, &second_events)]
        },
    );
    let streams = prop_oneof![2 => one, 1 => two];
    let conditional = (streams, condition_strategy())
        .prop_map(|(streams, condition)| Append { condition, ..append(streams) });
    conditional.prop_filter("ids repeat", |append| {
        let mut ids: Vec<_> = append.events().map(|event| event.id).collect();
        ids.sort();
        ids.windows(2).all(|pair| pair[0] != pair[1])
    })
}

proptest! {
    #[test]
    fn decides_as_the_model(
        appends in prop::collection::vec(append_strategy(), 1..40),
        // Half of the time, an earlier append is asked for again instead.
        repeats in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 40),
    ) {
        let mut store = Store::default();
        let mut model = Model::default();
        let mut first_answers = Vec::new();
        let mut asked: Vec<Append> = Vec::new();
        for (fresh, repeat) in appends.into_iter().zip(repeats) {
            let append = match repeat {
                Some(index) if !asked.is_empty() => index.get(&asked).clone(),
                _ => fresh,
            };
            asked.push(append.clone());
            let events: Vec<ModelEvent> = append
                .streams
                .iter()
                .flat_map(|part| part.events.iter().map(|event| ModelEvent {
                    stream: part.stream.clone(),
                    event: event.clone(),
                }))
                .collect();
            let expected = model.expect(&append, &events);
            let before: Vec<_> =
                append.streams.iter().map(|part| model.last_revision(&part.stream)).collect();
            let next_position = store.past.next_position();
            match store.append(append) {
                Ok(Answer::Committed(ranges)) => {
                    prop_assert_eq!(&expected, &Outcome::Committed);
                    prop_assert_eq!(next_position.get(), model.events().count() as u64);
                    model.appends.push(events);
                    for (range, before) in ranges.iter().zip(before) {
                        prop_assert_eq!(range.first_revision.previous(), before);
                        let after = model.last_revision(&range.stream);
                        prop_assert_eq!(Some(range.last_revision), after);
                    }
                    first_answers.push(ranges);
                }
                Ok(Answer::Repeated(ranges)) => {
                    let Outcome::Answered(index) = expected else {
                        return Err(TestCaseError::fail(format!("answered, not {expected:?}")));
                    };
                    prop_assert_eq!(&ranges, &first_answers[index], "the first answer");
                }
                Err(Rejection::EventIdReused { .. }) => prop_assert_eq!(expected, Outcome::Reused),
                Err(Rejection::WrongExpectedRevision { stream, actual, .. }) => {
                    prop_assert_eq!(expected, Outcome::WrongRevision(stream, actual));
                }
                Err(Rejection::ConditionFailed { .. }) => {
                    prop_assert_eq!(expected, Outcome::ConditionFailed);
                }
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        }
        // Replaying what was recorded gives a store that knows the same.
        let mut replayed = MemoryPast::default();
        for (record, event) in (0..).zip(&store.records) {
            replayed.apply(event, Position::new(record));
        }
        prop_assert_eq!(replayed, store.past);
    }
}

#[test]
fn rejections_and_their_precedence() {
    let mut store = Store::default();
    store.append(append(vec![part(0, Expected::NoStream, &[(1, 0), (2, 0)])])).unwrap();
    let reused = |number, how| Rejection::EventIdReused { id: id(number), how };
    let wrong = |number, expected, actual: Option<u64>| Rejection::WrongExpectedRevision {
        stream: stream(number),
        expected,
        actual: actual.map(Revision::new),
    };
    let exactly_7 = Expected::Exactly(Revision::new(7));
    for (streams, expected) in [
        // The append's own form.
        (vec![], Rejection::NoEvents),
        (vec![part(0, exactly_7, &[])], Rejection::NoEvents),
        (vec![part(0, Expected::Any, &[(3, 0)]), part(1, Expected::Any, &[])], Rejection::NoEvents),
        (
            (0..3).map(|n| part(n, Expected::Any, &[(1, 1)])).collect(),
            Rejection::TooManyStreams { count: 3, count_max: 2 },
        ),
        (
            vec![part(0, exactly_7, &[(1, 1), (2, 1), (3, 1), (4, 1)])],
            Rejection::TooManyEvents { count: 4, count_max: 3 },
        ),
        (
            vec![part(0, Expected::Any, &[(3, 0)]), part(0, Expected::Any, &[(4, 0)])],
            Rejection::StreamRepeated { stream: stream(0) },
        ),
        (
            vec![part(0, Expected::Any, &[(3, 0)]), part(1, Expected::Any, &[(3, 0)])],
            Rejection::EventIdRepeated { id: id(3) },
        ),
        // Spent ids, also where the revision is wrong.
        (vec![part(0, exactly_7, &[(1, 1), (2, 0)])], reused(1, Reuse::OtherContent)),
        (vec![part(0, exactly_7, &[(1, 0), (2, 1)])], reused(2, Reuse::OtherContent)),
        (vec![part(1, Expected::Any, &[(1, 0), (2, 0)])], reused(1, Reuse::OtherContent)),
        (vec![part(0, Expected::Any, &[(1, 0)])], reused(1, Reuse::OtherAppend)),
        (vec![part(0, Expected::Any, &[(2, 0)])], reused(2, Reuse::OtherAppend)),
        (vec![part(0, Expected::Any, &[(2, 0), (1, 0)])], reused(2, Reuse::OtherAppend)),
        (vec![part(0, Expected::Any, &[(1, 0), (2, 0), (3, 0)])], reused(1, Reuse::OtherAppend)),
        (vec![part(0, Expected::Any, &[(3, 0), (1, 0)])], reused(1, Reuse::OtherAppend)),
        // The revision.
        (vec![part(0, exactly_7, &[(3, 0)])], wrong(0, exactly_7, Some(1))),
        (vec![part(0, Expected::NoStream, &[(3, 0)])], wrong(0, Expected::NoStream, Some(1))),
        (vec![part(1, Expected::StreamExists, &[(3, 0)])], wrong(1, Expected::StreamExists, None)),
        (
            vec![part(0, Expected::Any, &[(3, 0)]), part(1, exactly_7, &[(4, 0)])],
            wrong(1, exactly_7, None),
        ),
    ] {
        assert_eq!(store.append(append(streams.clone())), Err(expected), "{streams:?}");
    }
    assert_eq!(store.past.next_position(), EventPosition::new(2), "nothing changed");
}

#[test]
fn a_retry_is_answered_whatever_it_expects() {
    let mut store = Store::default();
    let parts =
        |expected| append(vec![part(0, expected, &[(1, 0), (2, 0)]), part(1, expected, &[(3, 0)])]);
    let Ok(Answer::Committed(first)) = store.append(parts(Expected::NoStream)) else {
        panic!("an append to a new store");
    };
    for expected in [Expected::NoStream, Expected::Any, Expected::Exactly(Revision::new(9))] {
        assert_eq!(store.append(parts(expected)), Ok(Answer::Repeated(first.clone())));
    }
    let everything = Query(vec![Criterion::default()]);
    let condition = Some(Condition { query: everything, after: None });
    let again = Append { condition, ..parts(Expected::Any) };
    assert_eq!(store.append(again), Ok(Answer::Repeated(first)));
}

#[test]
fn documents_count_their_revisions() {
    let mut past = MemoryPast::default();
    let key = DocumentKey { kind: DocumentKind::StreamSnapshot, name: "stream-0".into() };
    let put = |expected| {
        Command::Put(PutDocument {
            key: key.clone(),
            expected,
            content: Content(Box::default()),
            evidence: append(vec![]).evidence,
        })
    };
    for (expected, wanted) in [
        (Expected::Exactly(Revision::START), None),
        (Expected::NoStream, Some(0)),
        (Expected::NoStream, None),
        (Expected::Exactly(Revision::START), Some(1)),
        (Expected::Exactly(Revision::START), None),
        (Expected::Any, Some(2)),
        (Expected::StreamExists, Some(3)),
    ] {
        match decide(&past, LIMITS, put(expected)) {
            Ok(Decision::Commit(event, Reply::Stored(revision))) => {
                assert_eq!(Some(revision.get()), wanted, "{expected:?}");
                past.apply(&event, Position::START);
            }
            Err(Rejection::WrongDocumentRevision { .. }) => {
                assert_eq!(wanted, None, "{expected:?}")
            }
            other => panic!("{other:?}"),
        }
    }
}
