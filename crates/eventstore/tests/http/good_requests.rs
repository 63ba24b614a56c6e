//! The event store over HTTP: what good requests do.

use http::{Method, StatusCode};
use lombard_eventstore::Config;
use lombard_log::{MemoryLog, OpenError, SegmentedConfig, SegmentedLog};
use lombard_types::Position;
use serde_json::{Value, json};

use crate::support::{Call, EVENTS, TRACE, TestStore, event, events, id};

#[tokio::test]
async fn what_was_appended_is_read_back_with_its_evidence() {
    let store = TestStore::new();
    let body = format!(
        r#"{{
            "specversion": "1.0", "id": "{}", "source": "https://pay.example/a?b#c",
            "type": "payment.settled", "subject": "pay-7", "time": "2026-01-31T10:30:00.5+01:00",
            "datacontenttype": "application/json", "dataschema": "https://pay.example/schema",
            "causationid": "c-1", "attempt": -3, "final": true, "absent": null,
            "data": {{ "z": 1, "amount": 12345678901234567890.10, "a": [ "x  y", null ] }}
        }}"#,
        id(1)
    );
    let reply = store
        .call(Call {
            method: Method::POST,
            path: EVENTS,
            scope: Some("events:append:payment-*"),
            headers: vec![
                ("content-type", "application/cloudevents+json; charset=utf-8"),
                ("x-request-id", "request-1"),
                ("traceparent", TRACE),
            ],
            body,
        })
        .await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    assert_eq!(reply.header("etag"), "\"0\"");
    assert_eq!(reply.header("lombard-position"), "0");
    assert_eq!(reply.header("idempotency-replayed"), "");
    assert_eq!(reply.header("location"), format!("{EVENTS}?from=0&limit=1"));
    let appended = reply.json();
    let recorded_at = appended["recorded_at"].clone();
    assert_eq!(
        appended,
        json!({
            "stream": "payment-42",
            "first_revision": "0", "last_revision": "0",
            "first_position": "0", "last_position": "0",
            "log_position": "0", "recorded_at": recorded_at,
        })
    );

    let reply = store.get(&format!("{EVENTS}?at_least=0")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "application/cloudevents-batch+json");
    assert_eq!(reply.header("etag"), "\"0\"");
    assert_eq!(reply.header("lombard-position"), "0");
    assert_eq!(reply.next(), None);
    assert!(
        reply
            .text
            .ends_with(r#""data":{"z":1,"amount":12345678901234567890.10,"a":["x  y",null]}}]"#),
        "digits and order are kept: {}",
        reply.text
    );
    let mut read = reply.json();
    read[0].as_object_mut().map(|event| event.remove("data"));
    assert_eq!(
        read,
        json!([{
            "specversion": "1.0", "id": id(1), "source": "https://pay.example/a?b#c",
            "type": "payment.settled", "subject": "pay-7", "time": "2026-01-31T10:30:00.5+01:00",
            "datacontenttype": "application/json", "dataschema": "https://pay.example/schema",
            "causationid": "c-1", "attempt": -3, "final": true,
            "stream": "payment-42", "revision": "0", "position": "0", "storetime": recorded_at,
            "lombardlogposition": "0", "lombardclient": "payments", "lombardsubject": "user-1",
            "lombardtoken": "token-1", "lombardrequestid": "request-1", "traceparent": TRACE,
        }])
    );
}

#[tokio::test]
async fn data_is_json_of_any_kind_or_binary_or_absent() {
    let store = TestStore::new();
    for (number, (member, value)) in (1..).zip([
        ("data", json!(null)),
        ("data", json!("text")),
        ("data", json!(false)),
        ("data", json!(["\u{1f600}", "\u{0}", "\""])),
        ("data_base64", json!("AP8=")),
        ("source", json!("/nothing-but-attributes")),
        ("traceparent", json!("the client's own")),
    ]) {
        let mut event = event(number);
        event.as_object_mut().map(|event| event.remove("data"));
        event[member] = value.clone();
        let reply = store.append(EVENTS, &[("traceparent", TRACE)], json!([event])).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        let read = store.get(&format!("{EVENTS}?from={}", number - 1)).await.json();
        assert_eq!(read[0][member], value);
        let has = |name| read[0].get(name).is_some();
        assert_eq!(has("data"), member == "data");
        assert_eq!(has("data_base64"), member == "data_base64");
    }
}

