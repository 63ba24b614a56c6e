//! The accounts that a command has touched so far, as it would leave them.

use crate::{Book, Totals, account::AccountIndex};

/// Up to this many accounts a search through the list is as fast as a table.
const SEARCHED_MAX: usize = 16;

/// What an account would be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    index: AccountIndex,
    pub(super) totals: Totals,
    pub(super) version: u64,
}

/// Where an account stands among the touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TouchIndex(usize);

/// A list, with an open-addressed table over it where it is long.
pub(super) struct Touched {
    list: Vec<Touch>,
    /// Places in the list, plus one; 0 is free. A power of two, at least twice as many as are touched.
    table: Vec<u32>,
}

impl Touched {
    /// For a command that touches about so many accounts.
    pub(super) fn new(count: usize) -> Self {
        let table = if count <= SEARCHED_MAX { 0 } else { (2 * count).next_power_of_two() };
        Self { list: Vec::with_capacity(count), table: vec![0; table] }
    }

    /// The place of an account, which is taken over from the book where it was not touched yet.
    pub(super) fn place(&mut self, book: &Book, index: AccountIndex) -> TouchIndex {
        if let Some(known) = self.find(index) {
            return known;
        }
        let account = book.account_at(index);
        let place = self.list.len();
        self.list.push(Touch { index, totals: account.totals, version: account.version });
        if 2 * self.list.len() > self.table.len() && self.list.len() > SEARCHED_MAX {
            self.grow();
        } else if !self.table.is_empty() {
            self.enter(index, place);
        }
        TouchIndex(place)
    }

    fn find(&self, index: AccountIndex) -> Option<TouchIndex> {
        if self.table.is_empty() {
            return self.list.iter().position(|touch| touch.index == index).map(TouchIndex);
        }
        let mask = self.table.len() - 1;
        let mut at = spread(index) & mask;
        loop {
            let place = usize::try_from(*self.table.get(at)?).ok()?.checked_sub(1)?;
            if self.list.get(place)?.index == index {
                return Some(TouchIndex(place));
            }
            at = (at + 1) & mask;
        }
    }

    fn enter(&mut self, index: AccountIndex, place: usize) {
        let mask = self.table.len() - 1;
        let mut at = spread(index) & mask;
        // Ends: the table is at most half full.
        while self.table.get(at).is_some_and(|taken| *taken != 0) {
            at = (at + 1) & mask;
        }
        if let (Some(free), Ok(number)) = (self.table.get_mut(at), u32::try_from(place + 1)) {
            *free = number;
        }
    }

    fn grow(&mut self) {
        self.table = vec![0; (4 * self.list.len()).next_power_of_two()];
        for place in 0..self.list.len() {
            if let Some(index) = self.list.get(place).map(|touch| touch.index) {
                self.enter(index, place);
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a place is only made for what is in the list")]
    pub(super) fn at(&self, place: TouchIndex) -> Touch {
        self.list[place.0]
    }

    #[expect(clippy::indexing_slicing, reason = "a place is only made for what is in the list")]
    pub(super) fn set(&mut self, place: TouchIndex, totals: Totals, version: u64) {
        let touch = &mut self.list[place.0];
        (touch.totals, touch.version) = (totals, version);
    }
}

/// Fibonacci hashing: accounts are numbered one after the other.
fn spread(index: AccountIndex) -> usize {
    usize::try_from(index.0.wrapping_mul(0x9e37_79b9) >> 7).unwrap_or(0)
}
