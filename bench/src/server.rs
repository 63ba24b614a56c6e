//! Servers in processes of their own, so that their CPU time is theirs alone: this program, started again.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use lombard_chassis::{CancellationToken, ServerLimits};
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog, disk::Real, merkle::MerkleFollower};
use lombard_token::{Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier};
use lombard_types::Timestamp;

use crate::{Book, Cpu, Store};

/// The environment variable that makes this program a server: its value is the server's name.
const SERVE: &str = "LOMBARD_BENCH_SERVE";
const DIRECTORY: &str = "LOMBARD_BENCH_DIRECTORY";
const ISSUER: &str = "http://bench";
const ACCOUNTS: &str = "LOMBARD_BENCH_ACCOUNTS";

/// A server that runs, and ends with this.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
    /// Where Lombard listens for HTTP.
    pub http_address: String,
    /// What to call it with; empty where it asks for nothing.
    pub token: String,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts this program again as the server `name`, on an empty directory below `directory`.
    pub fn start(name: &str, directory: &Path) -> anyhow::Result<Self> {
        Self::start_with(Command::new(std::env::current_exe()?), name, directory, 0)
    }

    /// Starts the ledger with so many open accounts, from 1 on.
    pub fn start_ledger(directory: &Path, accounts: u64) -> anyhow::Result<Self> {
        Self::start_with(Command::new(std::env::current_exe()?), "ledger", directory, accounts)
    }

    /// Starts the registry on a core of its own. `address` is where other registries' clients are served.
    pub fn start_registry(directory: &Path) -> anyhow::Result<Self> {
        let mut command = on_core(SERVER_CORE);
        command.arg(std::env::current_exe()?);
        Self::start_with(command, "registry", directory, 0)
    }

    fn start_with(
        mut command: Command,
        name: &str,
        directory: &Path,
        accounts: u64,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(directory)?;
        let mut child = command
            .env(SERVE, name)
            .env(DIRECTORY, directory.path())
            .env(ACCOUNTS, accounts.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().context("the server ended")??;
            if let Some(address) = line.strip_prefix("address ") {
                break address.to_owned();
            }
        };
        let mut said = |name: &str| -> anyhow::Result<String> {
            let line = lines.next().context("the server ended")??;
            Ok(line.strip_prefix(name).with_context(|| format!("no {name}"))?.to_owned())
        };
        let (http_address, token) = (said("http ")?, said("token ")?);
        // Whatever else it says is not read, but must not fill the pipe either.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self { child, address, http_address, token, _directory: directory };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Its CPU time.
    pub fn cpu(&self) -> Cpu {
        Cpu::Tree(self.child.id())
    }

    /// Its memory, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        resident_mib(self.child.id())
    }

    fn wait_until_it_listens(&self) -> anyhow::Result<()> {
        for _ in 0..1000 {
            if std::net::TcpStream::connect(&self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("nobody listens on {}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The core that a server has to itself, and the one that is left to who asks it.
const SERVER_CORE: usize = 0;
const OWN_CORE: usize = 1;

/// `taskset`, to be given a program that runs on one core.
pub(crate) fn on_core(core: usize) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string());
    command
}

/// A peer's program on the core that servers have.
pub(crate) fn peer(program: &str) -> Command {
    let mut command = on_core(SERVER_CORE);
    command.arg(program);
    command
}

/// Keeps this process off the core of the servers, with all threads that it starts from now on.
pub fn leave_core_to_servers() -> anyhow::Result<()> {
    let id = std::process::id().to_string();
    let core = OWN_CORE.to_string();
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &core, &id])
        .stdout(Stdio::null())
        .status()
        .context("failed to run taskset (Debian: util-linux)")?;
    anyhow::ensure!(status.success(), "taskset ended with {status}");
    Ok(())
}

/// The memory of a process, in MiB.
pub(crate) fn resident_mib(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?;
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}

/// Becomes a server where the environment says so; call it first of all. `others` starts the peers by name, given a
/// directory and an address.
pub fn serve_if_asked(
    others: impl FnOnce(&str, &Path, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Ok(name) = std::env::var(SERVE) else { return Ok(()) };
    let directory = std::env::var_os(DIRECTORY).context("no directory")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let directory = Path::new(&directory);
    match name.as_str() {
        "lombard" => {
            let http = TcpListener::bind("127.0.0.1:0")?;
            println!("address {address}\nhttp {}", http.local_addr()?);
            event_store(directory, listener, http)?;
        }
        "registry" => registry(directory, listener)?,
        "ledger" => ledger(directory, listener, std::env::var(ACCOUNTS)?.parse()?)?,
        name => {
            // Whoever connects now must not be taken for the peer's client.
            drop(listener);
            println!("address {address}\nhttp \ntoken ");
            others(name, directory, &address)?;
        }
    }
    std::process::exit(0);
}

struct OneKey(Jwks);

impl KeySource for OneKey {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        let jwks = self.0.clone();
        Box::pin(async { Ok(jwks) })
    }
}

