//! Contenders that take turns, and what came out.

use crate::{Options, Sample, check};

type Run<'a> = Box<dyn FnMut() -> anyhow::Result<Sample> + 'a>;

/// One workload and who runs it.
pub struct Rounds<'a> {
    workload: String,
    /// What an operation is.
    unit: &'static str,
    options: &'a Options,
    contenders: Vec<(&'static str, Run<'a>)>,
}

/// The samples of all rounds.
#[derive(Debug)]
pub struct Outcome {
    unit: &'static str,
    samples: Vec<(&'static str, Vec<Sample>)>,
}

impl<'a> Rounds<'a> {
    /// A workload whose operations are counted in `unit`.
    pub fn new(workload: impl Into<String>, unit: &'static str, options: &'a Options) -> Self {
        Self { workload: workload.into(), unit, options, contenders: Vec::new() }
    }

    /// Adds one who runs it. Each call of `run` is one round.
    #[must_use]
    pub fn contender(
        mut self,
        name: &'static str,
        run: impl FnMut() -> anyhow::Result<Sample> + 'a,
    ) -> Self {
        self.contenders.push((name, Box::new(run)));
        self
    }

    /// Has them take turns, and prints.
    pub fn run(mut self) -> anyhow::Result<Outcome> {
        println!("{}", self.workload);
        let names = self.contenders.iter().map(|(name, _)| (*name, Vec::new()));
        let mut samples: Vec<_> = names.collect();
        for _ in 0..self.options.rounds {
            for ((_, run), (_, samples)) in self.contenders.iter_mut().zip(&mut samples) {
                samples.push(run()?);
            }
        }
        let outcome = Outcome { unit: self.unit, samples };
        outcome.print();
        Ok(outcome)
    }
}

impl Outcome {
    fn print(&self) {
        let (rate, cpu) = (format!("{}/s", self.unit), "CPU us each");
        println!(
            "  {:<24} {rate:>30} {cpu:>26} {:>24} {:>24}",
            "median (min-max)", "p50 ms", "p99 ms"
        );
        for (name, samples) in &self.samples {
            let of = |value: fn(&Sample) -> f64, digits| spread(samples, value).text(digits);
            let has_latencies = samples.iter().any(|sample| !sample.latencies.is_empty());
            let latency = |text: String| if has_latencies { text } else { "-".to_owned() };
            println!(
                "  {name:<24} {:>30} {:>26} {:>24} {:>24}",
                of(Sample::rate, 0),
                of(Sample::cpu_us, 2),
                latency(of(|sample| sample.percentile_ms(50.0), 2)),
                latency(of(|sample| sample.percentile_ms(99.0), 2)),
            );
        }
    }

    /// The median of a contender's rounds.
    pub fn median(&self, contender: &str, value: fn(&Sample) -> f64) -> f64 {
        spread(self.of(contender), value).median
    }

    /// The median over the rounds of one contender's rate to another's in the same round.
    pub fn ratio(&self, contender: &str, peer: &str) -> f64 {
        self.ratio_of(contender, peer, Sample::rate)
    }

    /// [`Outcome::ratio`] of another value.
    pub fn ratio_of(&self, contender: &str, peer: &str, value: fn(&Sample) -> f64) -> f64 {
        let pairs = self.of(contender).iter().zip(self.of(peer));
        median(pairs.map(|(one, other)| value(one) / value(other)).collect())
    }

    /// Prints a claim, what was measured, and whether it holds.
    pub fn at_least(&self, what: &str, measured: f64, claimed: f64) {
        check::at_least(what, measured, claimed);
    }

    /// [`Outcome::at_least`] for what should be small.
    pub fn at_most(&self, what: &str, measured: f64, claimed: f64) {
        check::at_most(what, measured, claimed);
    }

    fn of(&self, contender: &str) -> &[Sample] {
        let found = self.samples.iter().find(|(name, _)| *name == contender);
        found.map_or(&[], |(_, samples)| samples)
    }
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn text(&self, digits: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
    }
}

fn spread(samples: &[Sample], value: fn(&Sample) -> f64) -> Spread {
    let values: Vec<f64> = samples.iter().map(value).collect();
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Spread { median: median(values), min, max }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
