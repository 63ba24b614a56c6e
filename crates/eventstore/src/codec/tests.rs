use std::collections::BTreeMap;

use lombard_types::Position;
use proptest::prelude::*;

use super::*;
use crate::cloud_event::{Data, EventContent, Extension};

fn evidence() -> Evidence {
    Evidence {
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
    }
}

fn event(number: u128) -> NewEvent {
    NewEvent {
        id: EventId::from_u128(number).unwrap(),
        event_type: "T".parse().unwrap(),
        tags: ["x".parse().unwrap()].into(),
        content: Content([7, 8].into()),
    }
}

#[test]
fn golden_bytes_of_an_append() {
    let appended = Appended {
        first_position: EventPosition::new(300),
        streams: vec![StreamAppended {
            stream: "st".parse().unwrap(),
            first_revision: Revision::new(5),
            events: vec![event(0x0102)],
        }],
        evidence: evidence(),
    };
    let mut out = Vec::new();
    let event = Event::Appended(appended);
    EventCodec.encode(&event, &mut out);
    let expected = [
        &[1][..],            // kind and version
        &[0xac, 0x02],       // position 300
        &[1, b'c', 1, b's'], // client, subject
        &[1, b't', 1, b'r'], // token, request
        &[0],                // no trace
        &[1, 1, b'T'],       // one type
        &[1],                // one stream
        &[2, b's', b't'],    // its name
        &[5],                // its first revision
        &[1],                // one event
        &[0; 14],            // its id
        &[1, 2],             //
        &[0],                // its type
        &[1, 1, b'x'],       // its tag
        &[2, 7, 8],          // its content
    ]
    .concat();
    assert_eq!(out, expected);
    assert_eq!(EventCodec.decode(&out), Ok(event));
}

#[test]
fn golden_bytes_of_a_document() {
    let event = Event::Stored(DocumentStored {
        key: DocumentKey { kind: DocumentKind::Schema, name: "n".into() },
        revision: Revision::new(3),
        content: Content([7, 8].into()),
        evidence: evidence(),
    });
    let mut out = Vec::new();
    EventCodec.encode(&event, &mut out);
    let expected =
        [&[2, 3, 1, b'n', 3][..], &[1, b'c', 1, b's', 1, b't', 1, b'r', 0], &[2, 7, 8]].concat();
    assert_eq!(out, expected);
    assert_eq!(EventCodec.decode(&out), Ok(event));
}

#[test]
fn golden_bytes_of_content() {
    let content = EventContent {
        source: "/a".into(),
        subject: Some("b".into()),
        time: Some("2026-01-31T09:30:00Z".into()),
        data_content_type: Some("x/y".into()),
        data_schema: Some("u:s".into()),
        extensions: BTreeMap::from([
            ("e".into(), Extension::Text("f".into())),
            ("i".into(), Extension::Integer(-2)),
            ("t".into(), Extension::Boolean(true)),
        ]),
        data: Data::Json("{}".into()),
        schema_version: Some(300),
        data_subject: Some("d".into()),
        sealed: Some(vec![9, 8].into()),
    };
    let expected = [
        &[1][..],
        &[1, 2, b'/', b'a'],
        &[2, 1, b'b'],
        &[3, 20],
        b"2026-01-31T09:30:00Z",
        &[4, 3, b'x', b'/', b'y'],
        &[5, 3, b'u', b':', b's'],
        &[6, 2, b'{', b'}'],
        &[8, 1, b'e', 1, b'f'],
        &[9, 1, b'i', 0xfe, 0xff, 0xff, 0xff],
        &[10, 1, b't', 1],
        &[11, 0xac, 0x02],
        &[12, 1, b'd'],
        &[13, 2, 9, 8],
    ]
    .concat();
    let encoded = encode_content(&content);
    assert_eq!(&*encoded.0, expected.as_slice());
    assert_eq!(decode_content(&encoded), Ok(content));
    let binary =
        EventContent { data: Data::Binary(vec![0, 255].into()), ..EventContent::default() };
    let encoded = encode_content(&binary);
    assert_eq!(&*encoded.0, &[1, 1, 0, 7, 2, 0, 255]);
    assert_eq!(decode_content(&encoded), Ok(binary));
}

fn name(pattern: &'static str) -> impl Strategy<Value = String> {
    pattern.prop_map(|text: String| text)
}

fn event_strategy() -> impl Strategy<Value = NewEvent> {
    (
        1..u128::MAX,
        prop::collection::btree_set("[a-z]{1,10}", 0..3),
        name("[a-c]{1,2}"),
        prop::collection::vec(any::<u8>(), 0..30),
    )
        .prop_map(|(id, tags, event_type, content)| NewEvent {
            id: EventId::from_u128(id).unwrap(),
            event_type: event_type.parse().unwrap(),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            content: Content(content.into()),
        })
}

fn stream_strategy() -> impl Strategy<Value = StreamAppended> {
    let events = prop::collection::vec(event_strategy(), 1..4);
    (name("[a-z0-9-]{1,30}"), any::<u64>(), events).prop_map(|(stream, revision, events)| {
        StreamAppended {
            stream: stream.parse().unwrap(),
            first_revision: Revision::new(revision),
            events,
        }
    })
}

proptest! {
    #[test]
    fn appends_round_trip(
        position: u64,
        streams in prop::collection::vec(stream_strategy(), 1..4),
        subject: String,
        trace in prop::option::of("[a-f0-9-]{1,55}"),
    ) {
        let evidence = Evidence {
            subject: subject.into(),
            traceparent: trace.map(Into::into),
            ..evidence()
        };
        let appended = Appended { first_position: EventPosition::new(position), streams, evidence };
        let event = Event::Appended(appended);
        let mut out = Vec::new();
        EventCodec.encode(&event, &mut out);
        prop_assert_eq!(EventCodec.decode(&out), Ok(event));
        // Cut short anywhere, it is refused.
        for length in 0..out.len() {
            prop_assert!(EventCodec.decode(&out[..length]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
        drop(EventCodec.decode(&bytes));
        drop(decode_content(&Content(bytes.clone().into())));
        bytes.insert(0, 1);
        drop(EventCodec.decode(&bytes));
        drop(decode_content(&Content(bytes.clone().into())));
        let record = lombard_log::Record { position: Position::START, payload: bytes.into() };
        drop(decode_record(&record));
    }
}
