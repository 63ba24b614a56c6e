//! The real program: started, asked, killed, and stopped.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use lombard_testkit::Platform;
use serde_json::Value;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const ROLES: [&str; 6] = ["gateway", "registry", "auth", "eventstore", "ledger", "console"];

fn start() -> Platform {
    Platform::start(Path::new(LOMBARD)).unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
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
    assert!(output.status.success(), "seed {seed}: {}\n{}", text(&output), platform.log());
    let said = text(&output);
    assert!(said.contains("20 kills of the ledger"), "{said}");
    assert!(!platform.log().contains("panicked"), "{}", platform.log());
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
    assert_eq!(none.status.code(), Some(3), "{}", text(&none));
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
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused));
    assert!(text(&refused).contains("insufficient-funds"), "{}", text(&refused));
    assert_eq!(platform.run(&["transfer", "create"]).unwrap().status.code(), Some(2));
    let client = platform.run(&["client", "create", "Shop", "--scope", "not a scope"]).unwrap();
    assert_eq!(client.status.code(), Some(1), "{}", text(&client));
}

#[test]
fn a_second_platform_on_the_same_data_is_refused() {
    let platform = start();
    let second = platform.run(&["up", "--any-port"]).unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second);
    assert!(said.contains("in use by process") && said.contains("--data-dir"), "{said}");
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
    let said = text(&output);
    assert!(said.contains(&format!("port {port}")) && said.contains("--listen gateway="), "{said}");
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
    assert!(text(&output).contains("--insecure"), "{}", text(&output));
}

#[test]
fn commands_without_a_platform_say_how_to_start_one() {
    let place = tempfile::tempdir().unwrap();
    let output =
        Command::new(LOMBARD).args(["status", "--data-dir"]).arg(place.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("lombard up"), "{}", text(&output));
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
