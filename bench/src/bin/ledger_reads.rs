//! The ledger's read side over ten million transfers: how fast its index is made again from the log, how long a reader is
//! held up meanwhile by anything (freezing, sealing and merging included), what everything takes on disk, and how long it
//! takes to say what an account held at any position.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use lombard_bench::{Book, Cpu, Options, Payer, Sample, Spread, Worker as _, check};
use lombard_engine::Follower;
use lombard_ledger::EventCodec;
use lombard_ledger_core::AccountRef;
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog};
use lombard_query::{Cut, History, LedgerIndex};
use lombard_types::{AccountId, Position, Timestamp};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Millions of transfers.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    millions: u64,
    /// How many accounts they are between.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    accounts: u64,
    /// Transfers of a batch.
    #[arg(long, default_value_t = 8190, value_parser = clap::value_parser!(u64).range(1..=8190))]
    batch: u64,
}

/// As many as there are by default before what is in memory goes to disk.
const FREEZE_TRANSFERS: u64 = 200_000;

fn main() -> anyhow::Result<()> {
    const WHAT: &str = "the ledger's read side: rebuild, disk, balances at any position";
    let arguments = Options::start_with(WHAT, |it: &Arguments| &it.options);
    let Arguments { options, millions, accounts, batch } = &arguments;
    let directory = tempfile::tempdir_in(&options.directory)?;
    let directory = directory.path();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let count = runtime.block_on(fill(directory, millions * 1_000_000, *accounts, *batch))?;
    let log: SharedLog =
        Arc::new(SegmentedLog::open(&directory.join("log"), SegmentedConfig::default())?);
    runtime.block_on(rebuild(directory, &log, count, *accounts))?;
    disk(directory, count)?;
    runtime.block_on(balances(directory, &log, *accounts))?;
    runtime.block_on(pages(directory, &log, *accounts))
}

async fn fill(directory: &Path, wanted: u64, accounts: u64, batch: u64) -> anyhow::Result<u64> {
    let book = Book::open(directory, accounts).await?;
    let started = Instant::now();
    let mut payer = Payer::new(&book, 0, usize::try_from(batch)?, Spread::Uniform, 0);
    let batches = wanted.div_ceil(batch);
    for _ in 0..batches {
        payer.ask().await?;
    }
    let count = batches * batch;
    println!(
        "filled with {count} transfers between {accounts} accounts in {:?}",
        started.elapsed()
    );
    Ok(count)
}

async fn open(directory: &Path, log: &SharedLog) -> anyhow::Result<Follower<LedgerIndex>> {
    let directory = directory.join("query");
    let opened = LedgerIndex::open(&directory, log, &EventCodec, FREEZE_TRANSFERS).await?;
    let (index, from) = opened;
    Ok(Follower::start_at("bench", Arc::clone(log), EventCodec, index, from)?)
}

/// Everything is read from the log, while a reader asks again and again.
async fn rebuild(
    directory: &Path,
    log: &SharedLog,
    count: u64,
    accounts: u64,
) -> anyhow::Result<()> {
    let (started, cpu) = (Instant::now(), Cpu::This.used());
    let follower = open(directory, log).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (follower, is_over) = (follower.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || held_up(&follower, &is_over, accounts))
    };
    let reached = follower.wait_for(log.tail(), Duration::from_secs(3600)).await;
    reached.context("the index did not get to the end of the log")?;
    let sample = Sample::new(count, started.elapsed(), Cpu::This.used().saturating_sub(cpu));
    println!("\nrebuild: {:.0} transfers/s, {:.2} CPU us each", sample.rate(), sample.cpu_us());
    check::at_least("transfers made again a second", sample.rate(), 1_000_000.0);
    // What was handed over last is sealed and merged behind it: until nothing is written any more.
    let look = || {
        Ok::<_, anyhow::Error>((
            follower.read(LedgerIndex::sealed),
            bytes_of(&directory.join("query"))?,
        ))
    };
    let mut before = look()?;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = look()?;
        if now == before {
            break;
        }
        before = now;
    }
    is_over.store(true, Ordering::Relaxed);
    let Ok(longest) = reader.join() else { anyhow::bail!("the reader panicked") };
    let longest = longest.as_secs_f64() * 1000.0;
    println!("longest that a reader was held up: {longest:.1} ms");
    check::at_most("ms that a reader is held up", longest, 20.0);
    Ok(())
}

