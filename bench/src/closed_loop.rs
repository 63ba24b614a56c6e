//! Workers that each wait for the answer before they ask again.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{Cpu, Latencies, Sample, sample};

/// How long workers run before they are counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// How many workers, for how long, and whose CPU time it costs.
#[derive(Clone, Copy, Debug)]
pub struct ClosedLoop {
    /// Requests at once.
    pub workers: usize,
    /// Operations of one request.
    pub operations_each: u64,
    /// How long is counted.
    pub window: Duration,
    /// Whose CPU time.
    pub cpu: Cpu,
}

/// One worker: asks once each time it is called, and waits for the answer.
pub trait Worker: Send + 'static {
    /// One request.
    fn ask(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

const WARMING_UP: u8 = 0;
const COUNTING: u8 = 1;
const OVER: u8 = 2;

impl ClosedLoop {
    /// Runs the workers on the runtime that this is called on.
    pub async fn run<W: Worker>(self, worker: impl Fn(usize) -> W) -> anyhow::Result<Sample> {
        let phase = Arc::new(AtomicU8::new(WARMING_UP));
        let workers: Vec<_> = (0..self.workers)
            .map(|number| tokio::spawn(work(worker(number), Arc::clone(&phase))))
            .collect();
        tokio::time::sleep(WARM_UP).await;
        let (cpu, started) = (self.cpu.used(), Instant::now());
        phase.store(COUNTING, Ordering::Relaxed);
        tokio::time::sleep(self.window).await;
        phase.store(OVER, Ordering::Relaxed);
        let (cpu, elapsed) = (self.cpu.used().saturating_sub(cpu), started.elapsed());
        let mut all = sample::latencies();
        for worker in workers {
            all.add(worker.await.context("a worker panicked")??)?;
        }
        let operations = all.len() * self.operations_each;
        Ok(Sample { operations, elapsed, cpu, latencies: all })
    }
}

async fn work(mut worker: impl Worker, phase: Arc<AtomicU8>) -> anyhow::Result<Latencies> {
    let mut latencies = sample::latencies();
    loop {
        let asked = Instant::now();
        worker.ask().await?;
        match phase.load(Ordering::Relaxed) {
            WARMING_UP => {}
            COUNTING => {
                let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                latencies.saturating_record(micros.max(1));
            }
            _ => return Ok(latencies),
        }
    }
}
