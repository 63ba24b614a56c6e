//! The store against a model that is a plain list of everything that happened.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use lombard_eventstore_core::{
    Append, Content, ContentDigest, Decision, EventPosition, Evidence, Expected, Limits, NewEvent,
    Recorded, Rejection, Reuse, Store, StreamAppend,
};
use lombard_types::{EventId, Position, Revision, StreamName, Timestamp};
use proptest::prelude::*;

const LIMITS: Limits = Limits { append_streams_max: 2, append_events_max: 3 };

fn stream(number: u8) -> StreamName {
    format!("stream-{number}").parse().unwrap()
}

fn id(number: u128) -> EventId {
    EventId::from_u128(number).unwrap()
}

/// The digest covers the stream, as the shell's does.
fn event(number: u128, stream: u8, content: u8) -> NewEvent {
    let mut digest = [0; 16];
    digest[..2].copy_from_slice(&[stream, content]);
    NewEvent {
        id: id(number),
        event_type: "happened".parse().unwrap(),
        digest: ContentDigest(digest),
        content: Content(vec![content].into()),
    }
}

fn part(number: u8, expected: Expected, events: &[(u128, u8)]) -> StreamAppend {
    let events = events.iter().map(|&(id, content)| event(id, number, content)).collect();
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
    Append { streams, evidence }
}

fn recorded(position: u64) -> Recorded {
    Recorded { position: Position::new(position), time: Timestamp::from_unix_nanos(position + 1) }
}

/// Everything that happened, in order.
#[derive(Default)]
struct Model {
    appends: Vec<Vec<ModelEvent>>,
}

#[derive(Clone, PartialEq)]
struct ModelEvent {
    id: EventId,
    stream: StreamName,
    digest: ContentDigest,
}

/// What the model expects the store to say.
#[derive(Debug, PartialEq)]
enum Outcome {
    Committed,
    /// The same as this earlier append.
    Answered(usize),
    Reused,
    WrongRevision(StreamName, Option<Revision>),
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
        if self.events().any(|event| events.iter().any(|new| new.id == event.id)) {
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
        Outcome::Committed
    }
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
    prop_oneof![2 => one, 1 => two].prop_map(append).prop_filter("ids repeat", |append| {
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
        let mut store = Store::new(LIMITS);
        let mut model = Model::default();
        let mut replies = Vec::new();
        let mut log = Vec::new();
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
                    id: event.id,
                    stream: part.stream.clone(),
                    digest: event.digest,
                }))
                .collect();
            let expected = model.expect(&append, &events);
            match store.decide(append) {
                Ok(Decision::Commit(appended, reply)) => {
                    prop_assert_eq!(&expected, &Outcome::Committed);
                    prop_assert_eq!(reply.earlier, None);
                    let count = model.events().count() as u64;
                    prop_assert_eq!(appended.first_position, EventPosition::new(count));
                    for range in &reply.streams {
                        let before = model.last_revision(&range.stream);
                        prop_assert_eq!(range.first_revision.previous(), before);
                    }
                    let recorded = recorded(log.len() as u64);
                    store.apply(&appended, recorded);
                    model.appends.push(events);
                    for range in &reply.streams {
                        let after = model.last_revision(&range.stream);
                        prop_assert_eq!(Some(range.last_revision), after);
                    }
                    log.push((appended, recorded));
                    replies.push(reply);
                }
                Ok(Decision::Answer(reply)) => {
                    let Outcome::Answered(index) = expected else {
                        return Err(TestCaseError::fail(format!("answered, not {expected:?}")));
                    };
                    prop_assert_eq!(reply.earlier, Some(recorded(index as u64)));
                    prop_assert_eq!(&reply.streams, &replies[index].streams, "the first answer");
                }
                Err(Rejection::EventIdReused { .. }) => prop_assert_eq!(expected, Outcome::Reused),
                Err(Rejection::WrongExpectedRevision { stream, actual, .. }) => {
                    prop_assert_eq!(expected, Outcome::WrongRevision(stream, actual));
                }
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        }
        // Replaying what was recorded gives a store that knows the same.
        let mut replayed = Store::new(LIMITS);
        for (appended, recorded) in &log {
            replayed.apply(appended, *recorded);
        }
        prop_assert_eq!(replayed.next_position(), store.next_position());
        prop_assert_eq!(replayed.stream_count(), store.stream_count());
        for append in asked {
            prop_assert_eq!(replayed.decide(append.clone()), store.decide(append));
        }
    }
}

#[test]
fn rejections_and_their_precedence() {
    let mut store = Store::new(LIMITS);
    let Ok(Decision::Commit(first, _)) =
        store.decide(append(vec![part(0, Expected::NoStream, &[(1, 0), (2, 0)])]))
    else {
        panic!("an append to a new store");
    };
    store.apply(&first, recorded(0));
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
        assert_eq!(store.decide(append(streams.clone())), Err(expected), "{streams:?}");
    }
    assert_eq!(store.next_position(), EventPosition::new(2), "nothing changed");
}

#[test]
fn a_retry_is_answered_whatever_it_expects() {
    let mut store = Store::new(LIMITS);
    let parts =
        |expected| append(vec![part(0, expected, &[(1, 0), (2, 0)]), part(1, expected, &[(3, 0)])]);
    let Ok(Decision::Commit(first, reply)) = store.decide(parts(Expected::NoStream)) else {
        panic!("an append to a new store");
    };
    store.apply(&first, recorded(0));
    for expected in [Expected::NoStream, Expected::Any, Expected::Exactly(Revision::new(9))] {
        let Ok(Decision::Answer(again)) = store.decide(parts(expected)) else {
            panic!("a retry that expects {expected}");
        };
        assert_eq!(again.streams, reply.streams);
        assert_eq!(again.earlier, Some(recorded(0)));
    }
}
