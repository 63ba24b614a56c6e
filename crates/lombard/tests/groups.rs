//! A consumer group whose store is killed with SIGKILL again and again, and whose consumers die with events in their
//! hands: every event is processed at least once, the events of one stream in their order, under ids that stay the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use lombard_client::{
    ConsumerGroup, Credentials, Delivery, Expected, GroupSettings, NewEvent, Platform as Client,
};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const STREAMS: u64 = 30;
const EVENTS_PER_STREAM: u64 = 60;
const EVENTS: u64 = STREAMS * EVENTS_PER_STREAM;
const CONSUMERS: u64 = 4;
const KILLS: u64 = 20;
/// Low, so that restarts begin with snapshots.
const SNAPSHOT_RECORDS: (&str, &str) = ("LOMBARD_EVENTSTORE__GROUP_SNAPSHOT_RECORDS", "100");

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % sides
    }
}

/// What all consumers did.
#[derive(Default)]
struct Processed {
    /// How many of each stream's events were processed; the next to come for the first time has this revision.
    streams: BTreeMap<String, u64>,
    /// The delivery ids of events.
    ids: BTreeMap<String, String>,
    repeated: u64,
}

impl Processed {
    fn note(&mut self, delivery: &Delivery) {
        let event = &delivery.event;
        let next = self.streams.entry(event.stream.clone()).or_default();
        assert!(event.revision <= *next, "{} @{} came before {next}", event.stream, event.revision);
        if event.revision < *next {
            self.repeated += 1;
        }
        *next = (*next).max(event.revision + 1);
        let id = self.ids.entry(event.id.clone()).or_insert_with(|| delivery.id.clone());
        assert_eq!(*id, delivery.id, "a delivery has another id than before");
    }

    fn count(&self) -> u64 {
        self.streams.values().sum()
    }
}

/// Takes and processes events until all are. Now and then it dies with what it has, and another takes its place.
async fn consume(
    group: ConsumerGroup,
    number: u64,
    processed: Arc<Mutex<Processed>>,
    done: watch::Sender<u64>,
) {
    let (mut dice, mut life) = (Dice(number), 0);
    while *done.borrow() < EVENTS {
        let name = format!("consumer-{number}-{life}");
        let deliveries = group.pull(&name, 16).await.unwrap();
        let mut processed_all = Vec::new();
        let dies_after = if dice.roll(12) == 0 { dice.roll(3) } else { u64::MAX };
        for delivery in deliveries {
            if processed_all.len() as u64 >= dies_after {
                break;
            }
            let mut all = processed.lock().unwrap();
            all.note(&delivery);
            done.send_replace(all.count());
            processed_all.push(delivery);
        }
        if dies_after < u64::MAX {
            life += 1;
        } else if !processed_all.is_empty() {
            // What was lost meanwhile comes again.
            group.ack(&processed_all).await.unwrap();
        }
    }
}

async fn write(client: Client) {
    for number in 0..EVENTS_PER_STREAM {
        for stream in 0..STREAMS {
            let event = NewEvent::new("/groups-test", "test.happened", json!({ "number": number }));
            let stream = format!("work-{stream}");
            client.eventstore().append(&stream, Expected::Any, &[event]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn every_event_is_processed_in_order_whoever_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let mut platform =
        Platform::start_with(Path::new(LOMBARD), place, &[SNAPSHOT_RECORDS]).unwrap();
    let state = platform.state().unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    let issuer = state.get("issuer").and_then(serde_json::Value::as_str).unwrap();
    let client = Client::builder(issuer, Credentials::key("lombard-operator", key))
        .deadline(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    let group = client.eventstore().group("work");
    let settings = GroupSettings {
        prefix: Some("work-".to_owned()),
        visibility_ms: Some(1000),
        attempts_max: Some(1000),
        ..GroupSettings::default()
    };
    group.create(&settings).await.unwrap();

    let processed = Arc::new(Mutex::new(Processed::default()));
    let (done, mut watched) = watch::channel(0);
    let mut running = JoinSet::new();
    running.spawn(write(client.clone()));
    for number in 0..CONSUMERS {
        running.spawn(consume(group.clone(), number, Arc::clone(&processed), done.clone()));
    }
    drop(done);
    for kill in 1..=KILLS {
        // At a moment that the load decides.
        if watched.wait_for(|done| *done >= kill * EVENTS / (KILLS + 1)).await.is_err() {
            break;
        }
        platform = tokio::task::spawn_blocking(move || {
            platform.kill("eventstore").unwrap();
            platform
        })
        .await
        .unwrap();
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }

    {
        let processed = processed.lock().unwrap();
        assert_eq!(processed.count(), EVENTS);
        assert_eq!(processed.ids.len() as u64, EVENTS);
        assert!(processed.repeated > 0, "nobody died with events in its hands");
        assert!(processed.streams.values().all(|count| *count == EVENTS_PER_STREAM));
    }
    // What was processed and not acknowledged comes once more, until nothing is left.
    loop {
        let rest = group.pull("last", 100).await.unwrap();
        let state = group.state().await.unwrap();
        if rest.is_empty() && state.in_flight == 0 && state.lag == 0 {
            break;
        }
        rest.iter().for_each(|delivery| processed.lock().unwrap().note(delivery));
        if !rest.is_empty() {
            group.ack(&rest).await.unwrap();
        }
    }
    let state = group.state().await.unwrap();
    assert_eq!((state.cursor, state.dead_letters), (EVENTS, 0));
    let restarts = platform.log().matches("killed by signal 9").count() as u64;
    assert_eq!(restarts, KILLS, "{}", platform.log());
    let shown = platform.run(&["group", "show", "work", "--json"]).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown[0]["cursor"], EVENTS.to_string());
}
