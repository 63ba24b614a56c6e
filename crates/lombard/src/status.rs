//! `lombard status`: what runs, whether it is ready, and what memory it takes.

use std::{fs, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    cli::{CommonArguments, OutputArguments},
    data_directory::DataDirectory,
    exit::CheckFailed,
    table,
    up::run_state::RunState,
};

#[derive(Serialize)]
struct Status {
    gateway: String,
    data_directory: String,
    processes: Vec<ProcessStatus>,
    /// Memory of all processes, pages that they share counted once.
    memory_bytes: u64,
}

#[derive(Serialize)]
struct ProcessStatus {
    name: &'static str,
    address: Option<String>,
    pid: Option<u32>,
    /// `None` for the supervisor, which serves nothing.
    is_ready: Option<bool>,
    ready_ms: Option<u64>,
    restart_count: u64,
    /// Proportional set size: shared pages are divided among the processes that share them.
    memory_bytes: Option<u64>,
    /// Resident set size: shared pages are counted in each process.
    resident_bytes: Option<u64>,
}

pub(crate) async fn run(common: &CommonArguments, output: OutputArguments) -> anyhow::Result<()> {
    let directory = DataDirectory::open(&common.data_dir)?;
    let state = RunState::read(&directory)?;
    let supervisor = ProcessStatus {
        name: "supervisor",
        address: None,
        pid: Some(state.supervisor_pid),
        is_ready: None,
        ready_ms: None,
        restart_count: 0,
        memory_bytes: memory(state.supervisor_pid, "Pss:"),
        resident_bytes: memory(state.supervisor_pid, "Rss:"),
    };
    let mut processes = vec![supervisor];
    for entry in &state.roles {
        let url = format!("http://{}", entry.address);
        processes.push(ProcessStatus {
            name: entry.role.name(),
            is_ready: Some(is_ready(&url).await),
            address: Some(url),
            pid: entry.pid,
            ready_ms: entry.ready_ms,
            restart_count: entry.restart_count,
            memory_bytes: entry.pid.and_then(|pid| memory(pid, "Pss:")),
            resident_bytes: entry.pid.and_then(|pid| memory(pid, "Rss:")),
        });
    }
    let status = Status {
        gateway: state.issuer,
        data_directory: directory.path().display().to_string(),
        memory_bytes: processes.iter().filter_map(|process| process.memory_bytes).sum(),
        processes,
    };
    if output.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print(&status);
    }
    let away: Vec<_> = status
        .processes
        .iter()
        .filter(|process| process.is_ready == Some(false))
        .map(|process| process.name)
        .collect();
    if away.is_empty() {
        Ok(())
    } else {
        Err(CheckFailed(format!("not ready: {}", away.join(", "))).into())
    }
}

async fn is_ready(url: &str) -> bool {
    let request =
        reqwest::Client::new().get(format!("{url}/readyz")).timeout(Duration::from_secs(2));
    request.send().await.is_ok_and(|answer| answer.status().is_success())
}

/// One line of the kernel's summary of a process's memory, in bytes.
fn memory(pid: u32, field: &str) -> Option<u64> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("no such process").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn print(status: &Status) {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let row = |process: &ProcessStatus| {
        let ready = process.is_ready.map(|is_ready| if is_ready { "yes" } else { "NO" }.to_owned());
        [
            process.name.to_owned(),
            or_dash(process.address.clone()),
            or_dash(process.pid.map(|pid| pid.to_string())),
            or_dash(ready),
            process.restart_count.to_string(),
            or_dash(process.memory_bytes.map(mebibytes)),
            or_dash(process.resident_bytes.map(mebibytes)),
        ]
    };
    let header = ["ROLE", "ADDRESS", "PID", "READY", "RESTARTS", "MEMORY", "RESIDENT"];
    let table = table::plain(header, status.processes.iter().map(row).collect(), &[2, 4, 5, 6]);
    println!("{table}\n");
    println!("Gateway {}", status.gateway);
    println!("Data    {}", status.data_directory);
    println!(
        "Memory  {} in all, pages that processes share counted once",
        mebibytes(status.memory_bytes)
    );
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}
