//! CPU time, user and system.

use std::{collections::BTreeMap, fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Whose CPU time is counted.
#[derive(Clone, Copy, Debug)]
pub enum Cpu {
    /// All threads of this process.
    This,
    /// Another process and its descendants that are alive, from `/proc`: in ticks of 10 ms.
    Tree(u32),
}

impl Cpu {
    /// What was used so far.
    pub fn used(self) -> Duration {
        match self {
            Self::This => {
                let time = clock_gettime(ClockId::ProcessCPUTime);
                Duration::new(
                    u64::try_from(time.tv_sec).unwrap_or(0),
                    u32::try_from(time.tv_nsec).unwrap_or(0),
                )
            }
            Self::Tree(root) => tree(root),
        }
    }
}

struct Process {
    parent: u32,
    /// With that of its dead children.
    ticks: u64,
}

fn tree(root: u32) -> Duration {
    let all: BTreeMap<u32, Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|id| Some((id, process(id)?)))
        .collect();
    let is_in_tree = |mut id: u32| {
        while id != root {
            match all.get(&id) {
                Some(process) if process.parent != id => id = process.parent,
                _ => return false,
            }
        }
        true
    };
    let ticks: u64 =
        all.iter().filter(|(id, _)| is_in_tree(**id)).map(|(_, process)| process.ticks).sum();
    Duration::from_millis(ticks * 10)
}

/// Fields 4 and 14 to 17 of proc(5)'s `stat`; those before the end of the name are cut off.
fn process(id: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
    })
}
