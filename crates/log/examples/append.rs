//! How fast the log makes records durable: appenders that each wait for their acknowledgement, on a real directory.
//!
//! `cargo run --release --package lombard-log --example append [DIRECTORY]`
//!
//! CPU time is of the whole process: the appenders and the log's own threads.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement talks, and ends at the first surprise"
)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use lombard_log::{Batch, Log, SegmentedConfig, SegmentedLog};
use tokio::sync::mpsc;

const EVENT_BYTES: usize = 256;
const WINDOW: Duration = Duration::from_secs(3);

fn main() {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    println!(
        "{:>9} {:>6} {:>12} {:>9} {:>9} {:>13}",
        "appenders", "batch", "events/s", "p50 ms", "p99 ms", "CPU us/event"
    );
    for (appenders, batch) in [(1, 1), (32, 1), (1, 100), (32, 100)] {
        let directory = tempfile::tempdir_in(&place).unwrap();
        run(directory.path(), appenders, batch);
    }
}

/// One writer task assigns positions and pipelines the appends, as the engine does; appenders hand it their batches.
fn run(directory: &Path, appenders: usize, batch: usize) {
    let log: Arc<dyn Log> =
        Arc::new(SegmentedLog::open(directory, SegmentedConfig::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cpu_before = cpu();
    let started = Instant::now();
    let mut latencies: Vec<Duration> = runtime.block_on(async {
        let (requests, mut queue) = mpsc::channel::<tokio::sync::oneshot::Sender<()>>(appenders);
        let writer = tokio::spawn(async move {
            let payload = vec![7u8; EVENT_BYTES * batch];
            let mut waiting = Vec::new();
            while queue.recv_many(&mut waiting, appenders).await > 0 {
                let mut records = Batch::new();
                waiting.iter().for_each(|_| records.push(&payload));
                let bytes = (payload.len() as u64 + 40) * waiting.len() as u64;
                log.make_room(bytes).await.unwrap();
                let appending = log.append(log.tail(), records);
                let answers = std::mem::take(&mut waiting);
                tokio::spawn(async move {
                    appending.await.unwrap();
                    for answer in answers {
                        answer.send(()).unwrap();
                    }
                });
            }
        });
        let callers: Vec<_> = (0..appenders)
            .map(|_| {
                let requests = requests.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while started.elapsed() < WINDOW {
                        let asked = Instant::now();
                        let (answer, answered) = tokio::sync::oneshot::channel();
                        requests.send(answer).await.unwrap();
                        answered.await.unwrap();
                        latencies.push(asked.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        drop(requests);
        let mut latencies = Vec::new();
        for caller in callers {
            latencies.extend(caller.await.unwrap());
        }
        writer.await.unwrap();
        latencies
    });
    let took = started.elapsed();
    latencies.sort_unstable();
    let events = (latencies.len() * batch) as f64;
    let at = |thousandths: usize| {
        latencies
            .get(latencies.len() * thousandths / 1000)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    println!(
        "{appenders:>9} {batch:>6} {:>12.0} {:>9.2} {:>9.2} {:>13.2}",
        events / took.as_secs_f64(),
        at(500),
        at(990),
        (cpu() - cpu_before).as_secs_f64() * 1e6 / events,
    );
}

/// User and system time of this process.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> =
        text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Fields 14 and 15 of the whole line; the ones before the name's end are cut off. A tick is 10 ms.
    let ticks: u64 =
        [11, 12].iter().filter_map(|&index| fields.get(index)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
