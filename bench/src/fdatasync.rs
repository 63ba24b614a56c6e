//! What the disk can do: one writer, one write of so many bytes and one `fdatasync` each, into a file full of zeros.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use crate::{Cpu, Sample, sample};

/// Bytes of the file that is written round and round.
const FILE_BYTES: usize = 16 << 20;

/// Writes and syncs for as long as `window`. The file is removed afterwards.
pub fn fdatasync(directory: &Path, bytes: usize, window: Duration) -> anyhow::Result<Sample> {
    let file = tempfile::NamedTempFile::new_in(directory)?;
    file.as_file().write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.as_file().sync_all()?;
    let written = vec![7_u8; bytes];
    let file = OpenOptions::new().write(true).open(file.path())?;
    let mut latencies = sample::latencies();
    let (cpu, started) = (Cpu::This.used(), Instant::now());
    let mut offset = 0;
    while started.elapsed() < window {
        let asked = Instant::now();
        file.write_all_at(&written, u64::try_from(offset)?)?;
        file.sync_data()?;
        latencies.saturating_record(u64::try_from(asked.elapsed().as_micros())?.max(1));
        offset = if offset + 2 * bytes > FILE_BYTES { 0 } else { offset + bytes };
    }
    let (cpu, elapsed) = (Cpu::This.used().saturating_sub(cpu), started.elapsed());
    Ok(Sample { operations: latencies.len(), elapsed, cpu, latencies })
}
