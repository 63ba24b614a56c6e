//! Kills the ledger with SIGKILL while payments are under way.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::sync::watch;

use crate::{data_directory::DataDirectory, role::Role, up::run_state::RunState};

/// How long a killed ledger may take to be ready again.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// One kill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) pid: u32,
    /// Payments that were done at that moment.
    pub(super) done: usize,
    /// From the kill to the new process's first ready answer.
    pub(super) away: Duration,
}

/// Kills at `count` moments chosen from `seed`, spread over all payments; watches `done` for them.
pub(super) async fn kill_in_the_middle(
    directory: DataDirectory,
    count: u32,
    seed: u64,
    payment_count: usize,
    mut done: watch::Receiver<usize>,
    on_kill: Arc<dyn Fn(&Kill) + Send + Sync>,
) -> anyhow::Result<Vec<Kill>> {
    let mut kills = Vec::new();
    for moment in moments(count, seed, payment_count) {
        done.wait_for(|done| *done >= moment)
            .await
            .context("the payments ended before the kill")?;
        let pid = ledger_pid(&directory).await?;
        let target = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("no such pid")?;
        let started = Instant::now();
        let at = *done.borrow();
        rustix::process::kill_process(target, rustix::process::Signal::KILL)
            .with_context(|| format!("failed to kill the ledger (pid {pid})"))?;
        while ledger_pid(&directory).await? == pid {
            ensure!(
                started.elapsed() < BACK_WITHIN,
                "the supervisor did not start the ledger again"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let kill = Kill { pid, done: at, away: started.elapsed() };
        on_kill(&kill);
        kills.push(kill);
    }
    Ok(kills)
}

/// Ascending counts of done payments, from a twentieth to nineteen twentieths of all.
fn moments(count: u32, seed: u64, payment_count: usize) -> Vec<usize> {
    let mut state = seed;
    let mut moments: Vec<usize> = (0..count)
        .map(|_| {
            // A step of an LCG with Knuth's constants; its high bits are random enough to choose a moment.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let thousandths = usize::try_from(state >> 33).unwrap_or(0) % 900 + 50;
            payment_count * thousandths / 1000
        })
        .collect();
    moments.sort_unstable();
    moments
}

/// The pid of a ledger that is ready.
async fn ledger_pid(directory: &DataDirectory) -> anyhow::Result<u32> {
    let started = Instant::now();
    loop {
        // The file is replaced whole, so a reading is one or the other state.
        let state = RunState::read(directory)?;
        if let Some(ledger) = state.role(Role::Ledger)
            && let (Some(pid), Some(_)) = (ledger.pid, ledger.ready_ms)
        {
            return Ok(pid);
        }
        ensure!(started.elapsed() < BACK_WITHIN, "the ledger did not become ready again");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lie_inside_and_follow_the_seed() {
        let chosen = moments(20, 7, 3000);
        assert_eq!(chosen, moments(20, 7, 3000));
        assert_ne!(chosen, moments(20, 8, 3000));
        assert!(chosen.is_sorted());
        assert!(chosen.iter().all(|moment| (150..2850).contains(moment)));
    }
}
