//! One role's process: started with its listening socket, waited for, started again when it dies.

use std::{
    net::TcpListener,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use command_fds::{CommandFdExt as _, FdMapping};
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
    /// The same for gRPC, of a role that speaks it; of the registry, for the clients of other registries.
    pub(crate) second_listener: Option<TcpListener>,
}

impl ChildSpec {
    pub(crate) fn spawn(&self) -> anyhow::Result<Child> {
        let mut mappings = Vec::new();
        for (child_fd, listener) in (FIRST_PASSED_FD..)
            .zip([Some(&self.listener), self.second_listener.as_ref()].into_iter().flatten())
        {
            let parent_fd: OwnedFd = listener.as_fd().try_clone_to_owned()?;
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
        match (&self.second_listener, self.role) {
            (None, role) => role.to_string(),
            (Some(_), Role::Registry) => "registry:consul".to_owned(),
            (Some(_), role) => format!("{role}:grpc"),
        }
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
