//! Data subjects of a running platform: after an erasure, what its events said is in no answer, no file of the data
//! directory and no backup, and what was signed before still proves. And: whatever is killed when, an erasure that was
//! answered stays, and who was not erased stays readable.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lombard_client::{
    Call, Credentials, EventStore, Expected, GroupSettings, NewEvent, Platform as Client,
    RecordedEvent, Selection, SubjectState,
    grpc::v1::{self as proto, ReadRequest, SubscribeRequest, extension},
};
use lombard_log::{
    checkpoint::{Checkpoint, VerifyingKey},
    merkle::{TreeHash, verify_consistency, verify_inclusion},
};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use lombard_types::Position;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const EVENTSTORE: &str = "/v1/eventstore";
/// Low, so that indexes are sealed and merged, and groups start from snapshots.
const SETTINGS: [(&str, &str); 2] = [
    ("LOMBARD_EVENTSTORE__INDEX_MEMORY_EVENTS", "20"),
    ("LOMBARD_EVENTSTORE__GROUP_SNAPSHOT_RECORDS", "20"),
];
const ERASED: [&str; 2] = ["gone-1", "gone-2"];
const KEPT: &str = "stays-1";
const PLAIN: &str = "nobody's in particular";
const ROUNDS: usize = 40;

async fn connect(platform: &Platform) -> Client {
    let state = platform.state().unwrap();
    let key = fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    let issuer = state.get("issuer").and_then(Value::as_str).unwrap();
    Client::builder(issuer, Credentials::key("lombard-operator", key))
        .deadline(Duration::from_secs(60))
        .connect()
        .await
        .unwrap()
}

/// What only the events of a subject say: in their data, and in their CloudEvents subject.
fn secrets(of: &str) -> [String; 2] {
    [format!("the name of {of}"), format!("the file of {of}")]
}

fn marked(with: &str) -> NewEvent {
    let [name, file] = secrets(with);
    let mut event = NewEvent::new("/erasure-test", "test.happened", json!({ "name": name }));
    event.subject = Some(file);
    event.data_subject(with)
}

fn plain() -> NewEvent {
    NewEvent::new("/erasure-test", "test.happened", json!({ "name": PLAIN }))
}

/// What a reader saw of an event, whichever way it came.
#[derive(Debug)]
struct Seen {
    data_subject: Option<String>,
    subject: Option<String>,
    is_redacted: bool,
    data: String,
}

impl From<&RecordedEvent> for Seen {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            data_subject: event.data_subject.clone(),
            subject: event.subject.clone(),
            is_redacted: event.is_redacted,
            data: event.data.to_string(),
        }
    }
}

impl From<&proto::RecordedEvent> for Seen {
    fn from(event: &proto::RecordedEvent) -> Self {
        let extension = |name: &str| {
            event.extensions.iter().find(|it| it.name == name).and_then(|it| it.value.clone())
        };
        let data = match &event.data {
            Some(proto::recorded_event::Data::Json(json)) => {
                String::from_utf8(json.to_vec()).unwrap()
            }
            Some(proto::recorded_event::Data::Binary(_)) => panic!("not JSON"),
            None => "null".to_owned(),
        };
        Self {
            data_subject: extension("datasubject").map(|value| match value {
                extension::Value::Text(text) => text,
                other => panic!("{other:?}"),
            }),
            subject: event.subject.clone(),
            is_redacted: extension("lombardredacted") == Some(extension::Value::Boolean(true)),
            data,
        }
    }
}

/// Each event is shown as it must be, whoever has asked.
fn check(way: &str, seen: &[Seen], are_erased: bool) {
    let count =
        |of: Option<&str>| seen.iter().filter(|seen| seen.data_subject.as_deref() == of).count();
    assert_eq!(count(Some(KEPT)), ROUNDS, "{way}");
    for Seen { data_subject, subject, is_redacted, data } in seen {
        let Some(of) = data_subject else {
            assert!(!is_redacted && data.contains(PLAIN), "{way}: {data}");
            continue;
        };
        let [name, file] = secrets(of);
        if are_erased && ERASED.contains(&&**of) {
            assert!(is_redacted & subject.is_none() & (data == "null"), "{way}: {of} {data}");
        } else {
            assert!(!is_redacted && data.contains(&name), "{way}: {of} {data}");
            assert_eq!(subject.as_deref(), Some(&*file), "{way}");
        }
    }
}

