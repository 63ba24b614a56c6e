//! `cargo xtask fuzz`: everything that reads bytes from outside, for a while.
//!
//! The targets are built with LLVM's coverage instrumentation, which the stable compiler has behind `-C` flags, and
//! linked to libFuzzer. Each starts from its kept corpus, in `fuzz/corpus`; what it finds beside it stays in `target`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// Must fail, or the fuzzer finds nothing.
const CANARY: &str = "canary";
/// How long the canary may take to be found.
const CANARY_SECONDS: u32 = 60;
const OUTPUT: &str = "target/fuzz";

const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Runs `only`, or every target, for `seconds` each; then the canary, which has to be found.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> anyhow::Result<()> {
    let programs = build()?;
    let mut targets = targets()?;
    if let Some(only) = only {
        targets.retain(|target| target == only);
        if targets.is_empty() {
            bail!("no target is called {only}");
        }
    }
    for target in targets.iter().filter(|target| *target != CANARY) {
        println!("    fuzz {target}, {seconds} s");
        if let Found::Failure(output) = fuzz(&programs, target, seconds)? {
            println!("{output}");
            bail!(
                "fuzz {target}: it failed; the input is in {OUTPUT}/artifacts, and `cargo xtask fuzz-input {target} FILE` runs it again"
            );
        }
    }
    if only.is_none_or(|only| only == CANARY) {
        println!("    fuzz {CANARY}, which must be found");
        if let Found::Nothing = fuzz(&programs, CANARY, CANARY_SECONDS)? {
            bail!("fuzz {CANARY}: it was not found, so nothing else would have been");
        }
    }
    Ok(())
}

/// Runs one input of one target.
pub(crate) fn run_input(target: &str, input: &str) -> anyhow::Result<()> {
    let status = Command::new(build()?.join(target)).arg(input).status()?;
    if !status.success() {
        bail!("{target} failed on {input}");
    }
    Ok(())
}

enum Found {
    Nothing,
    Failure(String),
}

fn fuzz(programs: &Path, target: &str, seconds: u32) -> anyhow::Result<Found> {
    let found = PathBuf::from(OUTPUT).join("corpus").join(target);
    let artifacts = PathBuf::from(OUTPUT).join("artifacts");
    std::fs::create_dir_all(&found)?;
    std::fs::create_dir_all(&artifacts)?;
    let output = Command::new(programs.join(target))
        // The first is where new inputs go.
        .args([&found, &Path::new("fuzz/corpus").join(target)])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{target}-", artifacts.display()))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=0"])
        .output()
        .with_context(|| format!("failed to run {target}"))?;
    if output.status.success() {
        return Ok(Found::Nothing);
    }
    Ok(Found::Failure(String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn targets() -> anyhow::Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in std::fs::read_dir("fuzz/targets")? {
        let path = entry?.path();
        targets.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}

/// Builds all targets and answers where they are.
fn build() -> anyhow::Result<PathBuf> {
    let host = host()?;
    let root = std::env::current_dir()?;
    let target_directory = root.join(OUTPUT).join("build");
    // The product's versions of everything, whatever there was before; cargo adds what only the targets need.
    std::fs::copy("Cargo.lock", "fuzz/Cargo.lock")?;
    let status = Command::new("cargo")
        .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"])
        // With a target named, what runs while building is not instrumented.
        .args(["--target", &host])
        .env("CARGO_TARGET_DIR", &target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"))
        .status()
        .context("failed to run cargo")?;
    if !status.success() {
        bail!("the fuzz targets do not build");
    }
    Ok(target_directory.join(host).join("release"))
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("failed to run rustc")?;
    let text = String::from_utf8(output.stdout).context("rustc said no text")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc named no host")?.to_owned())
}
