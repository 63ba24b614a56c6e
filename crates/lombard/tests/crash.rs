//! The event store's process is killed with SIGKILL under load, again and again: every append that was acknowledged is
//! there, once, in order, and the order of all events has no gap.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{path::Path, time::Duration};

use lombard_client::{Credentials, Expected, NewEvent, Platform as Client};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const KILLS: usize = 100;
const WRITERS: usize = 8;
/// Acknowledged appends between two kills.
const APPENDS_PER_KILL: usize = 60;
/// Low, so that the index is sealed and merged between the kills, and not only made from the log.
const INDEX_MEMORY_EVENTS: (&str, &str) = ("LOMBARD_EVENTSTORE__INDEX_MEMORY_EVENTS", "50");

/// One writer of one stream: each append expects the revision that the one before it left, so a doubled or lost one
/// would be refused. Ends when enough is written.
async fn write(client: Client, stream: String, done: watch::Sender<usize>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut expected = Expected::NoStream;
    while *done.borrow() < KILLS * APPENDS_PER_KILL {
        let data = json!({ "number": acknowledged.len(), "padding": "x".repeat(200) });
        let event = NewEvent::new("/crash-test", "test.happened", data);
        let appended = client
            .eventstore()
            .append(&stream, expected, std::slice::from_ref(&event))
            .await
            .unwrap();
        assert_eq!(appended.last_revision, acknowledged.len() as u64);
        expected = Expected::Revision(appended.last_revision);
        acknowledged.push(event.id);
        done.send_modify(|done| *done += 1);
    }
    acknowledged
}

#[tokio::test]
async fn acknowledged_events_survive_kills() {
    let place = tempfile::tempdir().unwrap();
    let mut platform =
        Platform::start_with(Path::new(LOMBARD), place, &[INDEX_MEMORY_EVENTS]).unwrap();
    let state = platform.state().unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    let issuer = state.get("issuer").and_then(serde_json::Value::as_str).unwrap();
    let client = Client::builder(issuer, Credentials::key("lombard-operator", key))
        .deadline(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();

    let (done, mut watched) = watch::channel(0);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let stream = format!("crash-{number}");
        let writing = write(client.clone(), stream.clone(), done.clone());
        writers.spawn(async move { (stream, writing.await) });
    }
    drop(done);
    for kill in 1..=KILLS {
        // At a moment that the load decides, while the other appends are under way.
        if watched.wait_for(|done| *done >= kill * APPENDS_PER_KILL * 9 / 10).await.is_err() {
            break;
        }
        platform = tokio::task::spawn_blocking(move || {
            platform.kill("eventstore").unwrap();
            platform
        })
        .await
        .unwrap();
    }

    let mut event_count = 0;
    while let Some(written) = writers.join_next().await {
        let (stream, acknowledged) = written.unwrap();
        let mut found = Vec::new();
        loop {
            let page = client.eventstore().read(&stream, found.len() as u64, 500).await.unwrap();
            let is_last = page.len() < 500;
            for event in page {
                assert_eq!(event.revision, found.len() as u64, "{stream} has a gap");
                found.push(event.id);
            }
            if is_last {
                break;
            }
        }
        assert_eq!(found, acknowledged, "{stream}: what is there is what was acknowledged");
        event_count += found.len();
    }
    let mut after = None;
    let mut position = 0;
    loop {
        let page = client.eventstore().read_all(after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        for event in page {
            assert_eq!(event.position, position, "the order of all events has a gap");
            position += 1;
        }
    }
    assert_eq!(position, event_count as u64);
    assert!(event_count >= KILLS * APPENDS_PER_KILL);
    // What is on the disk is what the role signed, and its proofs hold.
    let verified = platform.run(&["verify", platform.data_dir().to_str().unwrap()]).unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let restarts = platform.log().matches("killed by signal 9").count();
    assert_eq!(restarts, KILLS, "{}", platform.log());
}
