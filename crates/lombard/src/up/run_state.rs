//! What runs now, written for the other commands (`lombard status`, `lombard tour`).

use std::net::SocketAddr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    data_directory::{DataDirectory, write_private},
    role::Role,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunState {
    pub(crate) supervisor_pid: u32,
    /// The public URL, which is also the token issuer.
    pub(crate) issuer: String,
    pub(crate) roles: Vec<RoleState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleState {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
    /// Where it listens for gRPC, where it speaks it.
    #[serde(default)]
    pub(crate) grpc_address: Option<SocketAddr>,
    /// Where it listens for Consul's clients, if it does.
    #[serde(default)]
    pub(crate) consul_address: Option<SocketAddr>,
    /// Where it answers by DNS, if it does.
    #[serde(default)]
    pub(crate) dns_address: Option<SocketAddr>,
    /// Where it listens with TLS, if it does.
    #[serde(default)]
    pub(crate) tls_address: Option<SocketAddr>,
    /// `None` between a death and the restart.
    pub(crate) pid: Option<u32>,
    /// From the process's start to its first ready answer.
    pub(crate) ready_ms: Option<u64>,
    pub(crate) restart_count: u64,
}

impl RunState {
    pub(crate) fn write(&self, directory: &DataDirectory) -> anyhow::Result<()> {
        let path = directory.run_state();
        let text = serde_json::to_vec_pretty(self)?;
        write_private(&path, &text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// The state that the running supervisor wrote.
    pub(crate) fn read(directory: &DataDirectory) -> anyhow::Result<Self> {
        let path = directory.run_state();
        let not_running = || {
            format!(
                "no platform runs on {}: start it with `lombard up`",
                directory.path().display()
            )
        };
        let text = std::fs::read(&path).with_context(not_running)?;
        let state: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not readable", path.display()))?;
        anyhow::ensure!(directory.lock().is_err(), not_running());
        Ok(state)
    }

    pub(crate) fn role(&self, role: Role) -> Option<&RoleState> {
        self.roles.iter().find(|state| state.role == role)
    }
}
