//! Appending to the store in one process: appenders, writer, log, index and Merkle tree; every event durable before its
//! answer. One appender is compared with the disk's own `fdatasync`.

use std::path::Path;

use clap::{Parser, ValueEnum};

use lombard_bench::{
    Appender, ClosedLoop, Cpu, EVENT_BYTES, Options, Rounds, Sample, Store, fdatasync,
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// One workload only, for a profile of it.
    #[arg(long)]
    only: Option<Workload>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// 32 appenders, 1 event each.
    Many,
    /// 32 appenders, 100 events each.
    Batches,
    /// 1 appender, 1 event.
    One,
}

const LOMBARD: &str = "lombard";
const DISK: &str = "fdatasync";

fn main() -> anyhow::Result<()> {
    const WHAT: &str = "event store, in process: 256-byte events, durable";
    let Arguments { options, only } = Options::start_with(WHAT, |it: &Arguments| &it.options);
    let is_wanted = |workload| only.is_none_or(|only| only == workload);
    if is_wanted(Workload::Many) {
        many(&options)?;
    }
    if is_wanted(Workload::Batches) {
        batches(&options)?;
    }
    if is_wanted(Workload::One) {
        one(&options)?;
    }
    Ok(())
}

fn many(options: &Options) -> anyhow::Result<()> {
    let outcome = Rounds::new("32 appenders, 1 event each", "events", options)
        .contender(LOMBARD, || run(options, 32, 1))
        .run()?;
    outcome.at_least("events a second", outcome.median(LOMBARD, Sample::rate), 60_000.0);
    outcome.at_most("CPU us per event", outcome.median(LOMBARD, Sample::cpu_us), 6.0);
    Ok(())
}

fn batches(options: &Options) -> anyhow::Result<()> {
    let outcome = Rounds::new("32 appenders, 100 events each", "events", options)
        .contender(LOMBARD, || run(options, 32, 100))
        .run()?;
    outcome.at_least("events a second", outcome.median(LOMBARD, Sample::rate), 700_000.0);
    outcome.at_most("CPU us per event", outcome.median(LOMBARD, Sample::cpu_us), 1.0);
    let p99 = outcome.median(LOMBARD, |sample| sample.percentile_ms(99.0));
    outcome.at_most("p99 in ms", p99, 25.0);
    Ok(())
}

fn one(options: &Options) -> anyhow::Result<()> {
    let outcome = Rounds::new("1 appender, 1 event", "events", options)
        .contender(DISK, || fdatasync(&options.directory, EVENT_BYTES, options.window()))
        .contender(LOMBARD, || run(options, 1, 1))
        .run()?;
    let ratio = outcome.ratio_of(LOMBARD, DISK, |sample| sample.percentile_ms(50.0));
    outcome.at_most("median latency, of fdatasync's", ratio, 1.3);
    Ok(())
}

fn run(options: &Options, appenders: usize, batch: usize) -> anyhow::Result<Sample> {
    let directory = tempfile::tempdir_in(&options.directory)?;
    run_in(directory.path(), options, appenders, batch)
}

fn run_in(
    directory: &Path,
    options: &Options,
    appenders: usize,
    batch: usize,
) -> anyhow::Result<Sample> {
    let store = Store::open(directory)?;
    let closed_loop = ClosedLoop {
        workers: appenders,
        operations_each: batch as u64,
        window: options.window(),
        cpu: Cpu::This,
    };
    // One thread for the appenders, as the role has one for its connections.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(closed_loop.run(|number| Appender::new(store.handle(), number, batch)))
}
