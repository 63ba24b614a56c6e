//! How a life ends, and what else happens in it.

use std::{cell::Cell, fs, path::Path, time::Duration};

use super::{dice::Dice, world::World};

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The power goes at a change of the disk, wherever that falls.
    PowerLoss { changes: u64 },
    /// The process is killed; the disk goes on.
    Kill { after: Duration },
    /// The disk fails to sync, so that the store stops by itself; then it is killed, or the power goes.
    FailedSync { after: Duration, is_power_lost: bool },
    /// The process is asked to end.
    Stop { after: Duration },
}

impl Fate {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let after = dice.pause(250);
        match dice.roll(8) {
            0..3 => Self::PowerLoss { changes: dice.roll(150) },
            3..5 => Self::Kill { after },
            5..7 => Self::FailedSync { after, is_power_lost: dice.is_one_in(2) },
            _ => Self::Stop { after },
        }
    }

    /// Lets it happen. Returns when the life is over.
    pub(super) async fn happen(self, world: &World, is_stopped: &Cell<bool>, dice: &mut Dice) {
        if let Self::PowerLoss { changes } = self {
            world.disk.cut_power_after(changes);
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
                world.was_full.set(true);
                world.disk.set_bytes_max(world.disk.bytes_used() + dice.roll(3000));
            }
            if is_full_disk && time == full_to {
                world.disk.set_bytes_max(u64::MAX);
            }
            if dice.is_one_in(50) {
                world.turn_clock(dice);
            }
        }
        world.disk.set_bytes_max(u64::MAX);
        match self {
            Self::PowerLoss { .. } | Self::Kill { .. } => {}
            Self::FailedSync { .. } => {
                world.disk.fail_syncs(true);
                until(is_stopped).await;
            }
            Self::Stop { .. } => {
                world.is_ending.set(true);
                until(is_stopped).await;
            }
        }
    }

    /// What it does to the disk, when nobody of this life is there any more.
    pub(super) fn leave(self, world: &World) {
        match self {
            Self::PowerLoss { .. } => {
                if !world.disk.restore_power() {
                    world.disk.crash();
                }
            }
            Self::FailedSync { is_power_lost: true, .. } => world.disk.crash(),
            Self::Kill { .. } | Self::FailedSync { .. } | Self::Stop { .. } => world.disk.kill(),
        }
    }
}

/// Patience in virtual time: a store that does not stop is a failure, not a wait without end.
async fn until(is_stopped: &Cell<bool>) {
    for _ in 0..5_000 {
        if is_stopped.get() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the store does not stop");
}

/// Damages a file of the index, or not. Answers whether it did.
pub(super) fn damage_index(index: &Path, dice: &mut Dice) -> bool {
    let kind = dice.roll(8);
    if kind > 2 {
        return false;
    }
    let Ok(entries) = fs::read_dir(index) else { return false };
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
