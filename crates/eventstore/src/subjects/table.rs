//! Where each subject's slot is: 32 bits of its hash and 32 bits of place, 8 bytes a cell, at most three quarters full.

/// An open addressing table. It may name slots of other subjects too: whoever asks compares the whole hash.
#[derive(Debug)]
pub(super) struct Table {
    /// The fingerprint above, the slot's number plus one below; 0 is free. A power of two of them.
    cells: Vec<u64>,
    count: usize,
}

const CELLS_MIN: usize = 1024;

impl Table {
    pub(super) fn new() -> Self {
        Self { cells: vec![0; CELLS_MIN], count: 0 }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Slots that may be the subject's.
    pub(super) fn candidates(&self, hash: &[u8; 32]) -> impl Iterator<Item = u32> {
        let fingerprint = fingerprint(hash);
        let cells = probe(&self.cells, fingerprint).take_while(|cell| *cell != 0);
        cells.filter(move |cell| cell >> 32 == u64::from(fingerprint)).map(|cell| low(cell) - 1)
    }

    pub(super) fn insert(&mut self, hash: &[u8; 32], slot: u32) {
        if self.count * 4 >= self.cells.len() * 3 {
            self.grow();
        }
        place(&mut self.cells, u64::from(fingerprint(hash)) << 32 | (u64::from(slot) + 1));
        self.count += 1;
    }

    fn grow(&mut self) {
        let mut cells = vec![0; self.cells.len() * 2];
        for cell in self.cells.iter().filter(|cell| **cell != 0) {
            place(&mut cells, *cell);
        }
        self.cells = cells;
    }
}

fn fingerprint(hash: &[u8; 32]) -> u32 {
    let [a, b, c, d, ..] = *hash;
    u32::from_le_bytes([a, b, c, d])
}

fn low(cell: u64) -> u32 {
    u32::try_from(cell & u64::from(u32::MAX)).unwrap_or_default()
}

fn start(cells: &[u64], fingerprint: u32) -> usize {
    usize::try_from(fingerprint).unwrap_or_default() & (cells.len() - 1)
}

/// All cells, from a fingerprint's own on.
fn probe(cells: &[u64], fingerprint: u32) -> impl Iterator<Item = u64> {
    let (before, after) = cells.split_at(start(cells, fingerprint));
    after.iter().chain(before).copied()
}

fn place(cells: &mut [u64], cell: u64) {
    let own = start(cells, u32::try_from(cell >> 32).unwrap_or_default());
    let (before, after) = cells.split_at_mut(own);
    if let Some(free) = after.iter_mut().chain(before).find(|cell| **cell == 0) {
        *free = cell;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_found_however_it_grows() {
        let mut table = Table::new();
        let hash = |number: u32| super::super::hash(&number.to_string());
        for number in 0..10_000 {
            table.insert(&hash(number), number);
        }
        assert_eq!(table.count(), 10_000);
        assert!(table.cells.len() <= 16 << 10, "{} cells", table.cells.len());
        for number in 0..10_000 {
            assert!(table.candidates(&hash(number)).any(|slot| slot == number), "{number}");
        }
        // The same fingerprint, another subject: both are told.
        table.insert(&hash(7), 77_777);
        assert_eq!(table.candidates(&hash(7)).count(), 2);
    }
}
