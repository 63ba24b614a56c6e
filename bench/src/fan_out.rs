//! How long a change takes to reach all who watch: each carries its number, and when it was sent is kept here.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;

use crate::{Latencies, latencies};

/// Digits of a change's number, in hexadecimal.
const DIGITS: usize = 16;

/// When changes were sent, and how long they took to whoever watches.
pub struct FanOut {
    begun: Instant,
    /// Nanoseconds since `begun`, by the change's number.
    sent: Vec<AtomicU64>,
    is_counting: AtomicBool,
    deliveries: Mutex<Latencies>,
    mark: memchr::memmem::Finder<'static>,
}

impl FanOut {
    /// For so many changes, whose numbers are behind `mark` in what is received.
    pub fn new(changes_max: usize, mark: &'static str) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            sent: (0..changes_max).map(|_| AtomicU64::new(0)).collect(),
            is_counting: AtomicBool::new(false),
            deliveries: Mutex::new(latencies()),
            mark: memchr::memmem::Finder::new(mark),
        })
    }

    /// A number as it must stand behind the mark.
    pub fn number(number: u64) -> String {
        format!("{number:0DIGITS$x}")
    }

    /// This change is sent now.
    pub fn sending(&self, number: u64) -> anyhow::Result<()> {
        let at = self.sent.get(usize::try_from(number)?).context("too many changes")?;
        at.store(self.now(), Ordering::Relaxed);
        Ok(())
    }

    /// From now on deliveries count, or not any more.
    pub fn count(&self, is_counting: bool) {
        self.is_counting.store(is_counting, Ordering::Relaxed);
    }

    /// Somebody has received this much, in which whole changes are. Answers how many bytes at the end were not looked at
    /// since they may be the beginning of one.
    pub fn received(&self, bytes: &[u8]) -> anyhow::Result<usize> {
        let now = self.now();
        let mut start = 0;
        while let Some(found) = self.mark.find(&bytes[start..]) {
            let at = start + found + self.mark.needle().len();
            let Some(digits) = bytes.get(at..at + DIGITS) else { return Ok(bytes.len() - start) };
            self.delivered(u64::from_str_radix(std::str::from_utf8(digits)?, 16)?, now);
            start = at + DIGITS;
        }
        Ok((bytes.len() - start).min(self.mark.needle().len() + DIGITS))
    }

    fn delivered(&self, number: u64, now: u64) {
        if !self.is_counting.load(Ordering::Relaxed) {
            return;
        }
        let sent = usize::try_from(number).ok().and_then(|number| self.sent.get(number));
        let sent = sent.map_or(0, |sent| sent.load(Ordering::Relaxed));
        // Number 0 is what was there before.
        if number > 0 && sent > 0 {
            let mut deliveries = self.deliveries.lock().expect("nobody panics with it");
            deliveries.saturating_record((now.saturating_sub(sent) / 1000).max(1));
        }
    }

    /// What was counted.
    pub fn deliveries(&self) -> Latencies {
        self.deliveries.lock().expect("nobody panics with it").clone()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
