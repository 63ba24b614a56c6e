//! The guide to the ledger does what it says: its commands are run as they stand, one after the other in one shell, and the
//! books must then show what the guide tells; and what the command line says of statements and explanations.

#![expect(clippy::unwrap_used, reason = "a test that finds something else must fail")]

use std::{path::Path, process::Command};

use lombard_testkit::Platform;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const GUIDE: &str = include_str!("../../../docs/guides/ledger.md");

/// All `sh` blocks of a document as one script, with the program of this build and the addresses of this platform.
fn script(document: &str, gateway: &str) -> String {
    let blocks = document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.starts_with("lombard up"));
    let lines = lines.map(|line| match line.starts_with("GW=") {
        true => format!("GW={gateway}\n"),
        false => format!("{line}\n"),
    });
    format!("set -eu\nlombard() {{ \"$LOMBARD\" \"$@\"; }}\n{}", lines.collect::<String>())
}

fn run(platform: &Platform, arguments: &[&str]) -> String {
    let output = platform.run(arguments).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_guide_to_the_ledger_does_what_it_says() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let gateway = platform.url("gateway").unwrap();
    let output = Command::new("bash")
        .args(["-c", &script(GUIDE, &gateway)])
        .env("LOMBARD", LOMBARD)
        .env("LOMBARD_DATA_DIR", platform.data_dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("urn:lombard:error"), "something was refused: {said}");
    // 100 in, 12.50 for an order that was refunded in two parts, 43.20 captured, 20 changed into yen.
    for (path, balance) in [
        ("world", "-100.00"),
        ("customers/1/wallet", "36.80"),
        ("merchants/7", "43.20"),
        ("fx/eur", "20.00"),
        ("fx/jpy", "-3180"),
        ("customers/1/jpy", "3180"),
    ] {
        let account: serde_json::Value =
            serde_json::from_str(&run(&platform, &["account", "get", path, "--json"])).unwrap();
        assert_eq!(account["balance"]["posted"], balance, "{path}");
    }
    check_statements(&platform);
    check_explanations(&platform);
}

/// The guide has sealed one statement, of all that was there some seconds before at least.
fn check_statements(platform: &Platform) {
    let listed = run(platform, &["statement", "list", "customers/1/wallet"]);
    assert!(listed.contains("customers/1/wallet #1 "), "{listed}");
    let again = run(platform, &["statement", "get", "customers/1/wallet", "1", "--json"]);
    let statement: serde_json::Value = serde_json::from_str(&again).unwrap();
    let csv = run(platform, &["statement", "get", "customers/1/wallet", "1"]);
    let lines = statement.pointer("/lines").and_then(serde_json::Value::as_array).unwrap().len();
    assert_eq!(csv.lines().count(), lines + 1, "a head and a row for each line: {csv}");
    let xml =
        run(platform, &["statement", "get", "customers/1/wallet", "1", "--format", "camt.053"]);
    assert_eq!(xml.matches("<Ntry>").count(), lines, "{xml}");
}

fn check_explanations(platform: &Platform) {
    let said = run(platform, &["explain", "balance", "customers/1/wallet"]);
    assert!(said.starts_with("customers/1/wallet  36.80 EUR posted"), "{said}");
    assert!(said.contains("idempotency key order-1"), "{said}");
    assert!(said.contains("of client lombard-operator"), "{said}");
    let entries = run(platform, &["explain", "balance", "customers/1/wallet", "--json"]);
    let entries: serde_json::Value = serde_json::from_str(&entries).unwrap();
    let id = entries.pointer("/entries/0/transfer_id").and_then(serde_json::Value::as_str).unwrap();
    let transfer = run(platform, &["explain", "transfer", id]);
    assert!(transfer.contains("reversal, posted"), "the refund came last: {transfer}");
    assert!(transfer.contains("idempotency key refund-2"), "{transfer}");
}
