//! History that cannot be changed unseen: the real program is backed up while eight writers append, verified over HTTP
//! and from files, and its history rewritten by somebody who owns the disk and every key on it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use lombard_client::{Credentials, Expected, NewEvent, Platform as Client};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const WRITERS: usize = 8;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs the program and expects this exit code.
fn run(data: &Path, arguments: &[&str], code: i32) -> String {
    let output = Command::new(LOMBARD)
        .args(arguments)
        .env("LOMBARD_DATA_DIR", data)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn gateway(platform: &Platform) -> String {
    platform.state().unwrap()["issuer"].as_str().unwrap().to_owned()
}

fn operator_key(platform: &Platform) -> SigningKey {
    let key = fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    SigningKey::from_pkcs8(&key).unwrap()
}

async fn connect(gateway: &str, key: SigningKey) -> Client {
    Client::connect(gateway, Credentials::key("lombard-operator", key)).await.unwrap()
}

async fn operator(platform: &Platform) -> Client {
    connect(&gateway(platform), operator_key(platform)).await
}

/// Writers on a thread of their own, which go on while this one waits for a command.
struct Load {
    acknowledged: watch::Receiver<usize>,
    end: watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

impl Load {
    fn start(platform: &Platform) -> Self {
        let (gateway, key) = (gateway(platform), operator_key(platform));
        let (count, acknowledged) = watch::channel(0);
        let (end, ended) = watch::channel(false);
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let client = connect(&gateway, key).await;
                let mut writers = JoinSet::new();
                for number in 0..WRITERS {
                    let stream = format!("load-{number}");
                    writers.spawn(write(client.clone(), stream, count.clone(), ended.clone()));
                }
                while let Some(written) = writers.join_next().await {
                    written.unwrap();
                }
            });
        });
        Self { acknowledged, end, thread }
    }

    /// How many appends are acknowledged, once there are so many more.
    async fn more(&mut self, count: usize) -> usize {
        let wanted = *self.acknowledged.borrow() + count;
        *self.acknowledged.wait_for(|count| *count >= wanted).await.unwrap()
    }

    fn end(self) {
        self.end.send_replace(true);
        self.thread.join().unwrap();
    }
}

/// Appends events until it is told to end. Each adds one to what was acknowledged.
async fn write(
    client: Client,
    stream: String,
    acknowledged: watch::Sender<usize>,
    end: watch::Receiver<bool>,
) {
    let mut expected = Expected::NoStream;
    while !*end.borrow() {
        let appended = client.eventstore().append(&stream, expected, &[event()]).await.unwrap();
        expected = Expected::Revision(appended.last_revision);
        acknowledged.send_modify(|count| *count += 1);
    }
}

fn event() -> NewEvent {
    NewEvent::new("/verify-test", "test.happened", json!({ "note": "a".repeat(64) }))
}

async fn event_count(client: &Client) -> usize {
    let (mut count, mut after) = (0, None);
    loop {
        let page = client.eventstore().read_all(after, 500).await.unwrap();
        let Some(last) = page.last() else { return count };
        after = Some(last.position);
        count += page.len();
    }
}

fn key_beside(log: &Path) -> String {
    fs::read_to_string(log.join("checkpoint.vkey")).unwrap().trim_end().to_owned()
}

