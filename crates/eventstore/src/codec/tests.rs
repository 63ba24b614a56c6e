use std::collections::BTreeMap;

use lombard_eventstore_core::Evidence;
use lombard_types::{EventId, Position};
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
            events: vec![event(0x0102), event(0x0103)],
        }],
        evidence: evidence(),
    };
    let mut out = Vec::new();
    let event = Event::Appended(appended);
    EventCodec.encode(&event, &mut out);
    let expected = [
        &[1][..],            // kind and version
        &[0xac, 0x02],       // position 300
        &[1, b'c', 2, b's'], // client, subject
        &[2, b't', 2, b'r'], // token, request
        &[0],                // no trace
        &[1, 1, b'T'],       // one type
        &[1],                // one stream
        &[2, b's', b't'],    // its name
        &[5],                // its first revision
        &[2],                // two events
        &[14],               // the first: an id that begins with 14 zeros
        &[1, 2],             // and ends so
        &[0],                // its type
        &[1, 1, b'x'],       // its tag
        &[0, 2, 7, 8],       // its content
        &[0x3f, 3],          // the second: an id with another end, the same type and tags
        &[2, 0],             // and the same content
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
        [&[2, 3, 1, b'n', 3][..], &[1, b'c', 2, b's', 2, b't', 2, b'r', 0], &[2, 7, 8]].concat();
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

#[test]
fn golden_bytes_of_evidence() {
    let uuid = "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42";
    let evidence = Evidence {
        client_id: "c".parse().unwrap(),
        subject: "c".into(),
        token_id: uuid.into(),
        request_id: format!("{uuid}-7").parse().unwrap(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    };
    let mut out = Vec::new();
    evidence::write(&evidence, &mut Writer(&mut out));
    let uuid = 0x0190_d7a4_5c2e_7d31_8e2f_3b1c_9a7f_0d42_u128.to_be_bytes();
    let expected = [
        &[1, b'c'][..],
        &[0],  // the subject is the client
        &[1],  // a UUID and nothing behind it
        &uuid, //
        &[5],  // a UUID and two bytes
        &uuid,
        b"-7",
        &[1, 0], // a trace, version 0
        &0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
        &0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(),
        &[1],
    ]
    .concat();
    assert_eq!(out, expected);
    assert_eq!(evidence::read(&mut Reader(&out)), Ok(evidence));
}

fn name(pattern: &'static str) -> impl Strategy<Value = String> {
    pattern.prop_map(|text: String| text)
}

fn event_strategy() -> impl Strategy<Value = NewEvent> {
    (
        prop_oneof![1..u128::MAX, 1..300_u128],
        prop::collection::btree_set("[a-b]{1,2}", 0..3),
        name("[a-c]{1,2}"),
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..30),
            prop::collection::vec(0_u8..2, 0..600),
            Just(vec![7; 300]),
        ],
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
        subject in prop::option::of(any::<String>()),
        trace in prop::option::of(prop_oneof![
            name("[a-f0-9-]{1,55}"),
            name("0[0-9]-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2,3}"),
        ]),
        token_id in prop_oneof![
            any::<String>(),
            name("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}(|-[0-9]{1,4})"),
        ],
    ) {
        let evidence = Evidence {
            subject: subject.unwrap_or_else(|| "c".to_owned()).into(),
            token_id: token_id.into(),
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
