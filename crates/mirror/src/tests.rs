//! A copy of a source that behaves, and of one that does not.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_log::{
    Record,
    checkpoint::{Checkpoint, SigningKey},
    merkle::{Tree, TreeHash},
};
use lombard_types::Position;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::{Config, Deps, Mirror, MirrorError, OpenError, Page, Source, SourceError};

const ORIGIN: &str = "lombard/ledger/00112233";

/// What a source is made of; the test changes it while it is asked.
#[derive(Clone)]
struct Books {
    origin: String,
    seed: u8,
    /// What it hands out.
    records: Vec<Bytes>,
    /// What it signs; the same, unless it lies.
    signed: Vec<Bytes>,
    is_away: bool,
    page_max: usize,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<Books>>);

impl Fake {
    fn new(count: u64) -> Self {
        let records = payloads(0, count);
        Self(Arc::new(Mutex::new(Books {
            origin: ORIGIN.to_owned(),
            seed: 7,
            signed: records.clone(),
            records,
            is_away: false,
            page_max: 3,
        })))
    }

    fn change(&self, change: impl FnOnce(&mut Books)) {
        change(&mut self.0.lock());
    }

    fn grow(&self, count: u64) {
        self.change(|books| {
            let more = payloads(u64::try_from(books.records.len()).unwrap(), count);
            books.records.extend(more.clone());
            books.signed.extend(more);
        });
    }

    fn ask<T>(&self, answer: impl FnOnce(&Books) -> T) -> Result<T, SourceError> {
        let books = self.0.lock();
        if books.is_away {
            return Err(SourceError::Refused { status: 503, slug: "role-away".to_owned() });
        }
        Ok(answer(&books))
    }
}

fn payloads(from: u64, count: u64) -> Vec<Bytes> {
    (from..from + count).map(|number| format!("record {number}").into()).collect()
}

impl Books {
    fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(&self.origin, &[self.seed; 32]).unwrap()
    }

    fn tree(&self) -> Tree<Vec<TreeHash>> {
        let mut tree = Tree::in_memory();
        let leaf = |(position, payload): (u64, &Bytes)| {
            TreeHash::of_record(Position::new(position), payload)
        };
        let leaves: Vec<_> = (0..).zip(&self.signed).map(leaf).collect();
        tree.append(&leaves).unwrap();
        tree
    }
}

impl Source for Fake {
    async fn key(&self) -> Result<String, SourceError> {
        self.ask(|books| books.signing_key().verifying_key().to_string())
    }

    async fn checkpoint(&self) -> Result<Bytes, SourceError> {
        self.ask(|books| {
            let tree = books.tree();
            let (size, root) = (tree.size(), tree.root(tree.size()).unwrap());
            let checkpoint =
                Checkpoint { origin: books.origin.clone(), size, root, extensions: Vec::new() };
            checkpoint.sign(&books.signing_key()).unwrap().into()
        })
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<TreeHash>, SourceError> {
        self.ask(|books| books.tree().consistency(from, to).unwrap())
    }

    async fn records(&self, from: u64, _: Duration) -> Result<Page, SourceError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.ask(|books| {
            let records = (0..).zip(&books.records).skip(usize::try_from(from).unwrap());
            let record = |(position, payload): (u64, &Bytes)| Record {
                position: Position::new(position),
                payload: payload.clone(),
            };
            Page {
                records: records.take(books.page_max).map(record).collect(),
                durable: u64::try_from(books.records.len()).unwrap(),
            }
        })
    }
}

struct Running {
    log: lombard_log::SharedLog,
    health: Health,
    metrics: Metrics,
    drain: CancellationToken,
    running: JoinHandle<Result<(), MirrorError>>,
}

fn config() -> Config {
    Config { verify_ms: 1, retry_ms_min: 1, retry_ms_max: 2, ..Config::default() }
}

async fn open(place: &Path, source: &Fake, config: Config) -> Result<Running, OpenError> {
    let (health, metrics) = (Health::starting(), Metrics::new("query"));
    health.ready();
    let deps = Deps {
        source: source.clone(),
        directory: place.to_owned(),
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let mirror = Mirror::open(config, deps).await?;
    let (log, drain) = (mirror.log(), CancellationToken::new());
    let running = tokio::spawn(mirror.run(drain.clone()));
    Ok(Running { log, health, metrics, drain, running })
}

impl Running {
    async fn has(&self, count: u64) {
        self.log.durable().wait_for(|durable| durable.get() >= count).await.unwrap();
    }

    async fn verified(&self, count: u64) {
        let wanted = format!("lombard_query_mirror_verified_records {count}\n");
        while !self.metrics.encode().unwrap().contains(&wanted) {
            tokio::task::yield_now().await;
        }
    }

    /// Everything that was copied.
    async fn copied(&self) -> Vec<Bytes> {
        let records = self.log.read(Position::START, usize::MAX).await.unwrap();
        records.into_iter().map(|record| record.payload).collect()
    }

    async fn stop(self) {
        let Self { log, metrics, drain, running, .. } = self;
        drain.cancel();
        running.await.unwrap().unwrap();
        drop((metrics, log));
    }

    /// The error with which it ends by itself.
    async fn fails(self) -> MirrorError {
        self.running.await.unwrap().unwrap_err()
    }
}

#[tokio::test]
async fn copies_compares_and_goes_on_after_a_restart() {
    let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(10));
    let running = open(place.path(), &source, config()).await.unwrap();
    running.has(10).await;
    running.verified(10).await;
    running.health.wait_until_ready().await;
    running.stop().await;
    source.grow(5);
    let running = open(place.path(), &source, config()).await.unwrap();
    running.has(15).await;
    running.verified(15).await;
    assert_eq!(running.copied().await, payloads(0, 15));
    running.stop().await;
}

