//! `cargo xtask clients`: programs in other languages against the real binary. The TypeScript SDK, and clients of other
//! registries, of OAuth and of OpenID Connect, unmodified.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::steps;

const SDK: &str = "sdks/typescript";
const CLIENTS: [&str; 2] = ["crates/registry/tests/clients", "crates/auth/tests/clients"];
/// Nothing here takes nearly as long; a test that hangs must end.
const TEST_TIMEOUT: &str = "--test-timeout=180000";

pub(crate) fn run() -> anyhow::Result<()> {
    steps::build()?;
    sdk()?;
    CLIENTS.into_iter().try_for_each(clients)
}

/// Types are checked by the compiler that also makes what is tested.
fn sdk() -> anyhow::Result<()> {
    install(SDK)?;
    run_program(Command::new("npx").args(["--no-install", "tsc", "-p", "."]).current_dir(SDK))?;
    node_tests(SDK, "test", Path::new("python3"))
}

fn clients(folder: &str) -> anyhow::Result<()> {
    install(folder)?;
    let python = python(folder)?;
    node_tests(folder, ".", &python)
}

fn install(folder: &str) -> anyhow::Result<()> {
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    run_program(Command::new("npm").args(arguments).current_dir(folder))
}

/// An interpreter that has the clients written in Python.
fn python(folder: &str) -> anyhow::Result<PathBuf> {
    let place = std::env::current_dir()?.join("target/python").join(folder);
    run_program(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    let python = place.join("bin/python");
    let requirements = Path::new(folder).join("requirements.txt");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run_program(Command::new(&python).args(install).arg(requirements))?;
    Ok(python)
}

fn node_tests(folder: &str, tests: &str, python: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(Path::new(folder).join(tests))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.mjs") {
            files.push(Path::new(tests).join(name));
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("{folder}/{tests} has no tests");
    }
    run_program(
        Command::new("node")
            .args(["--test", TEST_TIMEOUT])
            .args(files)
            .env("LOMBARD", program()?)
            .env("PYTHON", python)
            .current_dir(folder),
    )
}

/// The binary that cargo has built.
fn program() -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    std::path::absolute(target.join("debug/lombard")).context("no such path")
}

fn run_program(command: &mut Command) -> anyhow::Result<()> {
    println!("    {command:?}");
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
