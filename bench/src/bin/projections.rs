//! The ledger's books as SQL tables: how many transfers a second come into them, from an empty database with its keys in
//! place (as when a projection is new), and when the tables are built anew beside the ones that are read.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use futures_util::future::BoxFuture;
use lombard_bench::{Book, Cpu, Options, Payer, Postgres, Spread, Worker as _, check};
use lombard_chassis::Metrics;
use lombard_ledger::EventCodec;
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog};
use lombard_projection::{Config, Deps, Progress, Projections, Secret, Settings};
use lombard_token::{Jwks, KeySource, KeySourceError, Verifier};
use tokio::sync::watch;

const NAME: &str = "books";
const SQLITE: f64 = 40_000.0;
const POSTGRES: f64 = 80_000.0;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Thousands of transfers.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    thousands: u64,
    /// Accounts that they are between, at random.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// Transfers of a record.
    #[arg(long, default_value_t = 8190)]
    batch: usize,
    /// Only `sqlite` or `postgres`.
    #[arg(long)]
    only: Option<String>,
    /// A PostgreSQL server to use; without it one is started, where its programs are.
    #[arg(long)]
    url: Option<String>,
}

fn main() -> anyhow::Result<()> {
    const WHAT: &str =
        "SQL projections of the ledger: each transfer is one row of transfers and two of entries";
    let arguments = Options::start_with(WHAT, |it: &Arguments| &it.options);
    let directory = tempfile::tempdir_in(&arguments.options.directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let transfers = arguments.thousands * 1000;
    runtime.block_on(fill(directory.path(), &arguments))?;
    let log: SharedLog =
        Arc::new(SegmentedLog::open(&directory.path().join("log"), SegmentedConfig::default())?);
    let is_wanted = |kind: &str| arguments.only.as_deref().is_none_or(|only| only == kind);
    if is_wanted("sqlite") {
        let path = directory.path().join("books.sqlite");
        let settings = Settings { path: Some(path.clone()), ..Settings::default() };
        let rate = runtime.block_on(measure("SQLite", None, &log, settings, &arguments))?;
        let bytes = std::fs::metadata(&path)?.len() as f64;
        println!("  {:.0} bytes of file a transfer", bytes / transfers as f64);
        check::at_least("SQLite: transfers/s of rebuilding", rate, SQLITE);
    }
    if is_wanted("postgres") {
        let server = match &arguments.url {
            Some(_) => None,
            None => Some(Postgres::start(&arguments.options.directory)?),
        };
        if let Some(server) = &server {
            // It answers when it is ready.
            drop(runtime.block_on(server.connect())?);
        }
        let url = arguments.url.clone().or(server.as_ref().map(Postgres::address));
        let settings = Settings { url: url.map(Secret::new), ..Settings::default() };
        let cpu = server.as_ref().map(Postgres::cpu);
        let rate = runtime.block_on(measure("PostgreSQL", cpu, &log, settings, &arguments))?;
        check::at_least("PostgreSQL: transfers/s of rebuilding", rate, POSTGRES);
    }
    Ok(())
}

async fn fill(directory: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let book = Book::open(directory, arguments.accounts).await?;
    let mut payer = Payer::new(&book, 0, arguments.batch, Spread::Uniform, 0);
    let batch = arguments.batch as u64;
    for _ in 0..(arguments.thousands * 1000).div_ceil(batch) {
        payer.ask().await?;
    }
    println!("a log of {} thousand transfers in {:.1?}\n", arguments.thousands, started.elapsed());
    Ok(())
}

/// Nobody asks over HTTP here.
struct NoKeys;

impl KeySource for NoKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: Vec::new() }) })
    }
}

/// Prints all rounds; answers the median rate of rebuilding.
async fn measure(
    what: &str,
    server: Option<Cpu>,
    log: &SharedLog,
    settings: Settings,
    arguments: &Arguments,
) -> anyhow::Result<f64> {
    let records = log.durable().borrow().get();
    let transfers = (arguments.thousands * 1000) as f64;
    let (_, origin) = watch::channel(Some("lombard/ledger/bench".into()));
    let (_, known) = watch::channel(Some(records));
    let deps = Deps {
        log: Arc::clone(log),
        codec: EventCodec,
        origin,
        records: known,
        directory: PathBuf::new(),
        verifier: Verifier::new("http://bench", "http://bench", Arc::new(NoKeys)),
        metrics: Metrics::new("bench"),
    };
    let config = Config([(NAME.to_owned(), settings)].into());
    let started = Started::now(server);
    let projections = Projections::start(config, deps)?;
    until(&projections, |progress| progress.records == records).await?;
    started.report(&format!("{what}, new"), transfers);
    let mut rates = Vec::new();
    for round in 1..=arguments.options.rounds {
        let started = Started::now(server);
        ensure!(projections.rebuild(NAME), "not taken on");
        until(&projections, |progress| progress.rebuilds == u64::from(round)).await?;
        rates.push(started.report(&format!("{what}, rebuilt"), transfers));
    }
    projections.stop().await;
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().context("no rounds")
}

async fn until(projections: &Projections, is_so: impl Fn(&Progress) -> bool) -> anyhow::Result<()> {
    loop {
        let progress = projections.progress(NAME).context("no projection")?;
        if is_so(&progress) {
            return Ok(());
        }
        let error = progress.reason.or(progress.rebuild_error);
        ensure!(error.is_none(), "{}", error.unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The clock and the CPU times when something began.
struct Started {
    time: Instant,
    here: Duration,
    server: Option<(Cpu, Duration)>,
}

impl Started {
    fn now(server: Option<Cpu>) -> Self {
        let server = server.map(|cpu| (cpu, cpu.used()));
        Self { time: Instant::now(), here: Cpu::This.used(), server }
    }

    fn report(self, what: &str, transfers: f64) -> f64 {
        let micros = |used: Duration| used.as_secs_f64() * 1e6 / transfers;
        let rate = transfers / self.time.elapsed().as_secs_f64();
        let here = micros(Cpu::This.used().saturating_sub(self.here));
        let server = self.server.map(|(cpu, before)| micros(cpu.used().saturating_sub(before)));
        let server =
            server.map_or_else(String::new, |micros| format!(", {micros:.1} of the server"));
        println!("  {what}: {rate:.0} transfers/s; CPU us each: {here:.1} here{server}");
        rate
    }
}
