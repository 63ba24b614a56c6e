//! Consumer groups in a backup that is made while they are at work: restored after a kill, a group goes on where the backup
//! has it, knows its dead letters, and delivers under the ids that it had.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lombard_client::{
    Credentials, EventStore, Expected, GroupSettings, NewEvent, Platform as Client,
    grpc::{
        Consumed, GrpcConsumer,
        v1::{ConsumeStart, Delivery, Nack},
    },
};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use serde_json::{Value, json};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
/// Low, so that there are snapshots before and during the backup.
const SETTINGS: [(&str, &str); 1] = [("LOMBARD_EVENTSTORE__GROUP_SNAPSHOT_RECORDS", "20")];
const EVENTS: u64 = 300;
/// Positions that nobody can process.
const BAD: [u64; 2] = [5, 17];

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

async fn consumer(platform: &Platform, client: &Client) -> GrpcConsumer {
    let state = platform.state().unwrap();
    let roles = state["roles"].as_array().unwrap();
    let address = roles.iter().find(|role| role["role"] == "eventstore").unwrap();
    let store = client.grpc_eventstore(address["grpc_address"].as_str().unwrap());
    let start = ConsumeStart { group: "work".to_owned(), credits: Some(8), ..Default::default() };
    store.consume(start).await.unwrap()
}

/// The delivery ids of what was processed, by position.
type Processed = BTreeMap<u64, String>;

/// Processes until `count` events more are settled.
async fn process(consumer: &mut GrpcConsumer, processed: &mut Processed, count: usize) {
    let until = processed.len() + count;
    while processed.len() < until {
        let Consumed::Deliveries(deliveries) = consumer.next().await.unwrap().unwrap() else {
            continue;
        };
        let position = |it: &Delivery| it.append.as_ref().unwrap().events[0].position;
        let (bad, good): (Vec<_>, Vec<_>) =
            deliveries.into_iter().partition(|it| BAD.contains(&position(it)));
        let receipts =
            |some: &[Delivery]| some.iter().map(|it| it.receipt.clone()).collect::<Vec<_>>();
        if !bad.is_empty() {
            let reason = "cannot be".to_owned();
            let nack = Nack { reason, dead_letter: true, ..Nack::default() };
            consumer.nack(receipts(&bad), nack).unwrap();
        }
        if !good.is_empty() {
            consumer.ack(receipts(&good)).unwrap();
        }
        for delivery in good {
            let id = processed.entry(position(&delivery)).or_insert(delivery.delivery_id.clone());
            assert_eq!(*id, delivery.delivery_id, "another id than before");
        }
    }
}

async fn write(events: &EventStore, count: u64) {
    for number in 0..count {
        let event = NewEvent::new("/groups-test", "test.happened", json!({ "number": number }));
        events.append(&format!("s-{}", number % 9), Expected::Any, &[event]).await.unwrap();
    }
}

