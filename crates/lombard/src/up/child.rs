//! One role's process: started with its listening socket, waited for, started again when it dies.

use std::{
    net::TcpListener,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use command_fds::{CommandFdExt as _, FdMapping};
use lombard_chassis::listen::Socket;
use tokio::process::{Child, Command};

use crate::role::Role;

/// Where socket activation passes the first socket; the others follow.
const FIRST_PASSED_FD: i32 = 3;

/// What it takes to start a role.
#[derive(Debug)]
pub(crate) struct ChildSpec {
    pub(crate) role: Role,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Settings that go before those of the file.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    /// Held here, so that connections made while the role is away wait instead of being refused.
    pub(crate) listener: TcpListener,
    /// The same for other protocols that the role speaks, by the names under which it takes them over.
    pub(crate) others: Vec<(&'static str, Socket)>,
}

impl ChildSpec {
    pub(crate) fn spawn(&self) -> anyhow::Result<Child> {
        let mut mappings = Vec::new();
        let others = self.others.iter().map(|(_, socket)| socket.as_fd());
        for (child_fd, socket) in
            (FIRST_PASSED_FD..).zip([self.listener.as_fd()].into_iter().chain(others))
        {
            let parent_fd: OwnedFd = socket.try_clone_to_owned()?;
            mappings.push(FdMapping { parent_fd, child_fd });
        }
        let mut command = Command::new(&self.program);
        command
            .arg(self.role.name())
            .args(&self.arguments)
            .env("LISTEN_FDS", mappings.len().to_string())
            .env_remove("LISTEN_PID")
            .env("LISTEN_FDNAMES", self.socket_names())
            .env("LOMBARD_SUPERVISED", "1")
            .envs(self.settings.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            // A group of its own: Ctrl-C reaches the supervisor alone, which then drains the roles in order.
            .process_group(0);
        command.as_std_mut().fd_mappings(mappings).map_err(|error| {
            anyhow::anyhow!("failed to pass the socket of {}: {error}", self.role)
        })?;
        command.spawn().with_context(|| format!("failed to start {}", self.role))
    }

    fn socket_names(&self) -> String {
        let others = self.others.iter().map(|(name, _)| *name);
        [self.role.name()].into_iter().chain(others).collect::<Vec<_>>().join(":")
    }
}

/// How long to wait before starting a role again.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Deaths before the role became ready, one after the other.
    failed_starts: u32,
}

impl Backoff {
    /// A role that lived this long once it was ready is started again without a pause.
    const HEALTHY_LIFE: Duration = Duration::from_secs(1);
    const WAIT_MIN: Duration = Duration::from_millis(100);
    const WAIT_MAX: Duration = Duration::from_secs(5);

    /// The wait after a process that lived for `life`. A role that had been ready did not die of its start-up, so it is
    /// started again at once, or after 100 ms if that was quick; one that had not waits 100 ms doubling to 5 s.
    pub(crate) fn after(&mut self, was_ready: bool, life: Duration) -> Duration {
        if was_ready {
            self.failed_starts = 0;
            return if life < Self::HEALTHY_LIFE { Self::WAIT_MIN } else { Duration::ZERO };
        }
        let doublings = self.failed_starts.min(6);
        self.failed_starts = self.failed_starts.saturating_add(1);
        (Self::WAIT_MIN * 2u32.pow(doublings)).min(Self::WAIT_MAX)
    }
}

/// How a process ended, in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_recovers() {
        let mut backoff = Backoff::default();
        let quick = Duration::from_millis(5);
        let waits: Vec<_> = (0..8).map(|_| backoff.after(false, quick).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.after(true, Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(backoff.after(true, quick), Backoff::WAIT_MIN);
        assert_eq!(backoff.after(false, quick), Backoff::WAIT_MIN);
    }
}
