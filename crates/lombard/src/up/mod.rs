//! `lombard up`: the supervisor. Binds every listening socket, starts one process a role, starts dead ones again,
//! and stops them in order.

pub(crate) mod child;
pub(crate) mod first_start;
mod report;
pub(crate) mod run_state;

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lombard_chassis::{
    CancellationToken, config, drain,
    listen::{self, ListenError, Socket},
    telemetry,
};
use parking_lot::Mutex;
use tokio::{process::Child, task::JoinSet};

use self::{
    child::{Backoff, ChildSpec},
    run_state::{RoleState, RunState},
};
use crate::{
    cli::{Part, UpArguments},
    data_directory::DataDirectory,
    role::{Addresses, OptionalAddress, Role, RoleAddress},
};

/// How long all roles together may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a role may take to stop after it was asked to, before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// What the supervisor's tasks share.
#[derive(Debug)]
struct Shared {
    directory: DataDirectory,
    state: Mutex<RunState>,
}

impl Shared {
    fn update(&self, role: Role, change: impl FnOnce(&mut RoleState)) {
        let mut state = self.state.lock();
        if let Some(entry) = state.roles.iter_mut().find(|entry| entry.role == role) {
            change(entry);
        }
        if let Err(error) = state.write(&self.directory) {
            tracing::warn!(error = format!("{error:#}"), "failed to write the run state");
        }
    }
}

pub(crate) async fn run(arguments: UpArguments) -> anyhow::Result<()> {
    let started = Instant::now();
    telemetry::init("supervisor", arguments.common.log_format(), &arguments.common.log);
    let directory = DataDirectory::open_or_create(&arguments.common.data_dir)?;
    let _lock = directory.lock()?;
    let drain = drain::on_signal().context("failed to listen for signals")?;

    let query: lombard_query::Config =
        config::load("query", arguments.common.config.as_deref(), serde_json::json!({}))?;
    let has_query = query.separate || arguments.with.contains(&Part::Query);
    let gateway = lombard_gateway::Config::load(arguments.common.config.as_deref())?;
    let auth: lombard_auth::Config =
        config::load(Role::Auth.name(), arguments.common.config.as_deref(), serde_json::json!({}))?;
    let with_tls = WithTls { gateway: gateway.tls_listen, auth: auth.mtls.listen };
    let sockets = bind_all(&arguments, has_query, with_tls)?;
    let bound: Vec<RoleAddress> = sockets.iter().map(|sockets| sockets.bound).collect();
    let addresses = Addresses::with(&bound);
    let issuer = arguments.common.issuer.clone().unwrap_or_else(|| addresses.url(Role::Gateway));
    let administrator = first_start::prepare(&directory)?;

    let state = RunState {
        supervisor_pid: std::process::id(),
        issuer: issuer.clone(),
        roles: sockets
            .iter()
            .map(|sockets| RoleState {
                role: sockets.bound.role,
                address: sockets.bound.address,
                grpc_address: sockets.address_of("grpc"),
                consul_address: sockets.address_of("consul"),
                dns_address: sockets.address_of("dns"),
                tls_address: sockets.address_of("tls"),
                pid: None,
                ready_ms: None,
                restart_count: 0,
            })
            .collect(),
    };
    let shared = Arc::new(Shared { directory: directory.clone(), state: Mutex::new(state) });

    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let child_arguments = child_arguments(&arguments, &directory, &issuer, &bound);
    let stop_gateway = CancellationToken::new();
    let stop_others = CancellationToken::new();
    let mut gateway = JoinSet::new();
    let mut others = JoinSet::new();
    for Sockets { bound: RoleAddress { role, .. }, listener, others: passed } in sockets {
        let spec = ChildSpec {
            role,
            program: program.clone(),
            arguments: child_arguments.clone(),
            settings: if has_query {
                vec![("LOMBARD_QUERY__SEPARATE", "true")]
            } else {
                Vec::new()
            },
            listener,
            others: passed.into_iter().map(|other| (other.name, other.socket)).collect(),
        };
        let (tasks, stop) = match role {
            Role::Gateway => (&mut gateway, stop_gateway.clone()),
            _ => (&mut others, stop_others.clone()),
        };
        tasks.spawn(keep_running(spec, Arc::clone(&shared), stop));
    }

    tokio::select! {
        ready = all_ready(&shared) => {
            let state = shared.state.lock().clone();
            report::ready(&state, &directory, started.elapsed(), administrator.as_ref());
            if ready.is_err() {
                tracing::warn!("not every role is ready yet: see `lombard status`");
            }
            drain.cancelled().await;
        }
        () = drain.cancelled() => {}
    }

    tracing::info!("stopping: the gateway first, so that what is under way can finish");
    stop_gateway.cancel();
    while gateway.join_next().await.is_some() {}
    stop_others.cancel();
    while others.join_next().await.is_some() {}
    tracing::info!("stopped");
    Ok(())
}

