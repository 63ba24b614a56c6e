//! The role at its stated size: memory, and how soon it is ready, with so many clients, sessions, families of refresh tokens and
//! events, and a snapshot.
//!
//! ```sh
//! cargo bench -p lombard-auth --bench at_size -- [--clients 10000] [--sessions 100000] [--families 1000000] [--events 10000000]
//! ```
//! What was granted is written through the role's own machine, each change durable; what is left of the events is rotations of
//! refresh tokens. Then another process starts the role on these files, and says when it was ready and how much memory it had.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot be made must end, and says what it found"
)]

use std::{
    path::Path,
    process::Command as Process,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use lombard_auth::{Auth, AuthMachine, Config, Deps, EventCodec};
use lombard_auth_core::{
    Acr, Authentication, Client, ClientName, Code, Command, GrantId, GrantType, Lives, Profile,
    Session, SessionId, Telling, User, UserGrant, UserId, clients, grants, sessions, users,
};
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_engine::{Engine, Handle, Limits, SnapshotPolicy, Snapshots};
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog};
use lombard_types::Timestamp;

/// Changes that are under way at once.
const AT_ONCE: usize = 4096;
/// Families whose codes are redeemed together, before they expire.
const CHUNK: usize = 20_000;
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const LIVES: Lives = Lives {
    access_token: Duration::from_secs(360),
    telling: Telling { patience: Duration::from_secs(60), logouts_max: 9 },
};

/// How much of everything.
struct Size {
    clients: u64,
    sessions: u64,
    families: u64,
    events: u64,
}

impl Size {
    fn read() -> anyhow::Result<Self> {
        let mut size =
            Self { clients: 10_000, sessions: 100_000, families: 1_000_000, events: 10_000_000 };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default().parse()?;
            match name.as_str() {
                "--clients" => size.clients = value,
                "--sessions" => size.sessions = value,
                "--families" => size.families = value,
                "--events" => size.events = value,
                _ => anyhow::bail!("{name} is none of --clients, --sessions, --families, --events"),
            }
        }
        anyhow::ensure!(
            size.clients > 0 && size.sessions > 0,
            "there is a client and a session at least"
        );
        Ok(size)
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Ok(directory) = std::env::var("AT_SIZE_SERVE") {
        return runtime.block_on(serve(Path::new(&directory)));
    }
    if let Ok(directory) = std::env::var("AT_SIZE_FILL") {
        let (size, begun) = (Size::read()?, Instant::now());
        let events = runtime.block_on(fill(Path::new(&directory), &size))?;
        let Size { clients, sessions, families, .. } = size;
        let took = begun.elapsed();
        println!(
            "{clients} clients, {sessions} sessions, {families} families, {events} events: written in {took:.0?}"
        );
        return Ok(());
    }
    // A log is one process's: each of the two ends before the next begins.
    let place = tempfile::tempdir()?;
    for step in ["AT_SIZE_FILL", "AT_SIZE_SERVE"] {
        let mut process = Process::new(std::env::current_exe()?);
        let ended = process.args(std::env::args().skip(1)).env(step, place.path()).status()?;
        anyhow::ensure!(ended.success(), "{step} failed");
    }
    Ok(())
}

fn log(directory: &Path) -> anyhow::Result<SharedLog> {
    Ok(Arc::new(SegmentedLog::open(&directory.join("log"), SegmentedConfig::small())?))
}

