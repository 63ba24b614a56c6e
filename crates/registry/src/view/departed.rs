//! Services that do not exist any more, for those who still wait for their next change.

use std::collections::BTreeMap;

use lombard_types::ServiceName;

/// When each of the services that ceased to exist last did so. Bounded: of the others it is only known that it was not
/// later than some index, so that a waiter may wake once too often but never too late.
#[derive(Debug)]
pub(super) struct Departed {
    by_name: BTreeMap<ServiceName, u64>,
    /// One service at most for each index, since a record is about one service.
    by_index: BTreeMap<u64, ServiceName>,
    count_max: usize,
    forgotten: u64,
}

impl Departed {
    pub(super) const fn new(count_max: usize) -> Self {
        Self { by_name: BTreeMap::new(), by_index: BTreeMap::new(), count_max, forgotten: 0 }
    }

    pub(super) fn left(&mut self, name: ServiceName, index: u64) {
        self.came_back(&name);
        self.by_index.insert(index, name.clone());
        self.by_name.insert(name, index);
        while self.by_name.len() > self.count_max
            && let Some((index, name)) = self.by_index.pop_first()
        {
            self.by_name.remove(&name);
            self.forgotten = index;
        }
    }

    pub(super) fn came_back(&mut self, name: &ServiceName) {
        if let Some(index) = self.by_name.remove(name) {
            self.by_index.remove(&index);
        }
    }

    /// The index at which a service that does not exist ceased to, at the latest; 0 if it never existed.
    pub(super) fn since(&self, name: &ServiceName) -> u64 {
        self.by_name.get(name).copied().unwrap_or(self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_but_not_denied() {
        let name = |name: &str| name.parse::<ServiceName>().unwrap();
        let mut departed = Departed::new(2);
        departed.left(name("a"), 1);
        departed.left(name("b"), 2);
        assert_eq!((departed.since(&name("a")), departed.since(&name("never"))), (1, 0));
        departed.left(name("a"), 3);
        departed.came_back(&name("a"));
        departed.left(name("c"), 4);
        departed.left(name("d"), 5);
        assert_eq!(departed.since(&name("c")), 4);
        assert_eq!((departed.since(&name("b")), departed.since(&name("never"))), (2, 2));
    }
}