async fn rest(events: &EventStore) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = events.read_all(after, 100).await.unwrap();
        let Some(last) = page.last() else { return seen };
        after = Some(last.position);
        seen.extend(page.iter().map(Seen::from));
    }
}

async fn sse(events: &EventStore, count: usize) -> Vec<Seen> {
    let mut subscription = events.subscribe(Selection::all());
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(Seen::from(&subscription.next().await.unwrap()));
    }
    seen
}

async fn grpc(platform: &Platform, client: &Client, count: usize) -> [Vec<Seen>; 2] {
    let state = platform.state().unwrap();
    let roles = state["roles"].as_array().unwrap();
    let address = roles.iter().find_map(|role| {
        (role["role"] == "eventstore").then(|| role["grpc_address"].as_str().unwrap())
    });
    let store = client.grpc_eventstore(address.unwrap());
    let all = |appends: &[proto::RecordedAppend]| {
        appends.iter().flat_map(|it| &it.events).map(Seen::from).collect::<Vec<_>>()
    };
    let (mut read, mut subscribed) = (Vec::new(), Vec::new());
    let mut reading = store.read(&ReadRequest::default()).await.unwrap();
    while let Some(message) = reading.next().await.unwrap() {
        read.extend(all(&message.appends));
    }
    let mut subscription = store.subscribe(SubscribeRequest::default());
    while subscribed.len() < count {
        subscribed.extend(all(&subscription.next().await.unwrap()));
    }
    [read, subscribed]
}

/// Everything from a group that was made for it; settled when it returns.
async fn group(events: &EventStore, name: &str, count: usize) -> Vec<Seen> {
    let group = events.group(name);
    let settings = GroupSettings {
        order_by: Some("attribute:subject".to_owned()),
        retry_ms_min: Some(1),
        attempts_max: Some(100),
        ..GroupSettings::default()
    };
    group.create(&settings).await.unwrap();
    let (mut seen, mut pulls) = (Vec::new(), 0);
    while seen.len() < count {
        let deliveries = group.pull("consumer", 20).await.unwrap();
        pulls += 1;
        if pulls % 3 == 1 {
            group.nack(&deliveries, "not now").await.unwrap();
        } else {
            seen.extend(deliveries.iter().map(|delivery| Seen::from(&delivery.event)));
            group.ack(&deliveries).await.unwrap();
        }
    }
    seen
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files that have these bytes anywhere in them.
fn with(needle: &[u8], directory: &Path) -> Vec<PathBuf> {
    let has = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        // Segments are prepared with zeros, which are most of them.
        let mut start = 0;
        bytes.chunks(4096).enumerate().any(|(number, chunk)| {
            let is_empty = *chunk == [0; 4096];
            let end = (number + 1) * 4096;
            let from = std::mem::replace(&mut start, (end + 1).saturating_sub(needle.len()));
            let part = &bytes[from.min(bytes.len())..end.min(bytes.len())];
            !is_empty && part.windows(needle.len()).any(|window| window == needle)
        })
    };
    files(directory).into_iter().filter(has).collect()
}

/// Somebody outside, who keeps a checkpoint.
struct Auditor {
    client: Client,
    key: VerifyingKey,
}

impl Auditor {
    async fn checkpoint(&self) -> (String, Checkpoint) {
        let note = self.client.text(EVENTSTORE, "/log/checkpoint").await.unwrap();
        let checkpoint = Checkpoint::verify(note.as_bytes(), &self.key).unwrap();
        (note, checkpoint)
    }