#[tokio::test]
async fn groups_are_backed_up_at_work_and_restored() {
    let place = tempfile::tempdir().unwrap();
    let mut platform = Platform::start_with(Path::new(LOMBARD), place, &SETTINGS).unwrap();
    let data = platform.data_dir();
    let client = connect(&platform).await;
    let events = client.eventstore();
    let settings = GroupSettings {
        order_by: Some("nothing".to_owned()),
        // However slow the machine is, only what is refused is given up.
        attempts_max: Some(1000),
        retry_ms_min: Some(1),
        visibility_ms: Some(1000),
        ..GroupSettings::default()
    };
    let group = events.group("work");
    group.create(&settings).await.unwrap();
    write(&events, EVENTS).await;
    let mut taking = consumer(&platform, &client).await;
    let mut processed = Processed::new();
    process(&mut taking, &mut processed, 100).await;
    while group.state().await.unwrap().dead_letters < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // While events are written and processed.
    let before = group.state().await.unwrap();
    let backup = data.with_file_name("backup");
    let mut command = platform.command();
    command.args(["backup", "eventstore"]).arg(&backup);
    let backing_up = tokio::task::spawn_blocking(move || command.output().unwrap());
    let mut after_backup = processed.clone();
    tokio::join!(write(&events, 50), process(&mut taking, &mut after_backup, 100));
    let backed_up = backing_up.await.unwrap();
    let words = String::from_utf8_lossy(&backed_up.stdout).into_owned();
    assert!(backed_up.status.success() && words.contains("groups"), "{words}");

    platform = tokio::task::spawn_blocking(move || {
        platform.kill("eventstore").unwrap();
        platform
    })
    .await
    .unwrap();
    let letters: Vec<u64> =
        group.dead_letters().await.unwrap().iter().map(|letter| letter.position).collect();
    assert_eq!(letters, BAD);
    let place = platform.stop().unwrap();
    let lost = |name: &str| data.join("eventstore").join(name);
    for name in ["log", "groups"] {
        fs::rename(lost(name), lost(&format!("{name}.lost"))).unwrap();
    }
    let words = run(&data, &["restore", backup.to_str().unwrap()], 0);
    assert!(words.contains("groups"), "{words}");

    let platform = Platform::start_with(Path::new(LOMBARD), place, &SETTINGS).unwrap();
    let client = connect(&platform).await;
    let (events, group) = (client.eventstore(), client.eventstore().group("work"));
    let state = group.state().await.unwrap();
    assert!(state.cursor >= before.cursor, "{state:?} {before:?}");
    assert_eq!((state.dead_letters, state.settings), (2, before.settings));
    let count = events.read_all(None, 1000).await.unwrap().len();
    assert!(count as u64 >= EVENTS);
    // What was processed before the backup comes no more, except what was being settled; all the rest comes.
    let mut taking = consumer(&platform, &client).await;
    let mut all = after_backup.clone();
    all.retain(|position, _| *position < count as u64);
    let left = count - BAD.len() - all.len();
    process(&mut taking, &mut all, left).await;
    while group.state().await.unwrap().cursor < count as u64 {
        process_one(&mut taking, &mut all).await;
    }
    assert_eq!(all.len(), count - BAD.len());

    // A data directory that has its groups keeps them.
    let cursor = group.state().await.unwrap().cursor;
    let place = platform.stop().unwrap();
    fs::rename(lost("log"), lost("log.lost-2")).unwrap();
    let words = run(&data, &["restore", backup.to_str().unwrap()], 0);
    assert!(words.contains("stay as they are"), "{words}");
    damage_is_told(&data);
    let platform = Platform::start_with(Path::new(LOMBARD), place, &SETTINGS).unwrap();
    let state = connect(&platform).await.eventstore().group("work").state().await.unwrap();
    assert_eq!(state.cursor, cursor);
}

/// Takes and settles whatever comes next.
async fn process_one(consumer: &mut GrpcConsumer, processed: &mut Processed) {
    if let Some(Consumed::Deliveries(deliveries)) = consumer.next().await.unwrap() {
        for delivery in &deliveries {
            let position = delivery.append.as_ref().unwrap().events[0].position;
            assert_eq!(processed.get(&position), Some(&delivery.delivery_id), "{position}");
        }
        let receipts = deliveries.into_iter().map(|it| it.receipt).collect();
        consumer.ack(receipts).unwrap();
    }
}

fn damage_is_told(data: &Path) {
    let words = run(data, &["log", "check", "eventstore"], 0);
    assert!(words.contains("groups"), "{words}");
    let segment = segment(&data.join("eventstore/groups/log"));
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&segment, damaged).unwrap();
    let words = run(data, &["log", "check"], 7);
    assert!(words.contains("consumer groups: damage"), "{words}");
    fs::write(&segment, whole).unwrap();
}

fn segment(log: &Path) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(log).unwrap().map(|it| it.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|it| it == "seg"));
    all.into_iter().min().unwrap()
}

fn run(data: &Path, arguments: &[&str], code: i32) -> String {
    let mut command = std::process::Command::new(LOMBARD);
    let output = command.args(arguments).env("LOMBARD_DATA_DIR", data).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}
