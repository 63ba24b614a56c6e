//! The rules that no compiler checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// What each crate may depend on among ours. A crate that is missing here is an error, so that a new one is thought
/// about; so is a dependency that is not listed.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("lombard-types", &[]),
    ("lombard-log", &["types"]),
    ("lombard-index", &["types"]),
    ("lombard-engine", &["types", "log"]),
    ("lombard-token", &["types"]),
    ("lombard-master-key", &[]),
    ("lombard-webauthn", &[]),
    ("lombard-chassis", &["types", "token"]),
    ("lombard-proto", &[]),
    ("lombard-grpc", &["types", "token", "chassis", "proto"]),
    ("lombard-transparency", &["types", "log", "token", "chassis"]),
    ("lombard-client", &["types", "token", "proto"]),
    ("lombard-mirror", &["types", "log", "chassis", "client"]),
    ("lombard-ledger-core", &["types"]),
    ("lombard-ledger-api", &["types", "chassis", "ledger-core"]),
    ("lombard-auth-core", &["types", "token"]),
    ("lombard-registry-core", &["types"]),
    ("lombard-eventstore-core", &["types"]),
    ("lombard-gateway-core", &["types", "token"]),
    (
        "lombard-ledger",
        &[
            "types",
            "log",
            "index",
            "engine",
            "token",
            "chassis",
            "proto",
            "grpc",
            "ledger-core",
            "ledger-api",
        ],
    ),
    (
        "lombard-query",
        &["types", "log", "index", "engine", "token", "chassis", "ledger-core", "ledger-api"],
    ),
    ("lombard-projection", &["types", "log", "engine", "token", "chassis", "ledger-core"]),
    (
        "lombard-auth",
        &["types", "log", "engine", "token", "master-key", "webauthn", "chassis", "auth-core"],
    ),
    (
        "lombard-registry",
        &["types", "log", "engine", "token", "chassis", "proto", "grpc", "registry-core"],
    ),
    (
        "lombard-eventstore",
        &[
            "types",
            "log",
            "index",
            "engine",
            "token",
            "master-key",
            "chassis",
            "proto",
            "grpc",
            "eventstore-core",
        ],
    ),
    ("lombard-gateway", &["types", "token", "chassis", "client", "proto", "grpc", "gateway-core"]),
    ("lombard-console", &["types", "token", "chassis", "client"]),
    ("lombard-simulation", &["types", "log", "engine"]),
    ("lombard-testkit", &["types", "token", "proto"]),
    ("payments", &["client"]),
    ("xtask", &[]),
];

/// What a core may not even see: whatever does input or output, or tells the time.
const NOT_IN_A_CORE: &[&str] = &[
    "tokio",
    "axum",
    "hyper",
    "reqwest",
    "rand",
    "rustix",
    "tracing",
    "parking_lot",
    "serde",
    "serde_json",
];

pub(crate) fn check() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    check_dependencies(&mut faults)?;
    check_error_pages(&mut faults)?;
    check_payments_csv(&mut faults)?;
    check_sizes(&mut faults)?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!("untidy:\n  {}", faults.join("\n  "));
}

fn check_dependencies(faults: &mut Vec<String>) -> anyhow::Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()
        .context("failed to run cargo metadata")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata said no JSON")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let names: BTreeSet<&str> =
        packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let rules: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.iter().copied().collect();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        // The binary chooses what runs: it may depend on everything.
        if name == "lombard" {
            continue;
        }
        let Some(allowed) = rules.get(name) else {
            faults.push(format!("{name}: say in xtask/src/tidy.rs what it may depend on"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            let is_for_tests = dependency["kind"].as_str() == Some("dev");
            let short = target.strip_prefix("lombard-").unwrap_or(target);
            if names.contains(target) && !is_for_tests && !allowed.contains(&short) {
                faults.push(format!("{name} must not depend on {target}"));
            }
            if name.ends_with("-core") && !is_for_tests && NOT_IN_A_CORE.contains(&target) {
                faults.push(format!("{name} is a core and must not see {target}"));
            }
        }
    }
    Ok(())
}

/// Every problem type in a role's table has a page that explains it, and every page a problem type.
fn check_error_pages(faults: &mut Vec<String>) -> anyhow::Result<()> {
    let mut defined = BTreeSet::new();
    for file in rust_files(Path::new("crates"))? {
        let text = std::fs::read_to_string(&file)?;
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for rest in flat.split("ProblemType::new(").skip(1) {
            if let Some(slug) = rest
                .split('"')
                .nth(1)
                .filter(|_| rest.starts_with(|c: char| c.is_ascii_digit() || c == ' '))
            {
                defined.insert(slug.to_owned());
            }
        }
    }
    let mut explained = BTreeSet::new();
    for entry in std::fs::read_dir("docs/errors")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            explained.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    for slug in defined.difference(&explained) {
        faults.push(format!("docs/errors/{slug}.md is missing"));
    }
    for slug in explained.difference(&defined) {
        faults.push(format!("docs/errors/{slug}.md explains an error that nothing answers"));
    }
    Ok(())
}

fn check_payments_csv(faults: &mut Vec<String>) -> anyhow::Result<()> {
    if std::fs::read_to_string("examples/data/payments.csv")? != crate::payments::csv() {
        faults.push(
            "examples/data/payments.csv is not what `cargo xtask payments-csv` writes".to_owned(),
        );
    }
    Ok(())
}

/// The largest file that is kept, in bytes: what is larger is data, and made by a program that is kept instead.
const FILE_BYTES_MAX: u64 = 400_000;
/// What all inputs kept for the fuzzer may take together, in bytes.
const CORPUS_BYTES_MAX: u64 = 300_000;

fn check_sizes(faults: &mut Vec<String>) -> anyhow::Result<()> {
    let output = Command::new("git").args(["ls-files", "-z"]).output();
    // Without git, as in a source archive, there is nothing that could be committed.
    let Ok(output) = output else { return Ok(()) };
    let mut corpus_bytes = 0;
    for file in String::from_utf8(output.stdout)?.split('\0') {
        let Ok(metadata) = std::fs::metadata(file) else { continue };
        if metadata.len() > FILE_BYTES_MAX {
            faults.push(format!("{file} is over {FILE_BYTES_MAX} bytes: keep what makes it"));
        }
        if file.starts_with("fuzz/corpus/") {
            corpus_bytes += metadata.len();
        }
    }
    if corpus_bytes > CORPUS_BYTES_MAX {
        faults.push(format!("fuzz/corpus is over {CORPUS_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