    async fn get(&self, path: &str, query: &[(&'static str, u64)]) -> Value {
        let call = |url| {
            let call = Call::new(Method::GET, url);
            query.iter().fold(call, |call, &(name, value)| call.query(name, value))
        };
        self.client.call(EVENTSTORE, path, call).await.unwrap().body
    }

    /// The records that a kept checkpoint was made over are there, and the newest one's tree begins with its.
    async fn audit(&self, kept: &Checkpoint) {
        let (_, newest) = self.checkpoint().await;
        let range = [("from", kept.size), ("to", newest.size)];
        let path = hashes(&self.get("/log/proofs/consistency", &range).await["path"]);
        assert!(verify_consistency(kept.size, &kept.root, newest.size, &newest.root, &path));
        let records = self.get("/log/records", &[("from", 0), ("limit", kept.size)]).await;
        for record in records["records"].as_array().unwrap() {
            let position = record["position"].as_u64().unwrap();
            let payload = BASE64_STANDARD.decode(record["payload"].as_str().unwrap()).unwrap();
            let query = [("position", position), ("size", kept.size)];
            let path = hashes(&self.get("/log/proofs/inclusion", &query).await["path"]);
            let leaf = TreeHash::of_record(Position::new(position), &payload);
            assert!(verify_inclusion(&leaf, position, kept.size, &path, &kept.root), "{position}");
        }
    }
}

fn hashes(path: &Value) -> Vec<TreeHash> {
    let bytes = |text: &Value| BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap();
    path.as_array().unwrap().iter().map(|it| TreeHash::new(bytes(it).try_into().unwrap())).collect()
}

/// The slots of the file of keys. What they hold is said in `crates/eventstore/src/subjects/file.rs`.
fn slots(data: &Path) -> Vec<Vec<u8>> {
    let keys = fs::read(data.join("eventstore/subjects/keys")).unwrap();
    keys[512..].chunks_exact(128).map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn what_is_erased_is_nowhere_and_what_was_signed_before_still_proves() {
    let place = tempfile::tempdir().unwrap();
    let mut platform = Platform::start_with(Path::new(LOMBARD), place, &SETTINGS).unwrap();
    let data = platform.data_dir();
    let client = connect(&platform).await;
    let events = client.eventstore();
    let mut count = 0;
    for round in 0..ROUNDS {
        let mut batch: Vec<NewEvent> = ERASED.into_iter().chain([KEPT]).map(marked).collect();
        batch.push(plain());
        count += batch.len();
        events.append(&format!("s-{}", round % 7), Expected::Any, &batch).await.unwrap();
    }
    let key = client.text(EVENTSTORE, "/log/key").await.unwrap();
    let key_text = key.trim_end().to_owned();
    let auditor = Auditor { client: client.clone(), key: VerifyingKey::parse(&key_text).unwrap() };
    let (note, kept) = loop {
        let (note, checkpoint) = auditor.checkpoint().await;
        if checkpoint.size >= ROUNDS as u64 {
            break (note, checkpoint);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let note_file = data.with_file_name("kept");
    fs::write(&note_file, note).unwrap();

    check("rest", &rest(&events).await, false);
    check("sse", &sse(&events, count).await, false);
    check("group", &group(&events, "before", count).await, false);
    for seen in grpc(&platform, &client, count).await {
        check("grpc", &seen, false);
    }
    let before = slots(&data);
    let erased = events.erase_subject(ERASED[0]).await.unwrap();
    assert_eq!(erased.state, SubjectState::Erased);
    let erased = platform.run(&["subject", "erase", ERASED[1], "--yes"]).unwrap();
    assert!(erased.status.success());

    for _ in 0..2 {
        check("rest", &rest(&events).await, true);
        check("sse", &sse(&events, count).await, true);
        // One that had read everything before, and one that begins now.
        events.group("before").delete().await.unwrap();
        check("group", &group(&events, "before", count).await, true);
        for seen in grpc(&platform, &client, count).await {
            check("grpc", &seen, true);
        }
        platform = tokio::task::spawn_blocking(move || {
            platform.kill("eventstore").unwrap();
            platform
        })
        .await
        .unwrap();
    }

    auditor.audit(&kept).await;
    let backup = data.with_file_name("backup");
    let backed_up = platform.run(&["backup", backup.to_str().unwrap()]).unwrap();
    assert!(backed_up.status.success(), "{}", String::from_utf8_lossy(&backed_up.stderr));
    let url = format!("{}{EVENTSTORE}", client.issuer());
    for target in [data.to_str().unwrap(), backup.to_str().unwrap(), &url] {
        let arguments = ["verify", target, "--checkpoint", note_file.to_str().unwrap()];
        let verified = platform.run(&[&arguments[..], &["--key", &key_text]].concat()).unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
    // The keys as they were wrapped are what could open what is in the log.
    let after = slots(&data);
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after);
    let wrapped: Vec<&[u8]> = changed.map(|(before, _)| &before[41..101]).collect();
    assert_eq!(wrapped.len(), ERASED.len());
    for directory in [&data, &backup] {
        assert!(!with(PLAIN.as_bytes(), directory).is_empty(), "nothing is found in files");
        for needle in ERASED.into_iter().chain([KEPT]).flat_map(secrets) {
            assert_eq!(with(needle.as_bytes(), directory), Vec::<PathBuf>::new(), "{needle}");
        }
        for needle in &wrapped {
            assert_eq!(with(needle, directory), Vec::<PathBuf>::new(), "a key that is destroyed");
        }
    }
    assert!(!platform.log().contains("the name of"), "{}", platform.log());
}

const PEOPLE: u64 = 240;
const WRITERS: u64 = 4;
const KILLS: u64 = 20;

/// What is known of a person: whether an erasure was answered, or none was asked for. While one is under way, neither.
type People = Arc<Mutex<BTreeMap<u64, bool>>>;

/// Appends for people, and erases two of three.
async fn live(events: EventStore, writer: u64, people: People, done: watch::Sender<u64>) {
    for person in (0..PEOPLE).filter(|person| person % WRITERS == writer) {
        let name = format!("person-{person}");
        events.append(&name, Expected::NoStream, &[marked(&name), plain()]).await.unwrap();
        let is_erased = person % 3 != 0;
        if is_erased {
            let erased = events.erase_subject(&name).await.unwrap();
            assert_eq!(erased.state, SubjectState::Erased);
        }
        people.lock().unwrap().insert(person, is_erased);
        done.send_modify(|done| *done += 1);
    }
}

async fn check_people(events: &EventStore, people: &BTreeMap<u64, bool>) {
    for (person, is_erased) in people {
        let name = format!("person-{person}");
        let read = events.read(&name, 0, 10).await.unwrap();
        let [name_of, _] = secrets(&name);
        assert_eq!(read[0].is_redacted, *is_erased, "{name}");
        assert_eq!(read[0].data.to_string().contains(&name_of), !is_erased, "{name}");
        assert!(read[1].data.to_string().contains(PLAIN));
        let state = events.subject(&name).await.unwrap().state;
        assert_eq!(state == SubjectState::Erased, *is_erased, "{name}");
    }
}

#[tokio::test]
async fn erasures_that_were_answered_survive_kills_and_nobody_else_is_erased() {
    let place = tempfile::tempdir().unwrap();
    let mut platform = Platform::start_with(Path::new(LOMBARD), place, &SETTINGS).unwrap();
    let events = connect(&platform).await.eventstore();
    let people = People::default();
    let (done, mut watched) = watch::channel(0);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(live(events.clone(), writer, Arc::clone(&people), done.clone()));
    }
    drop(done);
    for kill in 1..=KILLS {
        // At a moment that the load decides, while appends and erasures are under way.
        if watched.wait_for(|done| *done >= kill * PEOPLE / (KILLS + 1)).await.is_err() {
            break;
        }
        let before = people.lock().unwrap().clone();
        platform = tokio::task::spawn_blocking(move || {
            platform.kill("eventstore").unwrap();
            platform
        })
        .await
        .unwrap();
        check_people(&events, &before).await;
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let people = people.lock().unwrap().clone();
    assert_eq!(people.len() as u64, PEOPLE);
    check_people(&events, &people).await;
    let verified = platform.run(&["verify", platform.data_dir().to_str().unwrap()]).unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let restarts = platform.log().matches("killed by signal 9").count() as u64;
    assert_eq!(restarts, KILLS, "{}", platform.log());
}
