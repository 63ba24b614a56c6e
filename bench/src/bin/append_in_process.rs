//! Appending to the store in one process: appenders, writer, log, index and Merkle tree; every event durable before its
//! answer. One appender is compared with the disk's own `fdatasync`.

use std::path::Path;

use lombard_bench::{
    Appender, ClosedLoop, Cpu, EVENT_BYTES, Options, Rounds, Sample, Store, fdatasync,
};

const LOMBARD: &str = "lombard";
const DISK: &str = "fdatasync";

fn main() -> anyhow::Result<()> {
    let options = Options::start("event store, in process: 256-byte events, durable");

    let many = Rounds::new("32 appenders, 1 event each", "events", &options)
        .contender(LOMBARD, || run(&options, 32, 1))
        .run()?;
    many.at_least("events a second", many.median(LOMBARD, Sample::rate), 60_000.0);
    many.at_most("CPU us per event", many.median(LOMBARD, Sample::cpu_us), 6.0);

    let batches = Rounds::new("\n32 appenders, 100 events each", "events", &options)
        .contender(LOMBARD, || run(&options, 32, 100))
        .run()?;
    batches.at_least("events a second", batches.median(LOMBARD, Sample::rate), 700_000.0);
    batches.at_most("CPU us per event", batches.median(LOMBARD, Sample::cpu_us), 1.0);
    let p99 = batches.median(LOMBARD, |sample| sample.percentile_ms(99.0));
    batches.at_most("p99 in ms", p99, 25.0);

    let one = Rounds::new("\n1 appender, 1 event", "events", &options)
        .contender(DISK, || fdatasync(&options.directory, EVENT_BYTES, options.window()))
        .contender(LOMBARD, || run(&options, 1, 1))
        .run()?;
    let ratio = one.ratio_of(LOMBARD, DISK, |sample| sample.percentile_ms(50.0));
    one.at_most("median latency, of fdatasync's", ratio, 1.3);
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