/// A backup under load holds what was acknowledged before it began, fits a checkpoint that was kept before, and serves.
#[tokio::test]
async fn a_backup_under_load_is_verified_and_restored() {
    let mut platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let (data, url) = (platform.data_dir(), gateway(&platform));
    let place = data.parent().unwrap().to_owned();
    let (kept, backup) = (place.join("kept"), place.join("backup"));
    let client = operator(&platform).await;
    let mut load = Load::start(&platform);
    load.more(200).await;
    let eventstore = format!("{url}/v1/eventstore");

    // Somebody outside keeps a checkpoint, and the key.
    let key = client.text("/v1/eventstore", "/log/key").await.unwrap();
    let key = key.trim_end();
    let first = run(&data, &["verify", &eventstore, "--save", text(&kept)], 0);
    assert!(first.contains("Not proved") && first.contains(key), "{first}");

    let before = load.more(200).await;
    let words = run(&data, &["backup", text(&backup)], 0);
    assert!(words.contains("eventstore") && words.contains("ledger"), "{words}");
    let proof = ["--checkpoint", text(&kept), "--key", key];
    let verify = |target: &str| {
        let words = run(&data, &[&["verify", target], &proof[..]].concat(), 0);
        assert!(words.contains("Proved: the first"), "{words}");
    };
    verify(&eventstore);
    verify(&url);
    verify(text(&data));
    verify(text(&backup));
    run(&data, &["log", "check"], 0);
    run(&data, &["verify", &url], 0);
    run(&data, &["verify", text(&data)], 0);
    run(&data, &["verify", text(&backup)], 0);
    let one = place.join("one");
    run(&data, &["backup", "eventstore", text(&one)], 0);
    assert!(one.join("eventstore").is_dir() && !one.join("ledger").exists());
    verify(text(&one));

    // Killed under load: what it signed before is still the beginning of what it has.
    platform.kill("eventstore").unwrap();
    verify(&eventstore);
    load.more(100).await;
    verify(&eventstore);
    verify(text(&data));
    load.end();
    let after = event_count(&client).await;
    let place_held = platform.stop().unwrap();
    for role in ["registry", "auth", "eventstore", "ledger"] {
        fs::rename(data.join(role).join("log"), data.join(role).join("log.lost")).unwrap();
    }
    run(&data, &["restore", text(&backup)], 0);
    verify(text(&data));
    let platform = Platform::start_in(Path::new(LOMBARD), place_held).unwrap();
    let restored = event_count(&operator(&platform).await).await;
    assert!(before <= restored && restored <= after, "{before} {restored} {after}");
    let eventstore = format!("{}/v1/eventstore", gateway(&platform));
    verify(&eventstore);
    assert!(!platform.log().contains("panicked"), "{}", platform.log());
}

/// Hashes are for whoever may use the role, records for auditors.
#[tokio::test]
async fn verifying_over_http_takes_the_audit_scope() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let data = platform.data_dir();
    let url = gateway(&platform);
    let verify_as = |name: &str, scope: &str, target: &str| {
        let created = run(
            &data,
            &["client", "create", name, "--scope", scope, "--profile", "oauth-2.1", "--json"],
            0,
        );
        let client: serde_json::Value = serde_json::from_str(&created).unwrap();
        let output = Command::new(LOMBARD)
            .args(["verify", target])
            .env("LOMBARD_DATA_DIR", "/nowhere")
            .env("LOMBARD_CLIENT_ID", client["client_id"].as_str().unwrap())
            .env("LOMBARD_CLIENT_SECRET", client["client_secret"].as_str().unwrap())
            .output()
            .unwrap();
        (output.status.code().unwrap(), said(&output))
    };
    let (code, words) =
        verify_as("auditor", "ledger:audit events:audit registry:audit auth:audit", &url);
    assert_eq!(code, 0, "{words}");
    // Where there is nothing to read yet, nothing is refused either.
    let client = operator(&platform).await;
    while client.text("/v1/auth", "/log/checkpoint").await.unwrap().contains("\n0\n") {
        tokio::task::yield_now().await;
    }
    let (code, words) = verify_as("reader", "auth:read", &format!("{url}/v1/auth"));
    assert!(code == 4 && words.contains("auth:audit"), "{code} {words}");
}

/// The offset of the last stored byte of the note in the first event, and of the record that holds it.
fn note_in(segment: &[u8]) -> (usize, usize) {
    let note = segment.windows(64).position(|bytes| bytes == [b'a'; 64]).unwrap();
    let mut at = 64;
    loop {
        let length = u32::from_le_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
        if note < at + 32 + length {
            return (note, at);
        }
        at += (32 + length).next_multiple_of(8);
    }
}

