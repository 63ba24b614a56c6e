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
use lombard_token::{Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier};
use lombard_types::Timestamp;

use crate::{Cpu, Store};

/// The environment variable that makes this program a server: its value is the server's name.
const SERVE: &str = "LOMBARD_BENCH_SERVE";
const DIRECTORY: &str = "LOMBARD_BENCH_DIRECTORY";
const ISSUER: &str = "http://bench";
const AUDIENCE: &str = "http://bench/v1/eventstore";

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
        let directory = tempfile::tempdir_in(directory)?;
        let mut child = Command::new(std::env::current_exe()?)
            .env(SERVE, name)
            .env(DIRECTORY, directory.path())
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
    if name == "lombard" {
        let http = TcpListener::bind("127.0.0.1:0")?;
        println!("address {address}\nhttp {}", http.local_addr()?);
        lombard(directory, listener, http)?;
    } else {
        // Whoever connects now must not be taken for the peer's client.
        drop(listener);
        println!("address {address}\nhttp \ntoken ");
        others(&name, directory, &address)?;
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

/// The event store's servers as its role runs them: one runtime thread, tokens verified, Merkle tree behind the log.
fn lombard(directory: &Path, listener: TcpListener, http: TcpListener) -> anyhow::Result<()> {
    let key = SigningKey::generate()?;
    let now = SystemTime::now();
    let claims = Claims {
        issuer: ISSUER.into(),
        subject: "bench".into(),
        audience: AUDIENCE.into(),
        client_id: "bench".into(),
        scope: "events:append events:read".parse()?,
        token_id: "bench".into(),
        issued_at: Timestamp::from_system_time(now),
        expires_at: Timestamp::from_system_time(now + Duration::from_secs(3600)),
        ..Claims::default()
    };
    println!("token {}", claims.sign(&key)?);
    let jwks = Jwks { keys: vec![key.public_jwk().clone()] };
    let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(OneKey(jwks)));
    let store = Store::open(directory)?;
    let server = lombard_grpc::Server {
        routes: store.role().grpc_routes(),
        verifier,
        health: lombard_chassis::Health::starting(),
        metrics: lombard_chassis::Metrics::new("bench"),
        limits: store.role().grpc_limits(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limits = ServerLimits { connections_max: 4096, ..ServerLimits::default() };
    let router = store.role().router();
    runtime.block_on(async {
        let http = lombard_chassis::serve(http, router, limits, CancellationToken::new());
        let grpc = lombard_grpc::serve(listener, server, CancellationToken::new());
        tokio::try_join!(http, grpc)
    })?;
    Ok(())
}