/// What one role listens on.
struct Sockets {
    bound: RoleAddress,
    listener: TcpListener,
    others: Vec<Other>,
}

/// A socket for another protocol than HTTP, by the name under which the role takes it over.
struct Other {
    name: &'static str,
    address: SocketAddr,
    socket: Socket,
}

impl Sockets {
    fn address_of(&self, name: &str) -> Option<SocketAddr> {
        self.others.iter().find(|other| other.name == name).map(|other| other.address)
    }
}

/// Where roles listen with TLS, if they do.
#[derive(Clone, Copy)]
struct WithTls {
    gateway: Option<SocketAddr>,
    auth: Option<SocketAddr>,
}

/// Binds every role's sockets before anything starts, and reports all ports that are taken at once.
fn bind_all(
    arguments: &UpArguments,
    has_query: bool,
    tls: WithTls,
) -> anyhow::Result<Vec<Sockets>> {
    let wanted = Addresses::with(&arguments.common.listen);
    let mut sockets = Vec::new();
    let mut mistakes = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| has_query || *role != Role::Query) {
        let mut note = |error: ListenError| {
            mistakes.push(format!("{role}: {:#}", anyhow::Error::new(error)));
        };
        let address = arguments.port(wanted.of(role));
        let setting = format!("--listen {role}={}:PORT", address.ip());
        let listener = listen::bind(address, &setting, arguments.common.insecure);
        let listener = listener.map_err(&mut note);
        let others = bind_others(arguments, role, tls).map_err(&mut note);
        let (Ok(listener), Ok(others)) = (listener, others) else { continue };
        let bound = RoleAddress { role, address: listener.local_addr()? };
        sockets.push(Sockets { bound, listener, others });
    }
    anyhow::ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    Ok(sockets)
}

/// Binds what a role listens on beside HTTP.
fn bind_others(
    arguments: &UpArguments,
    role: Role,
    tls: WithTls,
) -> Result<Vec<Other>, ListenError> {
    let common = &arguments.common;
    let mut others = Vec::new();
    let mut add = |name, address, socket| others.push(Other { name, address, socket });
    if let Some(address) = role.grpc_address(&common.grpc_listen) {
        let address = arguments.port(address);
        let setting = format!("--grpc-listen {role}={}:PORT", address.ip());
        let listener = listen::bind(address, &setting, common.insecure)?;
        add("grpc", bound(&listener, address)?, Socket::Tcp(listener));
    }
    let of_role = match role {
        Role::Gateway => tls.gateway.map(|address| (address, "tls_listen of [gateway]")),
        Role::Auth => tls.auth.map(|address| (address, "listen of [auth.mtls]")),
        _ => None,
    };
    if let Some((address, setting)) = of_role {
        let address = arguments.port(address);
        // Nothing crosses the network in clear text there.
        let listener = listen::bind(address, setting, true)?;
        add("tls", bound(&listener, address)?, Socket::Tcp(listener));
    }
    if role != Role::Registry {
        return Ok(others);
    }
    if let Some(address) = common.consul_listen.unwrap_or(OptionalAddress::CONSUL).address() {
        let address = arguments.port(address);
        let setting = format!("--consul-listen {}:PORT, or --consul-listen off", address.ip());
        let listener = listen::bind(address, &setting, common.insecure)?;
        add("consul", bound(&listener, address)?, Socket::Tcp(listener));
    }
    if let Some(address) = common.dns_listen.unwrap_or(OptionalAddress::DNS).address() {
        let address = arguments.port(address);
        let setting = format!("--dns-listen {}:PORT, or --dns-listen off", address.ip());
        let (listener, socket) = listen::bind_both(address, &setting, common.insecure)?;
        let address = bound(&listener, address)?;
        add("dns", address, Socket::Tcp(listener));
        add("dns", address, Socket::Udp(socket));
    }
    Ok(others)
}

