//! The real program: started, asked, killed, and stopped.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use lombard_client::{Call, Credentials, Platform as Client, Received};
use lombard_testkit::{Platform, hledger};
use lombard_token::SigningKey;
use reqwest::Method;
use serde_json::Value;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const ROLES: [&str; 6] = ["gateway", "registry", "auth", "eventstore", "ledger", "console"];

fn start() -> Platform {
    Platform::start(Path::new(LOMBARD)).unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The whole main job, with the ledger killed at twenty random moments: nothing lost, nothing doubled.
#[test]
fn the_tour_survives_twenty_kills() {
    let platform = start();
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
            % 1_000_000;
    let output = platform
        .command()
        .current_dir(source())
        .args(["tour", "--quiet", "--kills", "20", "--seed", &seed.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "seed {seed}: {}\n{}", said(&output), platform.log());
    let words = said(&output);
    assert!(words.contains("20 kills of the ledger"), "{words}");
    assert!(!platform.log().contains("panicked"), "{}", platform.log());
    check_with_hledger(&platform);
    // What a run leaves behind holds no secret.
    let transcript = std::fs::read_to_string(platform.data_dir().join("run/tour.txt")).unwrap();
    for (what, haystack) in [("the log", platform.log()), ("the transcript", transcript)] {
        for secret in ["eyJ", "lombard_"] {
            let line = haystack.lines().find(|line| line.contains(secret));
            // Metric and crate names begin with `lombard_` too, but none is as long as a secret.
            let line = line.filter(|line| {
                line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                    .any(|word| word.starts_with(secret) && word.len() > 40)
            });
            assert_eq!(line, None, "{what}");
        }
    }
}

/// The whole book as a journal, added up by a program that is not ours: each account has what the ledger says.
fn check_with_hledger(platform: &Platform) {
    const PREFIX: &str = "/v1/ledger";
    if !hledger::is_there() {
        eprintln!("skipped: hledger is not installed (apt-get install hledger)");
        return;
    }
    let state = platform.state().unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    let credentials = Credentials::key("lombard-operator", key);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (accounts, journal) = runtime.block_on(async {
        let issuer = state["issuer"].as_str().unwrap();
        let client = Client::connect(issuer, credentials).await.unwrap();
        let list = |url| Call::new(Method::GET, url).query("limit", 1000);
        let listed: Received<Value> = client.call(PREFIX, "/accounts", list).await.unwrap();
        assert!(listed.body["next"].is_null(), "the tour has more accounts than a page");
        let export = format!("/export/hledger?at_least={}", listed.position.unwrap());
        (listed.body, client.text(PREFIX, &export).await.unwrap())
    });
    let mut expected = hledger::Balances::new();
    for account in accounts["items"].as_array().unwrap() {
        let text = |name: &str| account[name].as_str().unwrap().to_owned();
        let posted = account["balance"]["posted"].as_str().unwrap();
        let is_zero = posted.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        // Its balances are debits less credits.
        let posted = match (text("normal_side").as_str(), posted.strip_prefix('-')) {
            ("debit", _) => posted.to_owned(),
            (_, Some(positive)) => positive.to_owned(),
            (_, None) => format!("-{posted}"),
        };
        if !is_zero {
            expected.insert((text("path").replace('/', ":"), text("asset")), posted);
        }
    }
    assert!(expected.len() > 2, "{expected:?}");
    assert_eq!(hledger::balances(&journal).unwrap(), expected);
}

#[test]
fn every_role_can_die_and_comes_back_while_the_others_work() {
    let mut platform = start();
    for role in ROLES {
        platform.kill(role).unwrap();
        succeed(platform.run(&["status"]).unwrap());
    }
    let created = platform
        .run(&[
            "transfer",
            "create",
            "25.00",
            "EUR",
            "--from",
            "demo/bank",
            "--to",
            "demo/alice",
            "--open",
        ])
        .unwrap();
    assert!(succeed(created).contains("25.00 EUR"));
    let status = platform.run(&["status", "--json"]).unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    for process in status["processes"].as_array().unwrap() {
        let restarts = u64::from(process["name"] != "supervisor");
        assert_eq!(process["restart_count"], restarts, "{process}");
    }
}

#[test]
fn money_is_still_there_after_a_stop_and_a_start() {
    let platform = start();
    let transfer = [
        "transfer",
        "create",
        "12.34",
        "EUR",
        "--from",
        "demo/bank",
        "--to",
        "demo/bob",
        "--open",
        "--idempotency-key",
        "k",
    ];
    let first = succeed(platform.run(&transfer).unwrap());
    assert!(platform.banner().contains("client secret"), "{}", platform.banner());
    let place = platform.stop().unwrap();
    let platform = Platform::start_in(Path::new(LOMBARD), place).unwrap();
    assert!(!platform.banner().contains("client secret"), "shown once: {}", platform.banner());
    assert_eq!(
        succeed(platform.run(&transfer).unwrap()),
        first,
        "the same key gives the same answer"
    );
    let account = succeed(platform.run(&["account", "get", "demo/bob", "--json"]).unwrap());
    let account: Value = serde_json::from_str(&account).unwrap();
    assert_eq!(account["balance"]["posted"], "12.34");
}

#[test]
fn failures_have_their_exit_codes() {
    let platform = start();
    let none = platform.run(&["account", "get", "no/such/account"]).unwrap();
    assert_eq!(none.status.code(), Some(3), "{}", said(&none));
    succeed(
        platform
            .run(&[
                "transfer",
                "create",
                "1.00",
                "EUR",
                "--from",
                "demo/bank",
                "--to",
                "demo/eve",
                "--open",
            ])
            .unwrap(),
    );
    let poor = ["transfer", "create", "5.00", "EUR", "--from", "demo/eve", "--to", "demo/bank"];
    let refused = platform.run(&poor).unwrap();
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    assert!(said(&refused).contains("insufficient-funds"), "{}", said(&refused));
    assert_eq!(platform.run(&["transfer", "create"]).unwrap().status.code(), Some(2));
    let client = platform.run(&["client", "create", "Shop", "--scope", "not a scope"]).unwrap();
    assert_eq!(client.status.code(), Some(1), "{}", said(&client));
}

#[test]
fn a_second_platform_on_the_same_data_is_refused() {
    let platform = start();
    let second = platform.run(&["up", "--any-port"]).unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = said(&second);
    assert!(words.contains("in use by process") && words.contains("--data-dir"), "{words}");
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = Command::new(LOMBARD)
        .args(["up", "--listen", &format!("gateway=127.0.0.1:{port}"), "--data-dir"])
        .arg(place.path().join("data"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = said(&output);
    assert!(
        words.contains(&format!("port {port}")) && words.contains("--listen gateway="),
        "{words}"
    );
}

#[test]
fn clear_text_beyond_this_machine_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(LOMBARD)
        .args(["up", "--listen", "gateway=0.0.0.0:0", "--data-dir"])
        .arg(place.path().join("data"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--insecure"), "{}", said(&output));
}

#[test]
fn commands_without_a_platform_say_how_to_start_one() {
    let place = tempfile::tempdir().unwrap();
    let output =
        Command::new(LOMBARD).args(["status", "--data-dir"]).arg(place.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("lombard up"), "{}", said(&output));
}

#[test]
fn errors_are_explained_offline() {
    let output = Command::new(LOMBARD)
        .args(["explain-error", "urn:lombard:error:insufficient-funds"])
        .output()
        .unwrap();
    assert!(succeed(output).starts_with("# Insufficient funds"));
    let unknown = Command::new(LOMBARD).args(["explain-error", "nonsense"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
}

/// A stopped platform's logs are backed up, damaged, found damaged, restored, and serve again.
#[test]
fn logs_are_checked_backed_up_and_restored() {
    let platform = start();
    let transfer =
        ["transfer", "create", "7.00", "EUR", "--from", "demo/bank", "--to", "demo/bob", "--open"];
    for _ in 0..3 {
        succeed(platform.run(&transfer).unwrap());
    }
    succeed(platform.run(&["log", "check"]).unwrap());
    for command in [&["log", "repair", "ledger", "--truncate-at", "0"][..], &["restore", "backup"]]
    {
        let refused = platform.run(command).unwrap();
        assert!(said(&refused).contains("needs the platform stopped"), "{}", said(&refused));
    }
    let place = platform.stop().unwrap();
    let (data, backup) = (place.path().join("data"), place.path().join("backup"));
    let run = |arguments: &[&str]| {
        Command::new(LOMBARD)
            .args(arguments)
            .env("LOMBARD_DATA_DIR", &data)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    succeed(run(&["log", "check"]));
    succeed(run(&["backup", backup.to_str().unwrap()]));

    // One byte of the ledger's first record, which everything after it proves to have been durable.
    let log = data.join("ledger/log");
    let segment = log.join("0000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    if let Some(byte) = bytes.get_mut(64 + 40) {
        *byte = !*byte;
    }
    std::fs::write(&segment, bytes).unwrap();
    let damaged = run(&["log", "check"]);
    assert_eq!(damaged.status.code(), Some(7), "{}", said(&damaged));
    assert!(
        said(&damaged).contains("lombard log repair ledger --truncate-at 0"),
        "{}",
        said(&damaged)
    );
    let unasked = run(&["log", "repair", "ledger", "--truncate-at", "0"]);
    assert!(said(&unasked).contains("--yes"), "{}", said(&unasked));

    let onto_itself = run(&["restore", backup.to_str().unwrap()]);
    assert!(said(&onto_itself).contains("move it away first"), "{}", said(&onto_itself));
    for role in ["registry", "auth", "eventstore", "ledger"] {
        std::fs::remove_dir_all(data.join(role).join("log")).unwrap();
    }
    succeed(run(&["restore", backup.to_str().unwrap()]));
    let platform = Platform::start_in(Path::new(LOMBARD), place).unwrap();
    let account = succeed(platform.run(&["account", "get", "demo/bob"]).unwrap());
    assert!(account.contains("21.00 EUR"), "{account}");
}

/// What the documents tell people to type is typed here: every `sh` block, with the program of this build instead of one
/// built anew. Blocks that start the platform, or need what an earlier command printed, are the test's own business.
#[test]
fn the_documented_commands_work() {
    let platform = start();
    for document in ["README.md", "docs/guides/first-service.md", "docs/guides/event-sourcing.md"] {
        let text = std::fs::read_to_string(source().join(document)).unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let mut run_count = 0;
        for block in blocks {
            let is_ours = !["-- up", "xtask", "export", "TRANSFER_ID"]
                .iter()
                .any(|word| block.contains(word));
            if !is_ours {
                continue;
            }
            let script = format!("set -e\ncargo() {{ shift 3; \"$LOMBARD\" \"$@\"; }}\n{block}");
            let output = Command::new("sh")
                .args(["-c", &script])
                .current_dir(source())
                .env("LOMBARD", LOMBARD)
                .env("LOMBARD_DATA_DIR", platform.data_dir())
                .output()
                .unwrap();
            assert!(output.status.success(), "{document}: {block}\n{}", said(&output));
            run_count += 1;
        }
        assert!(run_count > 0, "{document} has no command that can be run here");
    }
}
