//! What the numbers were measured on.

use std::{fs, path::Path, thread};

/// A machine, as far as it matters for what is measured.
#[derive(Clone, Debug)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    file_system: String,
}

impl Machine {
    /// Looks at this machine and at the file system under a directory.
    pub fn look(directory: &Path) -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_mib: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default(),
            file_system: file_system(directory).unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// Prints it, and warns of others that are at work.
    pub fn print(&self) {
        let Self { processor, cores, memory_mib, kernel, file_system } = self;
        let (kernel, load) = (kernel.trim(), load_average());
        println!("machine: {processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}");
        println!("disk: {file_system}");
        println!("load average before: {load:.2}");
        if load > 0.3 {
            println!(
                "WARNING: others are at work here. Rates and latencies are too bad; trust CPU times and ratios."
            );
        }
        println!();
    }
}

/// The load average of the last minute.
fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// The value behind a name in a file of `name: value` lines.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Device and type of the file system that holds a directory: of the longest mount point that it begins with.
fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?, words.next()?))
        })
        .filter(|(_, at, _)| directory.starts_with(at))
        .max_by_key(|(_, at, _)| at.len())?;
    Some(format!("{}, {}", mount.0, mount.2))
}