#[tokio::test]
async fn expected_revisions() {
    let store = TestStore::new();
    let none = ("if-none-match", "*");
    let any = ("accept", "*/*");
    // Each line: the precondition, the last revision after a success or null and the actual one.
    for (number, (header, wanted)) in (1..).zip([
        (("if-match", "*"), Err(json!(null))),
        (("if-match", "\"0\""), Err(json!(null))),
        (none, Ok("0")),
        (none, Err(json!("0"))),
        (any, Ok("1")),
        (("if-match", "\"0\""), Err(json!("1"))),
        (("if-match", "\"1\""), Ok("2")),
        (("if-match", "\"3\""), Err(json!("2"))),
        (("if-match", "*"), Ok("3")),
    ]) {
        let tail = store.log.tail();
        let reply = store.append(EVENTS, &[header], events([number])).await;
        match wanted {
            Ok(last) => {
                assert_eq!(reply.status, StatusCode::CREATED, "{header:?}: {}", reply.text);
                assert_eq!(reply.json()["last_revision"], last, "{header:?}");
                assert_eq!(reply.header("etag"), format!("\"{last}\""));
            }
            Err(actual) => {
                assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED, "{header:?}");
                assert_eq!(reply.problem(), "wrong-expected-revision");
                assert_eq!(reply.json()["actual"], actual, "{header:?}");
                assert_eq!(reply.json()["stream"], "payment-42");
                assert_eq!(store.log.tail(), tail, "nothing is written");
            }
        }
    }
}

