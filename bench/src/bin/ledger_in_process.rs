//! Transfers in one process: writer, log, index of spent ids, read side and Merkle tree; every transfer durable before its
//! answer.

use clap::Parser;
use lombard_bench::{Book, ClosedLoop, Cpu, Options, Payer, Rounds, Sample, Spread};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Accounts.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// One workload only, for a profile of it.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> anyhow::Result<()> {
    const WHAT: &str = "ledger, in process: transfers, durable";
    let Arguments { options, accounts, only } =
        Options::start_with(WHAT, |it: &Arguments| &it.options);
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let run =
        |workers, batch, spread, pending| run(&options, accounts, workers, batch, spread, pending);
    if is_wanted("batches") {
        let outcome = Rounds::new(format!("2 x 8190, {accounts} accounts"), "transfers", &options)
            .contender("uniform", || run(2, 8190, Spread::Uniform, 0))
            .contender("hot", || run(2, 8190, Spread::Hot, 0))
            .run()?;
        outcome.at_least("transfers a second", outcome.median("uniform", Sample::rate), 500_000.0);
        outcome.at_most("CPU us per transfer", outcome.median("uniform", Sample::cpu_us), 1.5);
        outcome.at_least("hot, of uniform", outcome.ratio("hot", "uniform"), 0.9);
    }
    if is_wanted("pending") {
        let outcome = Rounds::new("2 x 8190, 30 % pending", "transfers", &options)
            .contender("pending", || run(2, 8190, Spread::Uniform, 30))
            .run()?;
        outcome.at_least("transfers a second", outcome.median("pending", Sample::rate), 300_000.0);
    }
    if is_wanted("callers") {
        let outcome = Rounds::new("16 x 100, 64 x 1, 1 x 1", "transfers", &options)
            .contender("16 x 100", || run(16, 100, Spread::Uniform, 0))
            .contender("64 x 1", || run(64, 1, Spread::Uniform, 0))
            .contender("1 x 1", || run(1, 1, Spread::Uniform, 0))
            .run()?;
        let p99 = outcome.median("16 x 100", |sample| sample.percentile_ms(99.0));
        outcome.at_least("16 x 100 a second", outcome.median("16 x 100", Sample::rate), 250_000.0);
        outcome.at_most("16 x 100, p99 in ms", p99, 10.0);
        outcome.at_least("64 x 1 a second", outcome.median("64 x 1", Sample::rate), 60_000.0);
    }
    Ok(())
}

fn run(
    options: &Options,
    accounts: u64,
    workers: usize,
    batch: usize,
    spread: Spread,
    pending_percent: u64,
) -> anyhow::Result<Sample> {
    let directory = tempfile::tempdir_in(&options.directory)?;
    // One thread for the callers, as the role has one for its connections.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let book = runtime.block_on(Book::open(directory.path(), accounts))?;
    let closed_loop = ClosedLoop {
        workers,
        operations_each: batch as u64,
        window: options.window(),
        cpu: Cpu::This,
    };
    runtime.block_on(
        closed_loop.run(|number| Payer::new(&book, number, batch, spread, pending_percent)),
    )
}
