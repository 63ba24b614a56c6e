//! What each call does, and what it refuses.

use bytes::Bytes;
use lombard_proto::eventstore::v1::{
    self as proto, Existence, Extension, extension, new_event, recorded_event, stream_append,
};
use tonic::Code;

use super::support::{TestServer, append_to, event, reason};

const ALL: &str = "events:append events:read";

#[tokio::test]
async fn what_is_appended_is_read() {
    let server = TestServer::new();
    let client = server.client(ALL).await;
    let mut sent = event(7, "com.example.settled");
    sent.subject = Some("invoice-1".into());
    sent.time = Some("2026-01-31T09:30:00Z".into());
    sent.data_content_type = Some("application/json".into());
    sent.data_schema = Some("https://example.com/schema".into());
    sent.tags = vec!["b".into(), "a".into()];
    sent.data = Some(new_event::Data::Json(Bytes::from_static(b" { \"n\" : 1.10 } ")));
    let values = [
        ("flag", extension::Value::Boolean(true)),
        ("number", extension::Value::Integer(-7)),
        ("text", extension::Value::Text("x".into())),
    ];
    sent.extensions =
        values.map(|(name, value)| Extension { name: name.into(), value: Some(value) }).to_vec();
    let answer = client.append(append_to("payment-1", vec![sent.clone()])).await.unwrap();
    assert!(!answer.is_replayed);
    let range = answer.streams.first().unwrap();
    assert_eq!(range.stream, "payment-1");
    assert_eq!((range.first_revision, range.last_position), (0, 0));
    let again = client.append(append_to("payment-1", vec![sent.clone()])).await.unwrap();
    assert!(again.is_replayed);
    assert_eq!(again.streams, answer.streams);

    let read = client.read(proto::ReadRequest::default()).await.unwrap();
    let [read] = &read[..] else { panic!("{read:?}") };
    assert_eq!((&read.id, &read.r#type, &read.source), (&sent.id, &sent.r#type, &sent.source));
    assert_eq!((&read.subject, &read.time), (&sent.subject, &sent.time));
    assert_eq!(read.data_schema, sent.data_schema);
    assert_eq!(read.extensions, sent.extensions);
    assert_eq!(read.tags, ["a", "b"]);
    let json = Bytes::from_static(b"{\"n\":1.10}");
    assert_eq!(read.data, Some(recorded_event::Data::Json(json)));
    assert_eq!((read.stream.as_str(), read.revision, read.position), ("payment-1", 0, 0));
    server.stop().await;
}

#[tokio::test]
async fn expectations_and_conditions_hold() {
    let server = TestServer::new();
    let client = server.client(ALL).await;
    let expecting = |id, expected| {
        let mut request = append_to("s-1", vec![event(id, "t")]);
        request.streams[0].expected = Some(expected);
        request
    };
    let absent = stream_append::Expected::Existence(Existence::Absent.into());
    let present = stream_append::Expected::Existence(Existence::Present.into());
    let at = stream_append::Expected::Revision;
    let refused = client.append(expecting(1, present)).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "wrong-expected-revision")
    );
    client.append(expecting(2, absent)).await.unwrap();
    client.append(expecting(3, at(0))).await.unwrap();
    client.append(expecting(4, present)).await.unwrap();
    for wrong in [absent, at(0)] {
        let refused = client.append(expecting(5, wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Aborted);
    }
    let none_of = vec![proto::Criterion { types: vec!["t".into()], tags: Vec::new() }];
    let mut conditional = append_to("s-2", vec![event(6, "u")]);
    conditional.condition = Some(proto::Condition { none_of: none_of.clone(), after: Some(1) });
    let refused = client.append(conditional.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "condition-failed");
    conditional.condition = Some(proto::Condition { none_of, after: Some(2) });
    client.append(conditional).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_appended_is_refused() {
    let server = TestServer::new();
    let client = server.client(ALL).await;
    let mut short_id = event(1, "t");
    short_id.id = Bytes::from_static(b"short");
    let mut not_json = event(1, "t");
    not_json.data = Some(new_event::Data::Json(Bytes::from_static(b"{")));
    let mut twice = event(1, "t");
    let named =
        |name: &str| Extension { name: name.into(), value: Some(extension::Value::Boolean(true)) };
    twice.extensions = vec![named("a"), named("a")];
    let mut own = event(1, "t");
    own.extensions = vec![named("position")];
    for (request, wanted) in [
        (proto::AppendRequest::default(), "no-events"),
        (append_to("s-1", vec![]), "no-events"),
        (append_to("no name", vec![event(1, "t")]), "invalid-body"),
        (append_to("s-1", vec![event(0, "t")]), "invalid-event"),
        (append_to("s-1", vec![event(1, "")]), "invalid-event"),
        (append_to("s-1", vec![short_id]), "invalid-event"),
        (append_to("s-1", vec![not_json]), "invalid-event"),
        (append_to("s-1", vec![twice]), "invalid-event"),
        (append_to("s-1", vec![own]), "invalid-event"),
        (append_to("s-1", vec![event(1, "t"), event(1, "t")]), "event-id-repeated"),
    ] {
        let refused = client.append(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, wanted));
    }
    assert!(client.read(proto::ReadRequest::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn reads_go_both_ways_with_filters_and_limits() {
    let server = TestServer::new();
    let client = server.client(ALL).await;
    for id in 1..=40u128 {
        let mut event = event(id, if id % 2 == 0 { "even" } else { "odd" });
        event.tags = vec![format!("rest-{}", id % 5)];
        let stream = if id % 4 == 0 { "a-1" } else { "b-1" };
        client.append(append_to(stream, vec![event])).await.unwrap();
    }
    let read = |request: proto::ReadRequest| {
        let client = client.clone();
        async move {
            let events = client.read(request).await.unwrap();
            events.into_iter().map(|event| event.position).collect::<Vec<_>>()
        }
    };
    let backwards = proto::Direction::Backwards.into();
    let default = proto::ReadRequest::default;
    assert_eq!(read(default()).await, (0..40).collect::<Vec<_>>());
    let request = proto::ReadRequest { direction: backwards, limit: 3, ..default() };
    assert_eq!(read(request).await, [39, 38, 37]);
    let request = proto::ReadRequest { from: Some(5), until: Some(8), ..default() };
    assert_eq!(read(request).await, [5, 6, 7, 8]);
    let request = proto::ReadRequest { stream: Some("a-1".into()), limit: 2, ..default() };
    assert_eq!(read(request).await, [3, 7]);
    let any_of = vec![proto::Criterion { types: vec!["odd".into()], tags: vec!["rest-0".into()] }];
    let filter = Some(proto::Filter { stream_prefix: "b-".into(), any_of });
    assert_eq!(read(proto::ReadRequest { filter, ..default() }).await, [4, 14, 24, 34]);
    assert!(read(proto::ReadRequest { as_of: Some(1), ..default() }).await.is_empty());
    let request = proto::ReadRequest { stream: Some("none".into()), ..default() };
    let refused = client.read(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "stream-not-found"));
}

#[tokio::test]
async fn subscriptions_go_on_without_gap_or_repetition() {
    let server = TestServer::new();
    let client = server.client(ALL).await;
    for id in 1..=5u128 {
        client.append(append_to("s-1", vec![event(id, "t")])).await.unwrap();
    }
    let request = proto::SubscribeRequest { from: Some(2), ..Default::default() };
    let mut subscription = client.subscribe(request).await.unwrap();
    let mut positions = Vec::new();
    for id in 6..=8u128 {
        client.append(append_to("s-2", vec![event(id, "t")])).await.unwrap();
    }
    while positions.len() < 6 {
        let response = subscription.message().await.unwrap().unwrap();
        let events = response.appends.into_iter().flat_map(|append| append.events);
        positions.extend(events.map(|event| event.position));
    }
    assert_eq!(positions, [2, 3, 4, 5, 6, 7]);
    server.drain.cancel();
    let ended = subscription.message().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "stopping"));
}

#[tokio::test]
async fn tokens_permit_what_they_say() {
    let server = TestServer::new();
    let reader = server.client("events:read:a-*").await;
    let writer = server.client("events:append:a-*").await;
    writer.append(append_to("a-1", vec![event(1, "t")])).await.unwrap();
    let stream = Some("a-1".to_owned());
    let one = proto::ReadRequest { stream, ..Default::default() };
    assert_eq!(reader.read(one.clone()).await.unwrap().len(), 1);
    let mut refusals = Vec::new();
    refusals.push(writer.append(append_to("b-1", vec![event(2, "t")])).await.unwrap_err());
    refusals.push(reader.append(append_to("a-1", vec![event(2, "t")])).await.unwrap_err());
    refusals.push(writer.read(one).await.unwrap_err());
    refusals.push(reader.read(proto::ReadRequest::default()).await.unwrap_err());
    refusals.push(reader.subscribe(proto::SubscribeRequest::default()).await.unwrap_err());
    for refused in refusals {
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason(&refused), "insufficient-scope");
    }
    let mut nobody = writer.clone();
    for authorization in [None, Some("Bearer nonsense".parse().unwrap())] {
        nobody.authorization = authorization;
        let refused = nobody.append(append_to("a-1", vec![event(3, "t")])).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unauthenticated, "unauthenticated")
        );
    }
}
