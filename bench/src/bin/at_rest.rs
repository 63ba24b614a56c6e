//! Ten million events in a million streams: what they take on disk, how fast they are replayed, how long a restart takes,
//! what the store then takes in memory, and what idempotency and conditions cost on top of so many.

use std::{fs, path::Path, time::Instant};

use clap::Parser;
use lombard_bench::{
    Appender, ClosedLoop, Cpu, Options, Rounds, Sample, Store, append, check, content, event_id,
    evidence,
};
use lombard_engine::decode_record;
use lombard_eventstore::EventCodec;
use lombard_eventstore_core::{
    Append, Condition, Criterion, Event, EventPosition, Expected, NewEvent, Query, StreamAppend,
};
use lombard_log::{Log as _, SegmentedConfig, SegmentedLog};
use lombard_types::Position;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Millions of events; a tenth as many streams and tags.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    millions: u64,
    /// Events of one append while filling.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
}

fn main() -> anyhow::Result<()> {
    const WHAT: &str = "event store at rest: 256-byte events, a tenth as many streams and tags";
    let arguments = Options::start_with(WHAT, |it: &Arguments| &it.options);
    let Arguments { options, millions, batch } = &arguments;
    let directory = tempfile::tempdir_in(&options.directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let count = millions * 1_000_000;
    runtime.block_on(fill(directory.path(), count, *batch))?;
    disk(directory.path(), count)?;
    runtime.block_on(replay(directory.path(), count))?;
    let store = restart(directory.path())?;
    conditions(&store, options, count)
}

/// Appends of different streams, many under way at once.
async fn fill(directory: &Path, count: u64, batch: u64) -> anyhow::Result<()> {
    const UNDER_WAY: u64 = 256;
    let store = Store::open(directory)?;
    let started = Instant::now();
    let (streams, appends) = (count / 10, count / batch);
    let workers = (0..UNDER_WAY).map(|worker| {
        let handle = store.handle();
        async move {
            for number in (worker..appends).step_by(UNDER_WAY as usize) {
                append(&handle, filling(number, number % streams, batch)).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(workers).await?;
    store.tree().wait_for(appends).await?;
    println!("filled with {count} events, {batch} an append, in {:?}", started.elapsed());
    Ok(())
}

fn filling(number: u64, stream: u64, batch: u64) -> Append {
    let event = |at| NewEvent {
        id: event_id(),
        event_type: "com.example.payment.settled".parse().expect("a type"),
        tags: Box::new([format!("order:{stream}").parse().expect("a tag")]),
        content: content(number * batch + at),
    };
    Append {
        streams: vec![StreamAppend {
            stream: format!("payment-{stream:07}").parse().expect("a name"),
            expected: Expected::Any,
            events: (0..batch).map(event).collect(),
        }],
        condition: None,
        evidence: evidence(number),
    }
}

/// What the files take, but for segments that hold nothing yet.
fn disk(directory: &Path, count: u64) -> anyhow::Result<()> {
    let each = |bytes: u64| bytes as f64 / count as f64;
    let mut log = 0;
    let mut tree = 0;
    for entry in fs::read_dir(directory.join("log"))? {
        let entry = entry?;
        let bytes = entry.metadata()?.len();
        match entry.path().extension().and_then(|extension| extension.to_str()) {
            Some("seg") => {
                let content = fs::read(entry.path())?;
                log += content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
            }
            Some("merkle") => tree += bytes,
            _ => {}
        }
    }
    let mut index = 0;
    for entry in fs::read_dir(directory.join("index"))? {
        index += entry?.metadata()?.len();
    }
    println!(
        "\ndisk, bytes an event: log {:.1}, Merkle tree {:.1}, index {:.1}",
        each(log),
        each(tree),
        each(index)
    );
    check::at_most("bytes of disk per event", each(log + tree + index), 320.0);
    Ok(())
}

/// Everything is read, checked and decoded, on one thread.
async fn replay(directory: &Path, count: u64) -> anyhow::Result<()> {
    let log = SegmentedLog::open(&directory.join("log"), SegmentedConfig::default())?;
    let (started, cpu) = (Instant::now(), Cpu::This.used());
    let mut position = Position::START;
    let mut events = 0;
    loop {
        let records = log.read(position, 1 << 20).await?;
        let Some(last) = records.last() else { break };
        position = last.position.next();
        for record in &records {
            decode_record(&EventCodec, record, |event, _| {
                if let Event::Appended(appended) = event {
                    events += appended.event_count();
                }
            })?;
        }
    }
    anyhow::ensure!(events == count, "{events} of {count} events were replayed");
    let sample = Sample::new(events, started.elapsed(), Cpu::This.used().saturating_sub(cpu));
    println!("\nreplay: {:.0} events/s, {:.2} CPU us each", sample.rate(), sample.cpu_us());
    check::at_least("events replayed a second", sample.rate(), 2_000_000.0);
    Ok(())
}

fn restart(directory: &Path) -> anyhow::Result<Store> {
    let before = resident_mib()?;
    let started = Instant::now();
    let store = Store::open(directory)?;
    let took = started.elapsed();
    println!("\nrestart: {took:?}");
    check::at_most("seconds of a restart", took.as_secs_f64(), 2.0);
    let after = resident_mib()?;
    println!("memory: {after:.0} MiB; {before:.0} MiB before the store was opened");
    check::at_most("MiB of memory", after, 100.0);
    Ok(store)
}

fn resident_mib() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(kib / 1024.0)
}

/// Every append looks its ids up among all there ever were; conditions come on top of that.
fn conditions(store: &Store, options: &Options, count: u64) -> anyhow::Result<()> {
    let (plain, conditional) = ("tagged", "tagged, on a condition");
    println!();
    let run = |is_conditional: bool| {
        let closed_loop = ClosedLoop {
            workers: 32,
            operations_each: 1,
            window: options.window(),
            cpu: Cpu::This,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(closed_loop.run(|number| {
            let mut appender = Appender::new(store.handle(), number, 1);
            // A tag of its own, which the condition is about: nothing of it has happened since.
            let tag = |of: u64| format!("order:{of}").parse().expect("a tag");
            appender.tag(Box::new([tag(count + number as u64)]));
            appender.depend_on(is_conditional.then(|| Condition {
                query: Query(vec![Criterion {
                    types: vec!["com.example.payment.refunded".parse().expect("a type")],
                    tags: vec![tag(number as u64 * 1000)],
                }]),
                after: Some(EventPosition::new(number as u64)),
            }));
            appender
        }))
    };
    let outcome = Rounds::new("32 appenders, 1 event each, on top of these", "events", options)
        .contender(plain, || run(false))
        .contender(conditional, || run(true))
        .run()?;
    outcome.at_least("rate, of the unconditional one's", outcome.ratio(conditional, plain), 0.9);
    Ok(())
}
