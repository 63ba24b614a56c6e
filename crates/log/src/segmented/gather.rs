//! How long the writer lets records gather before it syncs.
//!
//! Whoever has just been answered most often appends again at once. A writer that does not wait for that syncs two
//! halves of its appenders in turns, and a sync costs the same for a half as for the whole. So it waits for as many
//! records as it has just answered, for half of a sync at most; and where they do not come, it soon stops to wait.

use std::time::Duration;

/// No sync is waited for longer than this.
const PATIENCE_MAX: Duration = Duration::from_micros(500);
/// Groups that are not waited for after the wait was in vain: twice as many each time, up to two to this.
const DOUBLINGS_MAX: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Records of the last group.
    answered: usize,
    /// What writing and syncing it took.
    sync: Duration,
    /// Waits in vain, one after the other.
    in_vain: u32,
    /// Groups that are not waited for.
    skip: u32,
}

/// What is worth waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Records in the queue.
    pub(super) records: usize,
    pub(super) at_most: Duration,
}

impl Gather {
    /// A group was written, and is about to be answered.
    pub(super) fn written(&mut self, records: usize, sync: Duration) {
        self.answered = records;
        self.sync = sync;
    }

    /// How long to wait where `queued` records were there when the last group was answered.
    pub(super) fn wait(&mut self, queued: usize) -> Option<Wait> {
        if let Some(left) = self.skip.checked_sub(1) {
            self.skip = left;
            return None;
        }
        // One appender by itself has nobody to wait for, and a crowd fills a group without waiting.
        let is_worth_it = self.answered > 1 && queued <= 2 * self.answered;
        let at_most = (self.sync / 2).min(PATIENCE_MAX);
        is_worth_it.then_some(Wait { records: queued + self.answered, at_most })
    }

    /// The wait is over, and so many records are in the queue.
    pub(super) fn waited(&mut self, wait: Wait, queued: usize) {
        let missing = wait.records.saturating_sub(queued);
        if missing * 2 <= self.answered {
            self.in_vain = 0;
        } else {
            self.in_vain = (self.in_vain + 1).min(DOUBLINGS_MAX);
            self.skip = 1 << self.in_vain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(200);

    fn after(records: usize) -> Gather {
        let mut gather = Gather::default();
        gather.written(records, SYNC);
        gather
    }

    #[test]
    fn waits_for_those_who_were_answered() {
        let wait = after(16).wait(10);
        assert_eq!(wait, Some(Wait { records: 26, at_most: SYNC / 2 }));
    }

    #[test]
    fn does_not_wait_for_nobody_or_with_a_full_queue() {
        assert_eq!(after(0).wait(0), None);
        assert_eq!(after(1).wait(0), None);
        assert_eq!(after(16).wait(33), None);
    }

    #[test]
    fn waits_seldom_when_nobody_comes() {
        let mut gather = after(16);
        let waits = (0..1000).filter(|_| {
            let wait = gather.wait(0);
            wait.inspect(|wait| gather.waited(*wait, 3)).is_some()
        });
        assert!(waits.count() < 12, "each wait in vain is followed by twice as many groups");
    }

    #[test]
    fn waits_again_when_they_come() {
        let mut gather = after(16);
        gather.waited(Wait { records: 16, at_most: SYNC }, 3);
        while gather.wait(0).is_none() {}
        gather.waited(Wait { records: 16, at_most: SYNC }, 16);
        assert!(gather.wait(0).is_some());
    }
}