/// Who verifies tokens for a role, and a token for it.
fn verifier(role: &str, scope: &str) -> anyhow::Result<(Verifier, String)> {
    let audience = format!("{ISSUER}/v1/{role}");
    let key = SigningKey::generate()?;
    let now = SystemTime::now();
    let claims = Claims {
        issuer: ISSUER.into(),
        subject: "bench".into(),
        audience: audience.as_str().into(),
        client_id: "bench".into(),
        scope: scope.parse()?,
        token_id: "bench".into(),
        issued_at: Timestamp::from_system_time(now),
        expires_at: Timestamp::from_system_time(now + Duration::from_secs(3600)),
        ..Claims::default()
    };
    let token = claims.sign(&key)?;
    let jwks = Jwks { keys: vec![key.public_jwk().clone()] };
    Ok((Verifier::new(ISSUER, audience, Arc::new(OneKey(jwks))), token))
}

/// The event store's servers as its role runs them: one runtime thread, tokens verified, Merkle tree behind the log.
fn event_store(directory: &Path, listener: TcpListener, http: TcpListener) -> anyhow::Result<()> {
    let (verifier, token) = verifier("eventstore", "events:append events:read")?;
    println!("token {token}");
    let store = Store::open_for(directory, verifier.clone())?;
    let (routes, limits) = (store.role().grpc_routes(), store.role().grpc_limits());
    let server = grpc_server(routes, limits, verifier);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listener, server, http, store.role().router()))
}

/// The ledger's servers as its role runs them, without the read side. They say where they are when the accounts are open.
fn ledger(directory: &Path, listener: TcpListener, accounts: u64) -> anyhow::Result<()> {
    let (verifier, token) = verifier("ledger", "ledger:write ledger:read")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let book = Book::open_for(directory, accounts, verifier.clone()).await?;
        let (routes, limits) = (book.role().grpc_routes(), book.role().grpc_limits());
        let http = TcpListener::bind("127.0.0.1:0")?;
        println!("address {}", listener.local_addr()?);
        println!("http {}\ntoken {token}", http.local_addr()?);
        serve(listener, grpc_server(routes, limits, verifier), http, book.role().router()).await
    })
}

/// The registry's HTTP servers as its role runs them, with leases that end.
fn registry(directory: &Path, listener: TcpListener) -> anyhow::Result<()> {
    let (verifier, token) = verifier("registry", "registry:read registry:register")?;
    let log_directory = directory.join("log");
    let log: SharedLog = Arc::new(SegmentedLog::open(&log_directory, SegmentedConfig::small())?);
    let _tree = MerkleFollower::start(Arc::new(Real), &log_directory, Arc::clone(&log))?;
    let config = lombard_registry::Config { waiters_max: 20_000, ..Default::default() };
    let metrics = lombard_chassis::Metrics::new("registry");
    let deps = lombard_registry::Deps {
        log,
        snapshot_directory: Some(directory.join("snapshots")),
        verifier,
        health: lombard_chassis::Health::starting(),
        metrics: metrics.clone(),
    };
    let registry = lombard_registry::Registry::new(config, deps)?;
    let http = TcpListener::bind("127.0.0.1:0")?;
    println!("address {}", listener.local_addr()?);
    println!("http {}\ntoken {token}", http.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let limits = ServerLimits { connections_max: 20_000, ..ServerLimits::default() };
        let serve = |listener, router| {
            let (limits, metrics) = (limits.clone(), metrics.clone());
            let server = lombard_chassis::Server { router, limits, metrics };
            lombard_chassis::serve(listener, server, CancellationToken::new())
        };
        let own = serve(http, registry.router());
        let compatible = serve(listener, registry.compatible_router());
        let running = async {
            let ended = registry.run(CancellationToken::new()).await;
            ended.map_err(|_| std::io::Error::other("the registry stopped"))
        };
        tokio::try_join!(own, compatible, running)?;
        Ok(())
    })
}

async fn serve(
    listener: TcpListener,
    server: lombard_grpc::Server,
    http: TcpListener,
    router: axum::Router,
) -> anyhow::Result<()> {
    let limits = ServerLimits { connections_max: 4096, ..ServerLimits::default() };
    let metrics = lombard_chassis::Metrics::new("bench");
    let server = lombard_chassis::Server { router, limits, metrics };
    let http = lombard_chassis::serve(http, server, CancellationToken::new());
    let grpc = lombard_grpc::serve(listener, server, CancellationToken::new());
    tokio::try_join!(http, grpc)?;
    Ok(())
}

fn grpc_server(
    routes: lombard_grpc::Routes,
    limits: lombard_grpc::Limits,
    verifier: Verifier,
) -> lombard_grpc::Server {
    let health = lombard_chassis::Health::starting();
    let metrics = lombard_chassis::Metrics::new("bench");
    lombard_grpc::Server { routes, verifier, health, metrics, limits }
}
