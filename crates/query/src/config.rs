//! The read side's limits, each with its unit.

use serde::{Deserialize, Serialize};

/// How the read side is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Reads are answered by a process of its own, which follows the ledger over the network, not by the ledger's.
    pub separate: bool,
    /// Transfers after which what is in memory is handed to be written to disk.
    pub freeze_transfers: u64,
    /// Items of a page where the request does not say.
    pub page_items_default: usize,
    /// Items of a page, at most.
    pub page_items_max: usize,
    /// Accounts or transfers that one request may look at, where the answer is not kept ready.
    pub examined_max: usize,
    /// Entries of a statement, at most: of an account with more, shorter periods are sealed.
    pub statement_lines_max: usize,
    /// How long a read with `at_least` or `as_of` waits for the record that it names.
    pub wait_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            separate: false,
            freeze_transfers: 200_000,
            page_items_default: 100,
            page_items_max: 1000,
            examined_max: 10_000,
            statement_lines_max: 50_000,
            wait_ms_max: 2000,
        }
    }
}

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let checks = [
            (self.freeze_transfers > 0, "freeze_transfers is 0"),
            (self.page_items_default > 0, "page_items_default is 0"),
            (
                self.page_items_default <= self.page_items_max,
                "page_items_default is over page_items_max",
            ),
            (self.examined_max > 0, "examined_max is 0"),
            (self.statement_lines_max > 0, "statement_lines_max is 0"),
        ];
        let wrong = checks.into_iter().filter(|(is_right, _)| !is_right);
        wrong.map(|(_, mistake)| mistake.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Config::default().mistakes(), Vec::<String>::new());
        let config = Config { freeze_transfers: 0, page_items_max: 4, ..Config::default() };
        assert_eq!(config.mistakes().len(), 2);
    }
}