/// Where it listens, with the port that the system may have chosen.
fn bound(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, ListenError> {
    listener.local_addr().map_err(|source| ListenError::Bind { address, source })
}

/// What every role is told on its command line.
fn child_arguments(
    arguments: &UpArguments,
    directory: &DataDirectory,
    issuer: &str,
    bound: &[RoleAddress],
) -> Vec<String> {
    let mut child_arguments = vec![
        "--data-dir".to_owned(),
        directory.path().display().to_string(),
        "--issuer".to_owned(),
        issuer.to_owned(),
        "--log".to_owned(),
        arguments.common.log.clone(),
    ];
    for address in bound {
        child_arguments.extend(["--listen".to_owned(), address.to_string()]);
    }
    if let Some(config) = &arguments.common.config {
        let config: PathBuf = std::path::absolute(config).unwrap_or_else(|_| config.clone());
        child_arguments.extend(["--config".to_owned(), config.display().to_string()]);
    }
    if arguments.common.log_json {
        child_arguments.push("--log-json".to_owned());
    }
    if arguments.common.insecure {
        child_arguments.push("--insecure".to_owned());
    }
    child_arguments
}

/// Runs one role until it is told to stop; starts it again whenever it ends by itself.
async fn keep_running(spec: ChildSpec, shared: Arc<Shared>, stop: CancellationToken) {
    let role = spec.role;
    let mut backoff = Backoff::default();
    loop {
        let started = Instant::now();
        let mut child = match spec.spawn() {
            Ok(child) => child,
            Err(error) => {
                tracing::error!(%role, error = format!("{error:#}"), "failed to start");
                if wait(&stop, backoff.after(false, Duration::ZERO)).await.is_stopped() {
                    return;
                }
                continue;
            }
        };
        shared.update(role, |entry| {
            entry.pid = child.id();
            entry.ready_ms = None;
        });
        let watching = tokio::spawn(note_ready(role, Arc::clone(&shared), started));
        let ended = tokio::select! {
            status = child.wait() => status,
            () = stop.cancelled() => {
                watching.abort();
                terminate(role, &mut child).await;
                return;
            }
        };
        watching.abort();
        let mut was_ready = false;
        shared.update(role, |entry| {
            was_ready = entry.ready_ms.is_some();
            entry.pid = None;
            entry.ready_ms = None;
            entry.restart_count += 1;
        });
        let pause = backoff.after(was_ready, started.elapsed());
        let cause = ended.map_or_else(|error| error.to_string(), child::describe);
        tracing::warn!(%role, cause, pause = ?pause, "ended; starting it again");
        if wait(&stop, pause).await.is_stopped() {
            return;
        }
    }
}

enum Waited {
    Elapsed,
    Stopped,
}

impl Waited {
    fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

async fn wait(stop: &CancellationToken, pause: Duration) -> Waited {
    tokio::select! {
        () = stop.cancelled() => Waited::Stopped,
        () = tokio::time::sleep(pause) => Waited::Elapsed,
    }
}

/// Asks a role to finish and stop; kills it if it does not.
async fn terminate(role: Role, child: &mut Child) {
    let pid =
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
    {
        tracing::warn!(%role, %error, "failed to ask it to stop");
    }
    if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
        tracing::warn!(%role, "did not stop in time: killed");
        if let Err(error) = child.kill().await {
            tracing::warn!(%role, %error, "failed to kill it");
        }
    }
}

/// Asks the role until it says that it is ready, and notes how long that took.
async fn note_ready(role: Role, shared: Arc<Shared>, started: Instant) {
    let Some(address) = shared.state.lock().role(role).map(|entry| entry.address) else { return };
    let url = format!("http://{address}/readyz");
    let client = reqwest::Client::new();
    loop {
        let asked = client.get(&url).timeout(Duration::from_secs(5)).send().await;
        if asked.is_ok_and(|answer| answer.status().is_success()) {
            let ready_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            shared.update(role, |entry| entry.ready_ms = Some(ready_ms));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn all_ready(shared: &Shared) -> Result<(), tokio::time::error::Elapsed> {
    let ready = async {
        while !shared.state.lock().roles.iter().all(|entry| entry.ready_ms.is_some()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(READY_WITHIN, ready).await
}