/// Writes it all, and waits for a snapshot at its end. How many events there are.
async fn fill(directory: &Path, size: &Size) -> anyhow::Result<u64> {
    let policy = SnapshotPolicy { records: 2000, bytes: 1 << 30 };
    let snapshots = Snapshots::new(directory.join("snapshots"), policy);
    let (limits, empty) = (Limits::default(), AuthMachine::default);
    let log = log(directory)?;
    let (writer, engine) = Engine::start_with_snapshots(
        "auth",
        Arc::clone(&log),
        snapshots,
        empty,
        EventCodec,
        limits,
    )?;
    let mut events = size.clients + 2 * size.sessions + 2 * size.families;
    submit_all(&writer, size.clients, client).await?;
    submit_all(&writer, size.sessions, user).await?;
    submit_all(&writer, size.sessions, session).await?;
    for first in (0..size.families).step_by(CHUNK) {
        let count = u64::try_from(CHUNK)?.min(size.families - first);
        submit_all(&writer, count, |number| grant(first + number, size)).await?;
        submit_all(&writer, count, |number| redeem(first + number, size)).await?;
    }
    for generation in 0.. {
        let count = size.events.saturating_sub(events).min(size.families);
        if count == 0 {
            break;
        }
        submit_all(&writer, count, |number| refresh(number, size, generation)).await?;
        events += count;
    }
    // A start replays what came since the newest snapshot: at most so many records as the policy says.
    let begun = Instant::now();
    let is_near = |records: u64| log.tail().get().saturating_sub(records) < 2 * policy.records;
    while !writer.last_snapshot().is_some_and(|newest| is_near(newest.position.get())) {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(600), "no snapshot comes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(writer);
    engine.stopped().await?;
    Ok(events)
}

async fn submit_all(
    writer: &Handle<AuthMachine>,
    count: u64,
    command: impl Fn(u64) -> Command,
) -> anyhow::Result<()> {
    let mut submitted = stream::iter(0..count)
        .map(|number| writer.submit(command(number)))
        .buffer_unordered(AT_ONCE);
    while let Some(committed) = submitted.next().await {
        committed.map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    Ok(())
}

fn id(kind: u8, number: u64) -> [u8; 16] {
    let mut id = [kind; 16];
    let (_, low) = id.split_at_mut(8);
    low.copy_from_slice(&number.to_be_bytes());
    id
}

/// Digests are spread as real ones are.
fn digest(kind: u8, number: u64) -> [u8; 32] {
    let mut sha256 = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &id(kind, number));
    sha256.copy_from_slice(digest.as_ref());
    sha256
}

fn client_id(number: u64) -> String {
    format!("client-{number:08}")
}

fn client(number: u64) -> Command {
    let client = Client {
        id: client_id(number).parse().unwrap(),
        name: ClientName::new("A client of the bank").unwrap(),
        scope: "openid offline_access ledger:read ledger:write".parse().unwrap(),
        authorization_details_types: ["payment".parse().unwrap()].into(),
        profile: Profile::OAuth21,
        authentication: Authentication::Secret { sha256: digest(1, number) },
        grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
        redirect_uris: vec!["https://client.example/callback".parse().unwrap()],
        post_logout_redirect_uris: Vec::new(),
        backchannel_logout_uri: None,
        options: Default::default(),
        registered_at: Timestamp::EPOCH,
        registered_by: "admin".into(),
    };
    let register = clients::Command::Register { client: Box::new(client), clients_max: usize::MAX };
    Command::Client(register, LIVES)
}

fn user(number: u64) -> Command {
    let user = User {
        id: UserId(id(2, number)),
        name: format!("user{number}").parse().unwrap(),
        display_name: None,
        email: None,
        scope: "ledger:read".parse().unwrap(),
        groups: [].into(),
        password: None,
        is_disabled: false,
        created_at: Timestamp::EPOCH,
        created_by: "admin".into(),
    };
    Command::User(users::Command::Create { user, users_max: usize::MAX }, LIVES)
}

fn session(number: u64) -> Command {
    let session = Session {
        id: SessionId(id(3, number)),
        secret_sha256: digest(3, number),
        user: UserId(id(2, number)),
        acr: Acr::Password,
        authenticated_at: Timestamp::EPOCH,
        expires_at: Timestamp::EPOCH,
    };
    let (per_user_max, sessions_max) = (usize::MAX, usize::MAX);
    let start = sessions::Command::Start {
        session,
        replaces: None,
        life: LIFE,
        per_user_max,
        sessions_max,
    };
    Command::Session(start, LIVES)
}

fn grant(number: u64, size: &Size) -> Command {
    let (none, person) = (Timestamp::EPOCH, number % size.sessions);
    let grant = UserGrant {
        id: GrantId(id(4, number)),
        user: UserId(id(2, person)),
        client: client_id(number % size.clients).parse().unwrap(),
        session: SessionId(id(3, person)),
        is_offline: true,
        audience: "https://bank.example/v1/ledger".into(),
        scope: "openid offline_access ledger:read".parse().unwrap(),
        authorization_details: Default::default(),
        authenticated_at: none,
        acr: Acr::Password,
        page_sha256: Some(digest(5, number)),
        started_at: none,
        expires_at: none,
        lasts_until: Timestamp::from_system_time(std::time::SystemTime::now()).plus(LIFE),
        key_thumbprint: None,
        code: Some(Box::new(Code {
            sha256: digest(4, number),
            redirect_uri: "https://client.example/callback".into(),
            challenge: digest(6, number),
            key_thumbprint: None,
            nonce: None,
            expires_at: none,
            redeemed_at: None,
            remembered_until: none,
        })),
        refresh: None,
    };
    // Codes are forgotten a moment after they are redeemed; the families stay.
    let (code_life, code_memory) = (Duration::from_secs(60), Duration::ZERO);
    let (per_user_max, grants_max) = (usize::MAX, usize::MAX);
    let grant = Box::new(grant);
    let start = grants::Command::Start { grant, code_life, code_memory, per_user_max, grants_max };
    Command::Grant(start, LIVES)
}

fn redeem(number: u64, size: &Size) -> Command {
    let redemption = grants::Redemption {
        code_sha256: digest(4, number),
        client: client_id(number % size.clients).parse().unwrap(),
        redirect_uri: None,
        challenge: digest(6, number),
        key_thumbprint: None,
        binds_refresh: false,
        may_refresh: true,
    };
    Command::Grant(grants::Command::Redeem(redemption), LIVES)
}

fn refresh(number: u64, size: &Size, generation: u32) -> Command {
    let refreshing = grants::Refreshing {
        id: GrantId(id(4, number)),
        generation,
        client: client_id(number % size.clients).parse().unwrap(),
        key_thumbprint: None,
        rotates: true,
        grace: Duration::ZERO,
    };
    Command::Grant(grants::Command::Refresh(refreshing), LIVES)
}

/// Starts the role on what was written, and ends it once it is ready.
async fn serve(directory: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let health = Health::starting();
    let deps = Deps {
        log: log(directory)?,
        snapshot_directory: Some(directory.join("snapshots")),
        issuer: "https://bank.example".to_owned(),
        dpop_nonces: None,
        signing_keys_directory: directory.join("signing-keys"),
        server_secret_file: directory.join("server.secret"),
        bootstrap_file: None,
        health: health.clone(),
        metrics: Metrics::new("auth"),
    };
    let opened = begun.elapsed();
    let auth = Auth::new(Config::default(), deps)?;
    let drain = CancellationToken::new();
    let running = tokio::spawn(auth.run(drain.clone()));
    health.wait_until_ready().await;
    let ready = begun.elapsed();
    let (all, own) = (memory_mib("VmRSS:")?, memory_mib("RssAnon:")?);
    println!(
        "ready in {ready:.2?}, of which {opened:.2?} to open the log; {all} MiB of memory, {own} without the program"
    );
    drain.cancel();
    running.await??;
    Ok(())
}

/// Memory that this process has now, of a kind that Linux counts.
fn memory_mib(kind: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let kib: u64 = line.and_then(|it| it.split_whitespace().next()).unwrap_or_default().parse()?;
    Ok(kib / 1024)
}
