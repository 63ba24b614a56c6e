//! `cargo xtask`: everything a developer or CI runs.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a tool for developers: it may panic, and it talks on standard output"
)]

mod clients;
mod fuzz;
mod payments;
mod steps;
mod tidy;

use anyhow::{Context as _, bail};

const HELP: &str = "\
cargo xtask test            everything: format, lints, tidiness, unit, integration, clients, fuzz
cargo xtask fmt             format check only
cargo xtask lint            lints only
cargo xtask tidy            the rules that no compiler checks: dependency direction, documentation of errors
cargo xtask unit            the tests of all crates
cargo xtask clients         the TypeScript SDK, and clients of Consul, Eureka, DNS, xDS, OAuth and OpenID Connect, against the binary: node, python3, dig
cargo xtask fuzz [SECONDS [TARGET]]
                            every fuzz target, or one, for so long (5 s)
cargo xtask fuzz-input TARGET FILE
                            one input again
cargo xtask simulate --seeds N
                            the event store and the ledger on failing disks, from the seeds 0 to N - 1
cargo xtask model --operations N
                            the ledger beside its reference model for so many random operations, optimized
cargo xtask fixture         write the data directory that later versions must open again
cargo xtask payments-csv    write examples/data/payments.csv again";

fn main() -> anyhow::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    std::env::set_current_dir(root)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => steps::all(),
        ["fmt"] => steps::format(),
        ["lint"] => steps::lint(),
        ["tidy"] => tidy::check(),
        ["unit"] => steps::unit(),
        ["clients"] => clients::run(),
        ["fuzz"] => steps::fuzz(),
        ["fuzz", seconds] => fuzz::run(seconds.parse()?, None),
        ["fuzz", seconds, target] => fuzz::run(seconds.parse()?, Some(target)),
        ["fuzz-input", target, file] => fuzz::run_input(target, file),
        ["simulate", "--seeds", seeds] => steps::simulate(seeds),
        ["model", "--operations", operations] => steps::model(operations),
        ["fixture"] => steps::fixture(),
        ["payments-csv"] => {
            std::fs::write("examples/data/payments.csv", payments::csv())?;
            Ok(())
        }
        ["help" | "--help" | "-h"] | [] => {
            println!("{HELP}");
            Ok(())
        }
        unknown => bail!("unknown: cargo xtask {}\n\n{HELP}", unknown.join(" ")),
    }
}
