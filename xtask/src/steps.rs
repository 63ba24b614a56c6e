//! The steps of `cargo xtask test`, each a command that anybody can run by hand.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{clients, fuzz, tidy};

pub(crate) fn all() -> anyhow::Result<()> {
    type Step = (&'static str, fn() -> anyhow::Result<()>);
    let steps: [Step; 6] = [
        ("format", format),
        ("tidy", tidy::check),
        ("lint", lint),
        ("unit and integration", unit),
        ("clients", clients::run),
        ("fuzz", fuzz),
    ];
    let mut times = Vec::new();
    for (name, step) in steps {
        println!("==> {name}");
        let started = Instant::now();
        step().with_context(|| format!("failed: {name}"))?;
        times.push((name, started.elapsed()));
    }
    println!("==> all passed");
    for (name, time) in times {
        println!("    {name:<22} {:>7.1} s", seconds(time));
    }
    Ok(())
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

pub(crate) fn format() -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--check"])
}

pub(crate) fn lint() -> anyhow::Result<()> {
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

/// Programs that tests start, and the tests. All at once, since tests ask for more features of what everything stands on: apart,
/// nearly everything would be compiled twice.
pub(crate) fn build() -> anyhow::Result<()> {
    cargo(&["build", "--workspace", "--bins", "--examples", "--tests", "--locked"])
}

/// Programs are built first: a test binary does not build another package's program.
pub(crate) fn unit() -> anyhow::Result<()> {
    build()?;
    let has_nextest = Command::new("cargo")
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if has_nextest {
        cargo(&["test", "--workspace", "--doc", "--locked", "--quiet"])?;
        cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
    } else {
        cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
    }
}

/// Long enough to try the kept corpora and what is near them; a night is better.
pub(crate) fn fuzz() -> anyhow::Result<()> {
    fuzz::run(5, None)
}

/// Writes the data directory that later versions must open, below `crates/lombard/tests/fixtures`.
pub(crate) fn fixture() -> anyhow::Result<()> {
    cargo(&["test", "-p", "lombard", "--test", "upgrade", "--locked", "--", "--ignored"])
}

/// The event store's and the ledger's roles from this many seeds, one after the other, with all assertions: about a second
/// each.
pub(crate) fn simulate(seeds: &str) -> anyhow::Result<()> {
    let _: u64 = seeds.parse().context("--seeds takes a number")?;
    for role in ["lombard-eventstore", "lombard-ledger"] {
        let arguments = ["test", "-p", role, "--lib", "--locked", "--"];
        let test = "simulation::tests::seeds_keep_every_promise";
        println!("    LOMBARD_SEEDS={seeds} cargo {} {test}", arguments.join(" "));
        let status = Command::new("cargo")
            .args(arguments)
            .args([test, "--nocapture"])
            .env("LOMBARD_SEEDS", seeds)
            .status()
            .context("failed to run cargo")?;
        if !status.success() {
            bail!("the simulation of {role} ended with {status}");
        }
    }
    Ok(())
}

/// The ledger beside its reference model.
pub(crate) fn model(operations: &str) -> anyhow::Result<()> {
    let _: u64 = operations.parse().context("--operations takes a number")?;
    let arguments =
        ["test", "--release", "-p", "lombard-ledger-core", "--test", "scale", "--locked", "--"];
    println!("    LOMBARD_OPERATIONS={operations} cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .arg("--nocapture")
        .env("LOMBARD_OPERATIONS", operations)
        .status()
        .context("failed to run cargo")?;
    if !status.success() {
        bail!("the comparison with the model ended with {status}");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    println!("    cargo {}", arguments.join(" "));
    let status = Command::new("cargo").args(arguments).status().context("failed to run cargo")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}