#[tokio::test]
async fn a_source_that_is_away_leaves_the_copy_readable() {
    let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(4));
    source.change(|books| books.is_away = true);
    let running = open(place.path(), &source, config()).await.unwrap();
    while !running.metrics.encode().unwrap().contains("mirror_source_away 1") {
        tokio::task::yield_now().await;
    }
    assert!(!running.health.is_ready(), "nothing is here yet");
    source.change(|books| books.is_away = false);
    running.health.wait_until_ready().await;
    running.has(4).await;
    running.verified(4).await;
    running.stop().await;
    source.change(|books| books.is_away = true);
    let running = open(place.path(), &source, config()).await.unwrap();
    running.health.wait_until_ready().await;
    assert_eq!(running.copied().await, payloads(0, 4));
    running.stop().await;
}

#[tokio::test]
async fn far_behind_is_not_ready() {
    let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(3));
    let config = Config { lag_records_max: 5, ..config() };
    source.change(|books| books.page_max = 0);
    source.grow(20);
    let running = open(place.path(), &source, config).await.unwrap();
    let mut changes = running.health.changes();
    changes.changed().await.unwrap();
    assert!(!running.health.is_ready());
    source.change(|books| books.page_max = 4);
    running.health.wait_until_ready().await;
    assert!(running.log.durable().borrow().get() >= 18);
    running.stop().await;
}

/// A record that was changed on its way or at its source does not fit what the source signed.
#[tokio::test]
async fn a_forged_record_is_found() {
    for forged in [0, 4, 9] {
        let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(10));
        source.change(|books| books.records[forged] = "forged".into());
        let running = open(place.path(), &source, config()).await.unwrap();
        let error = running.fails().await;
        assert!(matches!(error, MirrorError::Contradicted { .. }), "{forged}: {error}");
    }
}

/// The page that is wrong is noticed before all is copied: the source proves that it continues what is here.
#[tokio::test]
async fn a_forged_record_is_found_while_catching_up() {
    let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(10));
    source.change(|books| {
        books.records[1] = "forged".into();
        books.records.truncate(3);
    });
    let running = open(place.path(), &source, config()).await.unwrap();
    let error = running.fails().await;
    assert!(matches!(error, MirrorError::Contradicted { size: 1..=3 }), "{error}");
}

#[tokio::test]
async fn a_source_that_became_another_is_refused() {
    type Change = fn(&mut Books);
    type Expected = fn(&MirrorError) -> bool;
    let cases: [(Change, Expected); 4] = [
        (
            |books| "lombard/ledger/99".clone_into(&mut books.origin),
            |error| matches!(error, MirrorError::OtherKey { .. } | MirrorError::OtherLog { .. }),
        ),
        (|books| books.seed = 8, |error| matches!(error, MirrorError::OtherKey { .. })),
        (
            |books| {
                books.records.truncate(6);
                books.signed.truncate(6);
            },
            |error| matches!(error, MirrorError::Shorter { .. }),
        ),
        (
            |books| {
                books.signed[2] = "rewritten".into();
                books.records[2] = "rewritten".into();
            },
            |error| matches!(error, MirrorError::Contradicted { .. }),
        ),
    ];
    for (change, is_expected) in cases {
        let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(10));
        let running = open(place.path(), &source, config()).await.unwrap();
        running.has(10).await;
        running.verified(10).await;
        running.stop().await;
        source.change(change);
        let error = open(place.path(), &source, config()).await.unwrap().fails().await;
        assert!(is_expected(&error), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_configured_is_the_only_one() {
    let (place, source) = (tempfile::tempdir().unwrap(), Fake::new(1));
    let other = SigningKey::from_seed(ORIGIN, &[9; 32]).unwrap().verifying_key().to_string();
    let config = Config { key: Some(other), ..config() };
    let error = open(place.path(), &source, config).await.unwrap().fails().await;
    assert!(matches!(error, MirrorError::OtherKey { .. }), "{error}");
}

/// Another copy in its place, with the memory of the one before.
#[tokio::test]
async fn a_copy_that_was_changed_is_not_opened() {
    let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (directory, first) in [(place.path(), "record 0"), (other.path(), "another")] {
        let source = Fake::new(3);
        source.change(|books| {
            books.records[0] = first.into();
            books.signed[0] = first.into();
        });
        let running = open(directory, &source, config()).await.unwrap();
        running.has(3).await;
        running.verified(3).await;
        running.stop().await;
    }
    std::fs::copy(other.path().join("source.json"), place.path().join("source.json")).unwrap();
    let opened = open(place.path(), &Fake::new(3), config()).await;
    assert!(matches!(opened, Err(OpenError::Changed { .. })));
}
