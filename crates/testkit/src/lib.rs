//! What tests of several crates need: the real program on free ports and a data directory of its own, tokens for roles in the test's
//! own process, a client for gRPC.
#![warn(missing_docs)]

pub mod grpc;
pub mod hledger;
mod issuer;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

pub use issuer::Issuer;

/// How long anything may take before a test gives up. Long, because a busy machine is no fault.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running platform: `lombard up` as a child process.
#[derive(Debug)]
pub struct Platform {
    program: PathBuf,
    place: TempDir,
    supervisor: Child,
}

impl Platform {
    /// Starts `program up` and waits until every role is ready.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        Self::start_in(program, tempfile::tempdir()?)
    }

    /// [`Platform::start`] on a directory that is there already, such as that of [`Platform::stop`].
    pub fn start_in(program: &Path, place: TempDir) -> anyhow::Result<Self> {
        Self::start_with(program, place, &[])
    }

    /// [`Platform::start_in`] with settings of the roles, by the names of their environment variables.
    pub fn start_with(
        program: &Path,
        place: TempDir,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let output = File::create(place.path().join("up.out"))?;
        let log = File::options().create(true).append(true).open(place.path().join("up.log"))?;
        let supervisor = Command::new(program)
            .args(["up", "--any-port", "--data-dir"])
            .arg(place.path().join("data"))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let mut platform = Self { program: program.to_owned(), place, supervisor };
        platform.wait_until("every role is ready", |platform| {
            let state = platform.state()?;
            let pid = state.get("supervisor_pid").and_then(Value::as_u64);
            let is_this = pid == Some(u64::from(platform.supervisor.id()));
            Ok(is_this && roles(&state)?.iter().all(is_ready))
        })?;
        platform.wait_until("the banner is printed", |platform| {
            Ok(platform.banner().contains("Ctrl-C"))
        })?;
        Ok(platform)
    }

    /// Where the platform keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// What the supervisor says about itself.
    pub fn state(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.data_dir().join("run/state.json"))?)?)
    }

    /// What `lombard up` printed.
    pub fn banner(&self) -> String {
        fs::read_to_string(self.place.path().join("up.out")).unwrap_or_default()
    }

    /// What the platform logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("up.log")).unwrap_or_default()
    }

    /// The base URL of a role.
    pub fn url(&self, role: &str) -> anyhow::Result<String> {
        let state = self.state()?;
        let address =
            find(&state, role)?.get("address").and_then(Value::as_str).context("no address")?;
        Ok(format!("http://{address}"))
    }

    /// Where a role speaks gRPC.
    pub fn grpc_address(&self, role: &str) -> anyhow::Result<String> {
        let state = self.state()?;
        let address = find(&state, role)?.get("grpc_address").and_then(Value::as_str);
        Ok(address.context("no gRPC address")?.to_owned())
    }

    /// The pid of a role that is ready; `None` while it is away.
    pub fn pid(&self, role: &str) -> anyhow::Result<Option<i32>> {
        let state = self.state()?;
        let role = find(&state, role)?;
        let pid = role.get("pid").and_then(Value::as_i64).filter(|_| is_ready(role));
        Ok(pid.and_then(|pid| i32::try_from(pid).ok()))
    }

    /// A `lombard` command against this platform, to be given arguments and run.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LOMBARD_DATA_DIR", self.data_dir()).stdin(Stdio::null());
        command
    }

    /// Runs `lombard ARGUMENTS` against this platform.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command().args(arguments).output()?)
    }

    /// Kills a role and waits until its successor is ready.
    pub fn kill(&mut self, role: &str) -> anyhow::Result<()> {
        let pid = self.pid(role)?.with_context(|| format!("{role} is away"))?;
        signal(pid, rustix::process::Signal::KILL)?;
        self.wait_until("the role is back", |platform| {
            Ok(platform.pid(role)?.is_some_and(|other| other != pid))
        })
    }

    /// Asks the platform to stop, as Ctrl-C does, and waits for it. Answers its directory.
    pub fn stop(mut self) -> anyhow::Result<TempDir> {
        signal(i32::try_from(self.supervisor.id())?, rustix::process::Signal::INT)?;
        let started = Instant::now();
        loop {
            if let Some(status) = self.supervisor.try_wait()? {
                ensure!(status.success(), "lombard up ended with {status}:\n{}", self.log());
                let empty = tempfile::tempdir()?;
                return Ok(std::mem::replace(&mut self.place, empty));
            }
            ensure!(started.elapsed() < PATIENCE, "lombard up did not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a condition; an error with the platform's log if it does not come.
    pub fn wait_until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            // What cannot be read yet is not so yet.
            if is_so(self).unwrap_or(false) {
                return Ok(());
            }
            if let Some(status) = self.supervisor.try_wait()? {
                bail!("lombard up ended with {status} before {what}:\n{}", self.log());
            }
            ensure!(started.elapsed() < PATIENCE, "gave up waiting until {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn roles(state: &Value) -> anyhow::Result<&Vec<Value>> {
    state.get("roles").and_then(Value::as_array).context("no roles")
}

fn find<'a>(state: &'a Value, role: &str) -> anyhow::Result<&'a Value> {
    let is_it = |entry: &&Value| entry.get("role").and_then(Value::as_str) == Some(role);
    roles(state)?.iter().find(is_it).with_context(|| format!("no role {role}"))
}

fn is_ready(role: &Value) -> bool {
    role.get("ready_ms").is_some_and(Value::is_u64)
}

fn signal(pid: i32, signal: rustix::process::Signal) -> anyhow::Result<()> {
    let pid = rustix::process::Pid::from_raw(pid).context("no such pid")?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

impl Drop for Platform {
    /// A test that failed leaves nothing running: the roles end with their supervisor.
    fn drop(&mut self) {
        drop(self.supervisor.kill());
        drop(self.supervisor.wait());
    }
}
