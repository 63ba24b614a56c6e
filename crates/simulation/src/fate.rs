//! How a life ends, and what else happens in it.

use std::{cell::Cell, fs, path::Path, time::Duration};

use tokio::time::Instant;

use crate::{Dice, Nature};

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The power goes at a change of the disk, wherever that falls.
    PowerLoss {
        /// The change, from now on.
        changes: u64,
    },
    /// The process is killed; the disk goes on.
    Kill {
        /// In virtual time.
        after: Duration,
    },
    /// The disk fails to sync, so that the role stops by itself; then it is killed, or the power goes.
    FailedSync {
        /// In virtual time.
        after: Duration,
        /// Which of both.
        is_power_lost: bool,
    },
    /// The process is asked to end.
    Stop {
        /// In virtual time.
        after: Duration,
    },
}

impl Fate {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let after = dice.pause(250);
        match dice.roll(8) {
            0..3 => Self::PowerLoss { changes: dice.roll(150) },
            3..5 => Self::Kill { after },
            5..7 => Self::FailedSync { after, is_power_lost: dice.is_one_in(2) },
            _ => Self::Stop { after },
        }
    }

    /// Lets it happen. Returns when the life is over.
    pub(crate) async fn happen(self, nature: &Nature, is_stopped: &Cell<bool>, dice: &mut Dice) {
        if let Self::PowerLoss { changes } = self {
            nature.disk.cut_power_after(changes);
        }
        let after = match self {
            // Where nobody writes any more, it goes in the end.
            Self::PowerLoss { .. } => Duration::from_secs(2),
            Self::Kill { after } | Self::FailedSync { after, .. } | Self::Stop { after } => after,
        };
        let is_full_disk = dice.is_one_in(3);
        let (full_from, full_to) = (dice.pause(60), Duration::from_millis(60) + dice.pause(60));
        let mut time = Duration::ZERO;
        while time < after && !is_stopped.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            time += Duration::from_millis(1);
            if is_full_disk && time == full_from {
                nature.was_full.set(true);
                nature.disk.set_bytes_max(nature.disk.bytes_used() + dice.roll(3000));
            }
            if is_full_disk && time == full_to {
                nature.disk.set_bytes_max(u64::MAX);
            }
            if dice.is_one_in(50) {
                nature.turn_clock(dice);
            }
        }
        nature.disk.set_bytes_max(u64::MAX);
        match self {
            Self::PowerLoss { .. } | Self::Kill { .. } => {}
            Self::FailedSync { .. } => {
                nature.disk.fail_syncs(true);
                if !is_stopped_within(PATIENCE, is_stopped).await {
                    // Where all clients have gone, as with an index that cannot be read, nobody writes, and no sync fails.
                    nature.is_ending.set(true);
                    until(is_stopped).await;
                }
            }
            Self::Stop { .. } => {
                nature.is_ending.set(true);
                until(is_stopped).await;
            }
        }
    }

    /// What it does to the disk, when nobody of this life is there any more.
    pub(crate) fn leave(self, nature: &Nature) {
        match self {
            Self::PowerLoss { .. } => {
                if !nature.disk.restore_power() {
                    nature.disk.crash();
                }
            }
            Self::FailedSync { is_power_lost: true, .. } => nature.disk.crash(),
            Self::Kill { .. } | Self::FailedSync { .. } | Self::Stop { .. } => nature.disk.kill(),
        }
    }
}

/// In virtual time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A role that does not stop is a failure, not a wait without end.
async fn until(is_stopped: &Cell<bool>) {
    assert!(is_stopped_within(PATIENCE, is_stopped).await, "the role does not stop");
}

async fn is_stopped_within(patience: Duration, is_stopped: &Cell<bool>) -> bool {
    let end = Instant::now() + patience;
    while !is_stopped.get() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    is_stopped.get()
}

/// Damages a file of a directory, or not. Answers whether it did.
pub(crate) fn damage_files(directory: &Path, dice: &mut Dice) -> bool {
    let kind = dice.roll(8);
    if kind > 2 {
        return false;
    }
    let Ok(entries) = fs::read_dir(directory) else { return false };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    if files.is_empty() {
        return false;
    }
    let file = &files[dice.roll(files.len() as u64) as usize];
    let mut bytes = fs::read(file).unwrap();
    match kind {
        0 => return fs::remove_file(file).is_ok(),
        1 => bytes.truncate(dice.roll(bytes.len() as u64 + 1) as usize),
        _ if bytes.is_empty() => return false,
        _ => {
            let at = dice.roll(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << dice.roll(8);
        }
    }
    fs::write(file, bytes).unwrap();
    true
}
