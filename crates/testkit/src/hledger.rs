//! Debian's `hledger`: an accountant's program that is not ours, and adds up what the ledger exports.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, ensure};

/// What each account holds of each asset, debits less credits, where that is not zero.
pub type Balances = BTreeMap<(String, String), String>;

/// Whether it is installed (Debian: `hledger`).
pub fn is_there() -> bool {
    Command::new("hledger").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What it says of a journal.
pub fn balances(journal: &str) -> anyhow::Result<Balances> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), journal)?;
    let output = Command::new("hledger")
        .arg("-f")
        .arg(file.path())
        .args(["balance", "--flat", "--no-total", "--layout=bare", "-O", "csv"])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .context("failed to run hledger")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    text.lines().skip(1).map(|line| row(line).with_context(|| line.to_owned())).collect()
}

fn row(line: &str) -> Option<((String, String), String)> {
    let mut fields = line.trim_matches('"').split("\",\"").map(ToOwned::to_owned);
    let row = ((fields.next()?, fields.next()?), fields.next()?);
    fields.next().is_none().then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The canary: a journal in which one unit is missing has other balances.
    #[test]
    fn a_missing_unit_is_noticed() {
        if !is_there() {
            eprintln!("skipped: hledger is not installed (apt-get install hledger)");
            return;
        }
        let journal = |amount: &str| {
            format!("2026-01-01 * a\n    a:1  \"EUR\" {amount}\n    a:2  \"EUR\" -{amount}\n\n")
        };
        let found = balances(&journal("12.50")).unwrap();
        let balance = |account: &str, amount: &str| {
            ((account.to_owned(), "EUR".to_owned()), amount.to_owned())
        };
        assert_eq!(found, Balances::from([balance("a:1", "12.50"), balance("a:2", "-12.50")]));
        assert_ne!(found, balances(&journal("12.49")).unwrap());
    }
}