/// Reads balances until it is over, and says what the longest read took.
fn held_up(follower: &Follower<LedgerIndex>, is_over: &AtomicBool, accounts: u64) -> Duration {
    let mut longest = Duration::ZERO;
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        number = number % accounts + 1;
        let started = Instant::now();
        follower.read(|index| index.account(&name(number)).map(|account| account.totals));
        longest = longest.max(started.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    longest
}

fn name(number: u64) -> AccountRef {
    AccountRef::Id(AccountId::from_u128(u128::from(number)).expect("an id"))
}

fn bytes_of(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += match entry.path().extension().and_then(|extension| extension.to_str()) {
            // Segments are made ahead, full of zeros.
            Some("seg") => {
                let content = fs::read(entry.path())?;
                content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1)
            }
            _ => metadata.len(),
        };
    }
    Ok(bytes)
}

fn disk(directory: &Path, count: u64) -> anyhow::Result<()> {
    let each = |bytes: u64| bytes as f64 / count as f64;
    let log = bytes_of(&directory.join("log"))?;
    let spent = bytes_of(&directory.join("index"))?;
    let query = bytes_of(&directory.join("query"))?;
    println!(
        "\ndisk, bytes a transfer: log with Merkle tree {:.1}, spent ids {:.1}, read side {:.1}",
        each(log),
        each(spent),
        each(query)
    );
    check::at_most("bytes of disk per transfer", each(log + spent + query), 330.0);
    Ok(())
}

/// What a random account held at a random position, from an index that was opened just now.
async fn balances(directory: &Path, log: &SharedLog, accounts: u64) -> anyhow::Result<()> {
    const QUESTIONS: u64 = 200_000;
    let started = Instant::now();
    let follower = open(directory, log).await?;
    let reached = follower.wait_for(log.tail(), Duration::from_secs(600)).await;
    reached.context("the index did not get to the end of the log")?;
    println!("\nrestart: {:?}", started.elapsed());
    let mut took = Vec::with_capacity(QUESTIONS as usize);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let end = log.tail().get();
    let mut entries = 0;
    for _ in 0..QUESTIONS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (account, position) = (1 + random % accounts, (random >> 20) % end);
        let cut = Cut { end: Position::new(position), time: Timestamp::MAX };
        let asked = Instant::now();
        let standing = follower.read(|index| {
            let account = index.account(&name(account)).map(|account| account.number);
            account.map(|account| index.standing(account, cut))
        });
        took.push(asked.elapsed());
        entries += standing.context("there is no such account")??.version;
    }
    took.sort_unstable();
    let ms = |percent: usize| took[took.len() * percent / 100].as_secs_f64() * 1000.0;
    let p99 = ms(99);
    println!(
        "balance at any position: p50 {:.3} ms, p99 {p99:.3} ms; {:.0} entries before it on average",
        ms(50),
        entries as f64 / QUESTIONS as f64,
    );
    check::at_most("ms to say what an account held, p99", p99, 1.0);
    Ok(())
}

/// The first hundred entries of random accounts, each with what the log says of its transfer.
async fn pages(directory: &Path, log: &SharedLog, accounts: u64) -> anyhow::Result<()> {
    const PAGES: u64 = 100;
    const ITEMS: usize = 100;
    let follower = open(directory, log).await?;
    let reached = follower.wait_for(log.tail(), Duration::from_secs(600)).await;
    reached.context("the index did not get to the end of the log")?;
    let history = History::new(Arc::clone(log), EventCodec);
    let cut = Cut { end: log.tail(), time: Timestamp::MAX };
    let (started, mut items) = (Instant::now(), 0);
    for page in 0..PAGES {
        let name = name(1 + page * 7919 % accounts);
        let rows = follower.read(|index| {
            let account = index.account(&name).map(|account| account.number);
            account.map(|account| index.entries(account, None, cut, ITEMS))
        });
        for row in rows.context("there is no such account")??.items {
            let record = history.record(row.place.position).await?.context("no record")?;
            record.transfer(row.place).context("no transfer")?;
            items += 1;
        }
    }
    let each = started.elapsed().as_secs_f64() * 1000.0 / PAGES as f64;
    println!("a page of {} entries: {each:.1} ms", items / PAGES);
    Ok(())
}
