//! The example service: a program of its own, started and stopped by the tour.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::process::{Child, Command};

/// The payment service while the tour lasts.
#[derive(Debug)]
pub(super) struct Service {
    child: Child,
}

impl Service {
    pub(super) fn start(
        program: &Path,
        gateway: &str,
        client_id: &str,
        secret: &str,
    ) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .env("LOMBARD_URL", gateway)
            .env("LOMBARD_CLIENT_ID", client_id)
            .env("LOMBARD_CLIENT_SECRET", secret)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self { child })
    }

    /// An error if it has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the payment service ended with {status}"),
            None => Ok(()),
        }
    }

    /// Asks it to finish, so that it takes its registration back.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// The program of the payment service: as named, or beside this one, built from source if it is not there or old.
pub(super) async fn program(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        ensure!(named.is_file(), "{} is not a program", named.display());
        return Ok(named.to_owned());
    }
    let this = std::env::current_exe()?;
    let beside = this.with_file_name("payments");
    let source = Path::new("examples/payments/Cargo.toml");
    if !source.is_file() {
        ensure!(
            beside.is_file(),
            "the payment service is neither beside {} nor in examples/payments: run this in the folder of the source \
             code, or name the program with --service",
            this.display()
        );
        return Ok(beside);
    }
    // Not `--package payments`: that would build the dependencies again with its features alone.
    let mut build = vec!["build", "--quiet", "--bin", "payments"];
    let is_release = this.parent().is_some_and(|folder| folder.ends_with("release"));
    if is_release {
        build.push("--release");
    }
    println!("$ cargo {}", build.join(" "));
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(&build)
        .status()
        .await
        .context("failed to run cargo to build the payment service")?;
    ensure!(status.success(), "cargo {} ended with {status}", build.join(" "));
    Ok(beside)
}
