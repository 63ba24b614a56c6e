//! The event store's process is killed with SIGKILL under load, again and again: every append that was acknowledged is
//! there, once, in order, and the order of all events has no gap. After each restart, what was acknowledged before is looked
//! for, and the log must prove that the checkpoint of before the kill is its beginning.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lombard_client::{Call, Credentials, Expected, NewEvent, Platform as Client};
use lombard_log::{
    checkpoint::{Checkpoint, VerifyingKey},
    merkle::{TreeHash, verify_consistency},
};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const EVENTSTORE: &str = "/v1/eventstore";
const KILLS: usize = 100;
const WRITERS: usize = 8;
/// Acknowledged appends between two kills.
const APPENDS_PER_KILL: usize = 60;
/// Low, so that the index is sealed and merged between the kills, and not only made from the log.
const INDEX_MEMORY_EVENTS: (&str, &str) = ("LOMBARD_EVENTSTORE__INDEX_MEMORY_EVENTS", "50");

/// The ids that were acknowledged, of one stream, in order.
type Acknowledged = Arc<Mutex<Vec<String>>>;

/// One writer of one stream: each append expects the revision that the one before it left, so a doubled or lost one
/// would be refused. Ends when enough is written.
async fn write(
    client: Client,
    stream: String,
    acknowledged: Acknowledged,
    done: watch::Sender<usize>,
) {
    let mut count = 0;
    let mut expected = Expected::NoStream;
    while *done.borrow() < KILLS * APPENDS_PER_KILL {
        let data = json!({ "number": count, "padding": "x".repeat(200) });
        let event = NewEvent::new("/crash-test", "test.happened", data);
        let appended = client
            .eventstore()
            .append(&stream, expected, std::slice::from_ref(&event))
            .await
            .unwrap();
        assert_eq!(appended.last_revision, count);
        expected = Expected::Revision(appended.last_revision);
        acknowledged.lock().unwrap().push(event.id);
        count += 1;
        done.send_modify(|done| *done += 1);
    }
}

/// The ids of a stream's events from a revision on.
async fn read(client: &Client, stream: &str, from: usize) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let next = from + found.len();
        let page = client.eventstore().read(stream, next as u64, 500).await.unwrap();
        let is_last = page.len() < 500;
        for event in page {
            assert_eq!(event.revision, (from + found.len()) as u64, "{stream} has a gap");
            found.push(event.id);
        }
        if is_last {
            return found;
        }
    }
}

/// Somebody outside, who keeps the newest checkpoint and the key from the beginning.
struct Auditor {
    client: Client,
    key: VerifyingKey,
    kept: Option<Checkpoint>,
}

#[derive(Deserialize)]
struct Consistency {
    path: Vec<String>,
}

impl Auditor {
    async fn new(client: Client) -> Self {
        let key = client.text(EVENTSTORE, "/log/key").await.unwrap();
        let key = VerifyingKey::parse(key.trim_end()).unwrap();
        Self { client, key, kept: None }
    }

    /// The newest checkpoint is signed, and begins with what the kept one says.
    async fn audit(&mut self) {
        let note = self.client.text(EVENTSTORE, "/log/checkpoint").await.unwrap();
        let newest = Checkpoint::verify(note.as_bytes(), &self.key).unwrap();
        if let Some(kept) = &self.kept {
            let path = self.consistency(kept.size, newest.size).await;
            let is_proved =
                verify_consistency(kept.size, &kept.root, newest.size, &newest.root, &path);
            assert!(
                is_proved,
                "the checkpoint of {} is not the beginning of {}",
                kept.size, newest.size
            );
        }
        self.kept = Some(newest);
    }

    async fn consistency(&self, from: u64, to: u64) -> Vec<TreeHash> {
        let call = |url| Call::new(Method::GET, url).query("from", from).query("to", to);
        let answer = self.client.call(EVENTSTORE, "/log/proofs/consistency", call).await;
        let Consistency { path } = answer.unwrap().body;
        let hash = |text: &String| {
            TreeHash::new(BASE64_STANDARD.decode(text).unwrap().try_into().unwrap())
        };
        path.iter().map(hash).collect()
    }
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
    let mut streams: Vec<(String, Acknowledged)> = Vec::new();
    for number in 0..WRITERS {
        let (stream, acknowledged) = (format!("crash-{number}"), Acknowledged::default());
        streams.push((stream.clone(), Arc::clone(&acknowledged)));
        writers.spawn(write(client.clone(), stream, acknowledged, done.clone()));
    }
    drop(done);
    let mut auditor = Auditor::new(client.clone()).await;
    let mut checked = [0; WRITERS];
    for kill in 1..=KILLS {
        // At a moment that the load decides, while the other appends are under way.
        if watched.wait_for(|done| *done >= kill * APPENDS_PER_KILL * 9 / 10).await.is_err() {
            break;
        }
        auditor.audit().await;
        let before: Vec<Vec<String>> =
            streams.iter().map(|(_, acknowledged)| acknowledged.lock().unwrap().clone()).collect();
        platform = tokio::task::spawn_blocking(move || {
            platform.kill("eventstore").unwrap();
            platform
        })
        .await
        .unwrap();
        auditor.audit().await;
        for (((stream, _), before), checked) in streams.iter().zip(&before).zip(&mut checked) {
            let found = read(&client, stream, *checked).await;
            assert!(found.starts_with(&before[*checked..]), "{stream}: kill {kill} lost some");
            *checked = before.len();
        }
    }

    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let mut event_count = 0;
    for (stream, acknowledged) in &streams {
        let found = read(&client, stream, 0).await;
        let acknowledged = acknowledged.lock().unwrap();
        assert_eq!(found, *acknowledged, "{stream}: what is there is what was acknowledged");
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