/// Changes the note of the first event and makes the record's checksum fit.
fn rewrite(log: &Path) -> u64 {
    let path = log.join("0000000001.seg");
    let segment = fs::read(&path).unwrap();
    let (note, at) = note_in(&segment);
    let length = u32::from_le_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
    let mut record = segment[at..at + 32 + length].to_vec();
    record[note - at] = b'b';
    let crc = crc32c::crc32c(&record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&record, u64::try_from(at).unwrap()).unwrap();
    u64::from_le_bytes(record[8..16].try_into().unwrap())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Events, a checkpoint over all of them that was kept outside, and a platform that is stopped.
async fn kept_and_stopped(count: u64) -> (tempfile::TempDir, PathBuf, String) {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let client = operator(&platform).await;
    let mut expected = Expected::NoStream;
    for _ in 0..count {
        let appended = client.eventstore().append("notes", expected, &[event()]).await.unwrap();
        expected = Expected::Revision(appended.last_revision);
    }
    let data = platform.data_dir();
    let kept = data.with_file_name("kept");
    let eventstore = format!("{}/v1/eventstore", gateway(&platform));
    loop {
        run(&data, &["verify", &eventstore, "--save", text(&kept)], 0);
        let note = fs::read_to_string(&kept).unwrap();
        if note.lines().nth(1).unwrap().parse::<u64>().unwrap() >= count {
            break;
        }
    }
    let key = client.text("/v1/eventstore", "/log/key").await.unwrap().trim_end().to_owned();
    (platform.stop().unwrap(), kept, key)
}

#[tokio::test]
async fn a_flipped_byte_a_cut_and_a_wrong_key_are_named() {
    let (place, kept, key) = kept_and_stopped(12).await;
    let data = place.path().join("data");
    let (log, copied) = (data.join("eventstore/log"), place.path().join("copy"));
    let verify = |code| {
        run(&data, &["verify", text(&copied), "--checkpoint", text(&kept), "--key", &key], code)
    };
    copy(&log, &copied);
    verify(0);
    // Every byte of a stored record in the middle, and one of the last.
    let path = copied.join("0000000001.seg");
    let whole = fs::read(&path).unwrap();
    let mut starts = vec![64];
    while let Some(length) = whole
        .get(starts[starts.len() - 1]..)
        .map(|rest| u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize)
    {
        if length == 0 {
            break;
        }
        starts.push(starts[starts.len() - 1] + (32 + length).next_multiple_of(8));
    }
    let records = starts.len() - 1;
    let every = (starts[5]..starts[5] + 32).step_by(3).map(|at| (at, 5));
    let more = [(starts[0] + 40, 0), (starts[7] + 33, 7), (starts[records - 1] + 35, records - 1)];
    for (at, record) in every.chain(more) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, flipped).unwrap();
        let words = verify(7);
        assert!(words.contains(&format!("record {record} ")), "byte {at}: {words}");
    }
    // Cut off where a record ends.
    fs::write(&path, &whole[..starts[9]]).unwrap();
    assert!(verify(7).contains("record 9 is missing"));
    fs::write(&path, &whole).unwrap();
    verify(0);

    let name = key.split('+').next().unwrap();
    let other = lombard_log::checkpoint::SigningKey::from_seed(name, &[9; 32]).unwrap();
    let other = other.verifying_key().to_string();
    let words = run(&data, &["verify", text(&copied), "--key", &other], 7);
    assert!(words.contains("no signature is of the trusted key"), "{words}");
    // The checkpoint of one log says nothing of another.
    let ledger = data.join("ledger/log");
    let words = run(&data, &["verify", text(&ledger), "--checkpoint", text(&kept)], 7);
    assert!(words.contains("no log in"), "{words}");
}

/// Whoever owns the disk rewrites a record with a fitting checksum, has the tree built anew and everything signed again:
/// the platform serves it, all of it fits, and only the checkpoint that was kept outside refuses it.
#[tokio::test]
async fn a_history_that_was_rewritten_and_signed_again_is_refused() {
    let (place, kept, key) = kept_and_stopped(12).await;
    let data = place.path().join("data");
    let log = data.join("eventstore/log");
    let proof = ["--checkpoint", text(&kept), "--key", &key];
    let against_kept =
        |target: &str, code| run(&data, &[&["verify", target], &proof[..]].concat(), code);
    let changed = rewrite(&log);
    run(&data, &["log", "check"], 0);
    // The leaf hashes are still those of what was written, and tell which record it is.
    let words = against_kept(text(&data), 7);
    assert!(words.contains(&format!("record {changed} is not the one")), "{words}");
    for name in ["leaves.merkle", "tiles.merkle", "checkpoint"] {
        fs::remove_file(log.join(name)).unwrap();
    }
    assert_eq!(key_beside(&log), key);
    let platform = Platform::start_in(Path::new(LOMBARD), place).unwrap();
    let eventstore = format!("{}/v1/eventstore", gateway(&platform));
    // The first checkpoint is there as soon as the tree has caught up; until then the client tries again.
    let words = run(&data, &["verify", &eventstore], 0);
    assert!(words.contains("Not proved"), "{words}");
    let words = against_kept(&eventstore, 7);
    assert!(words.contains("records are not those of the checkpoint you kept"), "{words}");
    let words = against_kept(text(&data), 7);
    assert!(words.contains("are not those that the checkpoint was made over"), "{words}");
}
