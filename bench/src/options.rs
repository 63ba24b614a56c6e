//! What every measurement can be told.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::Machine;

/// How long, how often, where.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Rounds; every contender runs once in each.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Seconds of one contender's run in one round, after a warm-up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Where data is written; it is removed afterwards.
    #[arg(long, default_value = "/var/tmp")]
    pub directory: PathBuf,
}

impl Options {
    /// Reads the command line, and prints what is measured and on what machine.
    pub fn start(what: &str) -> Self {
        Self::start_with(what, |options: &Self| options)
    }

    /// [`Options::start`] where a program has options of its own beside these.
    pub fn start_with<P: Parser>(what: &str, of: impl Fn(&P) -> &Self) -> P {
        let parsed = P::parse();
        println!("{what}\n");
        Machine::look(&of(&parsed).directory).print();
        parsed
    }

    /// How long one contender is measured in one round.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