#[tokio::test]
async fn of_writers_who_expect_the_same_revision_one_succeeds() {
    let store = std::sync::Arc::new(TestStore::new());
    for round in 0..10u64 {
        let last = format!("\"{}\"", round.wrapping_sub(1));
        let expected =
            if round == 0 { ("if-none-match", "*") } else { ("if-match", last.as_str()) };
        let attempts = (1..=8).map(|writer| {
            let number = round * 8 + writer;
            let store = &store;
            async move { store.append(EVENTS, &[expected], events([number])).await.status }
        });
        let statuses = futures_util::future::join_all(attempts).await;
        let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!(count(StatusCode::CREATED), 1, "{statuses:?}");
        assert_eq!(count(StatusCode::PRECONDITION_FAILED), 7, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_and_other_uses_of_an_id_are_refused() {
    let store = TestStore::new();
    let expected = [("if-none-match", "*")];
    let first = store.append(EVENTS, &expected, events([1, 2])).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(store.append(EVENTS, &[], events([3])).await.status, StatusCode::CREATED);

    // Also after a restart, and with other white space and another order of members.
    let store = TestStore::with(Config::default(), store.memory.after_crash());
    let tail = store.log.tail();
    let text = format!(
        r#"[ {{"data": {{ "number":1 }}, "type":"payment.settled", "source":"/payments",
             "id":"{}", "specversion":"1.0"}}, {} ]"#,
        id(1).to_uppercase(),
        event(2)
    );
    let again = store
        .call(Call {
            method: Method::POST,
            path: EVENTS,
            scope: Some("admin"),
            headers: vec![expected[0], ("content-type", "application/cloudevents-batch+json")],
            body: text,
        })
        .await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);
    assert_eq!(again.text, first.text);
    for name in ["etag", "lombard-position", "location"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(again.header("idempotency-replayed"), "true");

    let mut other_data = events([1, 2]);
    other_data[1]["data"] = json!({ "number": 2.0 });
    let mut other_type = events([1, 2]);
    other_type[0]["type"] = json!("payment.failed");
    let other_stream = "/v1/eventstore/streams/payment-43/events";
    for (path, events, reused) in [
        (EVENTS, other_data, 2),
        (EVENTS, other_type, 1),
        (other_stream, events([1, 2]), 1),
        (EVENTS, events([1]), 1),
        (EVENTS, events([2, 1]), 2),
        (EVENTS, events([1, 2, 3]), 1),
        (EVENTS, events([9, 3]), 3),
    ] {
        let reply = store.append(path, &[], events.clone()).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{path} {events}");
        assert_eq!(reply.problem(), "event-id-reused");
        assert_eq!(reply.json()["id"], id(reused), "{path} {events}");
    }
    assert_eq!(store.log.tail(), tail, "nothing is written");
    let metrics = store.metrics.encode().unwrap_or_default();
    for line in [
        "lombard_eventstore_appends_total{result=\"replayed\"} 1",
        "lombard_eventstore_appends_total{result=\"rejected\"} 7",
        "lombard_eventstore_events 3",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// Reads pages until there is no next one; each event as its id's number.
async fn read_all_pages(store: &TestStore, path: &str) -> (Vec<u64>, usize) {
    let (mut numbers, mut page_count) = (Vec::new(), 0);
    let mut path = Some(path.to_owned());
    while let Some(this) = path {
        let reply = store.get(&this).await;
        assert_eq!(reply.status, StatusCode::OK, "{this}: {}", reply.text);
        for event in reply.json().as_array().into_iter().flatten() {
            numbers.extend(event["data"]["number"].as_u64());
        }
        page_count += 1;
        path = reply.next();
    }
    (numbers, page_count)
}

/// Two streams whose appends alternate: 1 to 3 events each, 40 in all.
async fn interleaved(config: Config) -> (TestStore, [Vec<u64>; 2]) {
    let store = TestStore::with(config, MemoryLog::new());
    let mut streams = [Vec::new(), Vec::new()];
    let mut number = 1;
    for round in 0..20u64 {
        let count = 1 + round % 3;
        let numbers = number..number + count;
        number += count;
        let which = usize::from(round % 4 >= 2);
        streams[which].extend(numbers.clone());
        let path = format!("/v1/eventstore/streams/s{which}/events");
        let reply = store.append(&path, &[], events(numbers)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    }
    (store, streams)
}

#[tokio::test]
async fn pages_of_a_stream_forwards_and_backwards() {
    let (store, streams) = interleaved(Config::default()).await;
    for (which, wanted) in streams.iter().enumerate() {
        let path = format!("/v1/eventstore/streams/s{which}/events");
        let reversed: Vec<u64> = wanted.iter().rev().copied().collect();
        assert_eq!(read_all_pages(&store, &path).await, (wanted.clone(), 1));
        for limit in [1, 2, 3, 7, 1000] {
            let pages = wanted.len().div_ceil(limit);
            let forwards = read_all_pages(&store, &format!("{path}?limit={limit}")).await;
            assert_eq!(forwards, (wanted.clone(), pages), "limit {limit}");
            let query = format!("{path}?limit={limit}&direction=backwards");
            let backwards = read_all_pages(&store, &query).await;
            assert_eq!(backwards, (reversed.clone(), pages), "limit {limit}");
        }
        let (numbers, _) = read_all_pages(&store, &format!("{path}?from=5&limit=2")).await;
        assert_eq!(numbers, wanted[5..]);
        let query = format!("{path}?from=5&limit=2&direction=backwards");
        let (numbers, _) = read_all_pages(&store, &query).await;
        assert_eq!(numbers, wanted[..=5].iter().rev().copied().collect::<Vec<_>>());
        // Beyond the end there is nothing yet; backwards it is the end.
        let reply = store.get(&format!("{path}?from=1000")).await;
        assert_eq!((reply.text.as_str(), reply.next()), ("[]", None));
        assert_eq!(reply.header("etag"), format!("\"{}\"", wanted.len() - 1));
        let (numbers, _) =
            read_all_pages(&store, &format!("{path}?from=1000&direction=backwards")).await;
        assert_eq!(numbers, reversed);
    }
}

#[tokio::test]
async fn all_events_in_their_common_order() {
    let (store, _) = interleaved(Config::default()).await;
    let path = "/v1/eventstore/events";
    for limit in [1, 7, 1000] {
        let (numbers, _) = read_all_pages(&store, &format!("{path}?limit={limit}")).await;
        assert_eq!(numbers, (1..=39).collect::<Vec<_>>(), "limit {limit}");
    }
    let (numbers, _) = read_all_pages(&store, &format!("{path}?after=36")).await;
    assert_eq!(numbers, [38, 39]);
    let reply = store.get(&format!("{path}?after=38")).await;
    assert_eq!((reply.text.as_str(), reply.next()), ("[]", None));
    let read = store.get(&format!("{path}?limit=1000")).await.json();
    let mut revisions = std::collections::BTreeMap::new();
    for (position, event) in read.as_array().into_iter().flatten().enumerate() {
        assert_eq!(event["position"], position.to_string());
        let stream = event["stream"].to_string();
        let revision: &mut u64 = revisions.entry(stream).or_default();
        assert_eq!(event["revision"], revision.to_string());
        *revision += 1;
    }
}

#[tokio::test]
async fn a_page_ends_at_its_limit_of_bytes() {
    let config = Config { page_bytes_max: 1200, ..Config::default() };
    let (store, streams) = interleaved(config).await;
    for direction in ["forwards", "backwards"] {
        let path = format!("/v1/eventstore/streams/s0/events?direction={direction}");
        let (mut numbers, page_count) = read_all_pages(&store, &path).await;
        numbers.sort_unstable();
        assert_eq!(numbers, streams[0]);
        assert!(page_count > 5, "{page_count} pages");
    }
    let (numbers, page_count) = read_all_pages(&store, "/v1/eventstore/events").await;
    assert_eq!(numbers.len(), 39);
    assert!(page_count > 10, "{page_count} pages");
}

#[tokio::test]
async fn streams_by_prefix_and_what_the_caller_may_read() {
    let store = TestStore::new();
    for (number, name) in (1..).zip(["a-1", "b-1", "b-2", "b-3", "c-1"]) {
        let path = format!("/v1/eventstore/streams/{name}/events");
        let reply = store.append(&path, &[], events([number])).await;
        assert_eq!(reply.status, StatusCode::CREATED);
    }
    for (scope, query, wanted, next) in [
        ("events:read", "", &["a-1", "b-1", "b-2", "b-3", "c-1"][..], json!(null)),
        ("events:read", "?limit=2", &["a-1", "b-1"], json!("b-1")),
        ("events:read", "?limit=2&after=b-1", &["b-2", "b-3"], json!("b-3")),
        ("events:read", "?prefix=b-", &["b-1", "b-2", "b-3"], json!(null)),
        ("events:read", "?prefix=b-&after=b-1&limit=1", &["b-2"], json!("b-2")),
        ("events:read", "?prefix=b-&after=a", &["b-1", "b-2", "b-3"], json!(null)),
        ("events:read", "?prefix=x", &[], json!(null)),
        ("events:read:b-*", "", &["b-1", "b-2", "b-3"], json!(null)),
        ("events:read:b-2", "?limit=1", &["b-2"], json!("b-2")),
        ("admin", "?prefix=c", &["c-1"], json!(null)),
    ] {
        let path = &format!("/v1/eventstore/streams{query}");
        let (method, scope) = (Method::GET, Some(scope));
        let reply =
            store.call(Call { method, path, scope, headers: vec![], body: String::new() }).await;
        let json = reply.json();
        let names: Vec<&str> = json["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["stream"].as_str())
            .collect();
        assert_eq!(names, wanted, "{scope:?} {query}");
        assert_eq!(json["next"], next, "{scope:?} {query}");
    }
    let first = &store.get("/v1/eventstore/streams?prefix=b-3").await.json()["items"][0];
    let wanted = json!({ "stream": "b-3", "last_revision": "0", "last_position": "3" });
    assert_eq!(*first, wanted);
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let (store, streams) = interleaved(Config::default()).await;
    let before = store.get("/v1/eventstore/events?limit=1000").await;
    let store = TestStore::with(Config::default(), store.memory.after_crash());
    let after = store.get("/v1/eventstore/events?limit=1000").await;
    assert_eq!(after.text, before.text);
    let expected = format!("\"{}\"", streams[1].len() - 1);
    let path = "/v1/eventstore/streams/s1/events";
    let reply = store.append(path, &[("if-match", &expected)], events([100])).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    assert_eq!(reply.json()["first_position"], "39");
}

#[tokio::test]
async fn events_are_read_from_files_too() {
    let directory = tempfile::tempdir().unwrap();
    let open = || SegmentedLog::open(directory.path(), SegmentedConfig::default());
    let on_files =
        |log| TestStore::on(Config::default(), std::sync::Arc::new(log), MemoryLog::new());
    let store = on_files(open().unwrap());
    let mut big = event(1);
    big["data"] = json!({ "number": 1, "text": "x".repeat(200_000) });
    assert_eq!(store.append(EVENTS, &[], json!([big])).await.status, StatusCode::CREATED);
    for number in 1..30 {
        let path = format!("/v1/eventstore/streams/s{}/events", number % 3);
        let reply = store.append(&path, &[], events([2 * number, 2 * number + 1])).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    }
    let all: Vec<u64> = (1..60).collect();
    assert_eq!(read_all_pages(&store, "/v1/eventstore/events").await.0, all);
    drop(store);
    // The store's threads let go of the files a moment after it is dropped.
    let log = loop {
        match open() {
            Ok(log) => break log,
            Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let store = on_files(log);
    assert_eq!(read_all_pages(&store, "/v1/eventstore/events?limit=7").await.0, all);
    let path = "/v1/eventstore/streams/s1/events?limit=3&direction=backwards";
    let (numbers, _) = read_all_pages(&store, path).await;
    assert_eq!(numbers[..4], [57, 56, 51, 50]);
}

#[tokio::test]
async fn trouble_with_the_log_is_told_apart() {
    let store =
        TestStore::with(Config { submit_ms_max: 500, ..Config::default() }, MemoryLog::new());
    store.memory.set_room_bytes(10);
    let reply = store.append(EVENTS, &[], events([1])).await;
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (507, "disk-full"));
    store.memory.set_room_bytes(u64::MAX);
    let reply = store.append(EVENTS, &[], events([1])).await;
    assert_eq!(reply.status, StatusCode::CREATED, "there is space again");

    store.memory.hold();
    let (reply, ()) = tokio::join!(store.append(EVENTS, &[], events([2])), async {
        let tail = Position::new(2);
        while store.log.tail() < tail {
            tokio::task::yield_now().await;
        }
        store.memory.poison("torn in a test");
    });
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (504, "outcome-unknown"));
    // What is durable can still be read.
    let read: Value = store.get(&format!("{EVENTS}?at_least=0")).await.json();
    assert_eq!(read.as_array().map(Vec::len), Some(1));
    // The writer ends a moment after its caller was told; what it has taken until then is as unknown.
    let mut reply = store.append(EVENTS, &[], events([3])).await;
    while reply.problem() == "outcome-unknown" {
        reply = store.append(EVENTS, &[], events([3])).await;
    }
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (503, "stopping"));
}
