use lombard_eventstore_core::{Content, ContentDigest, Evidence, NewEvent, StreamAppended};
use lombard_types::{EventId, Timestamp};
use proptest::prelude::*;

use super::*;

fn name(number: u8) -> StreamName {
    format!("stream-{number}").parse().unwrap()
}

/// Counts as the rules do: a stream's number and how many events are added to it, for each record.
fn appended(index: &EventIndex, parts: &[(u8, u8)]) -> Appended {
    let mut streams: Vec<StreamAppended> = Vec::new();
    for &(number, count) in parts {
        let event = NewEvent {
            id: EventId::from_u128(1).unwrap(),
            event_type: "t".parse().unwrap(),
            digest: ContentDigest([0; 16]),
            content: Content([].into()),
        };
        let first_revision =
            index.last_revision(&name(number)).map_or(Revision::START, Revision::next);
        let events = vec![event; count.into()];
        streams.push(StreamAppended { stream: name(number), first_revision, events });
    }
    let evidence = Evidence {
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
    };
    Appended { first_position: index.next_position(), streams, evidence }
}

proptest! {
    #[test]
    fn finds_what_a_list_finds(
        records in prop::collection::vec(
            prop::collection::btree_map(0u8..4, 1u8..4, 1..3),
            0..30,
        ),
        skip in 0usize..20,
        limit in 1usize..10,
    ) {
        let mut index = EventIndex::default();
        // Of each event: its stream, and where it is.
        let mut model: Vec<(u8, Located)> = Vec::new();
        for (record, parts) in (100..).map(Position::new).zip(records) {
            let parts: Vec<(u8, u8)> = parts.into_iter().collect();
            let event = appended(&index, &parts);
            index.apply(&event, At { position: record, index: 0, time: Timestamp::EPOCH });
            for (number, count) in parts {
                for _ in 0..count {
                    let position = EventPosition::new(model.len() as u64);
                    model.push((number, Located { position, record }));
                }
            }
        }
        prop_assert_eq!(index.next_position().get(), model.len() as u64);
        let from = skip as u64;
        let all: Vec<Located> = model.iter().map(|(_, located)| *located).collect();
        let wanted: Vec<Located> = all.iter().copied().skip(skip).take(limit).collect();
        prop_assert_eq!(index.all(EventPosition::new(from), limit), wanted);
        let mut summaries = Vec::new();
        for number in 0..4 {
            let own: Vec<Located> =
                model.iter().filter(|(of, _)| *of == number).map(|(_, located)| *located).collect();
            let last = Revision::new(own.len() as u64).previous();
            prop_assert_eq!(index.last_revision(&name(number)), last);
            let wanted: Vec<Located> = own.iter().copied().skip(skip).take(limit).collect();
            prop_assert_eq!(index.forwards(&name(number), Revision::new(from), limit), wanted);
            let end = own.len().min(skip + 1);
            let wanted: Vec<Located> = own[..end].iter().rev().copied().take(limit).collect();
            prop_assert_eq!(index.backwards(&name(number), Revision::new(from), limit), wanted);
            if let (Some(last_revision), Some(located)) = (last, own.last()) {
                let last_position = located.position;
                summaries.push(StreamSummary { stream: name(number), last_revision, last_position });
            }
        }
        prop_assert_eq!(index.streams("", None).collect::<Vec<_>>(), summaries.clone());
        let after: Vec<_> = index.streams("stream-", Some("stream-1")).collect();
        summaries.retain(|summary| summary.stream.as_str() > "stream-1");
        prop_assert_eq!(after, summaries);
        prop_assert_eq!(index.streams("other", Some("a")).count(), 0);
    }
}

#[test]
fn appends_in_a_row_are_one_run() {
    let mut index = EventIndex::default();
    for (record, number) in [(0, 0), (1, 0), (2, 1), (3, 0)] {
        let event = appended(&index, &[(number, 2)]);
        let at = At { position: Position::new(record), index: 0, time: Timestamp::EPOCH };
        index.apply(&event, at);
    }
    assert_eq!(index.streams[&name(0)].runs.len(), 2);
}
