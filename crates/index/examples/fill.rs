//! What an index costs: memory, CPU and disk for each million ids.
//!
//! `cargo run --release -p lombard-index --example fill -- 10` inserts ten million ids, half of them random and half in
//! order of time, as a writer of the log would, and looks up known and unknown ones.

#![expect(clippy::print_stdout, reason = "this is its output")]
#![expect(clippy::unwrap_used, reason = "an example ends where anything fails")]

use std::{
    fs,
    time::{Duration, Instant},
};

use lombard_index::{FilterOn, Index, MapSpec, Opening, Reads};
use lombard_types::Position;
use tokio::sync::watch;

const FREEZE_IDS: u64 = 128 << 10;

fn main() {
    let millions: u64 = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let directory = std::env::temp_dir().join(format!("lombard-index-fill-{}", std::process::id()));
    let (_durable, durable) = watch::channel(Position::new(u64::MAX));
    let mut opening = Opening::new(&directory).unwrap();
    let ids = opening
        .map::<16, 6>(MapSpec { name: "ids", filter: FilterOn::First(16), reads: Reads::Keys })
        .unwrap();
    let index = opening.start(durable).unwrap();
    let count = millions * 1_000_000;
    let (before, started) = (cpu_micros(), Instant::now());
    for number in 0..count {
        ids.insert(id(number), [1; 6]);
        if (number + 1) % FREEZE_IDS == 0 {
            index.freeze(Position::new(number + 1), 0);
            // As a log would, which is slower than memory.
            wait_until_sealed(&index, (number + 1).saturating_sub(2 * FREEZE_IDS));
        }
    }
    let inserted = started.elapsed();
    index.freeze(Position::new(count), 0);
    wait_until_sealed(&index, count);
    let per = |micros: u64| micros as f64 / count as f64;
    println!(
        "insert: {:.3} CPU-us each with sealing and merging, {inserted:?} in all",
        per(cpu_micros() - before)
    );
    for (what, offset) in [("known", 0), ("unknown", count * 2)] {
        let before = cpu_micros();
        let looked = 200_000;
        let found = (0..looked)
            .filter(|number| {
                let number = offset + number * (count / looked);
                ids.get(&id(number)).unwrap().is_some()
            })
            .count();
        let each = (cpu_micros() - before) as f64 / looked as f64;
        println!("look up {what}: {each:.3} CPU-us each, {found} of {looked} found");
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned()
    };
    println!("{}, {}", line("VmRSS"), line("VmHWM"));
    let bytes: u64 = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!("disk: {:.1} bytes an id", bytes as f64 / count as f64);
    drop(index);
    fs::remove_dir_all(directory).unwrap();
}

fn wait_until_sealed(index: &Index, position: u64) {
    while index.sealed() < Position::new(position) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every second one random, the others in order of time.
fn id(number: u64) -> [u8; 16] {
    let mut mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let first = if number.is_multiple_of(2) { mixed } else { number << 16 };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&first.to_be_bytes());
    id[8..].copy_from_slice(&mixed.rotate_left(29).to_be_bytes());
    id
}

/// User and system time of this process.
fn cpu_micros() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let mut fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
    let mut ticks = || fields.next().unwrap().parse::<u64>().unwrap();
    (ticks() + ticks()) * 10_000
}
