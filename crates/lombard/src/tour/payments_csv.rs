//! The payments of the tour, and what the books must say after them.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// One row of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payment {
    pub(super) payment_id: String,
    #[serde(rename = "created_at")]
    _created_at: String,
    pub(super) payer: String,
    pub(super) payee: String,
    pub(super) currency: String,
    pub(super) amount: String,
    pub(super) reference: String,
}

impl Payment {
    /// Whether the money comes from outside the books: such a payment funds an account.
    pub(super) fn is_funding(&self) -> bool {
        is_outside(&self.payer)
    }
}

/// Accounts under `world/` stand for everything outside the books: they may fall without limit.
pub(super) fn is_outside(path: &str) -> bool {
    path.starts_with("world/")
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Payment>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| {
        format!("failed to open {}: run this in the folder of the source code, or name a file with --csv", path.display())
    })?;
    let payments: Vec<Payment> = reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("failed to read {}", path.display()))?;
    ensure!(!payments.is_empty(), "{} has no payments", path.display());
    Ok(payments)
}

/// A sum of decimal strings, exact and signed: the tour's own arithmetic, which shares nothing with the ledger's.
///
/// Kept as millionths of a millionth, so that every scale up to 12 fits without rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum(i128);

const FRACTION_DIGITS: usize = 12;

impl Sum {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        ensure!(fraction.len() <= FRACTION_DIGITS, "{text:?} has too many digits");
        let number: i128 = format!("{whole}{fraction:0<FRACTION_DIGITS$}")
            .parse()
            .with_context(|| format!("{text:?} is not an amount"))?;
        Ok(Self(sign * number))
    }

    fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn subtract(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

/// What every account must hold after all payments, computed from the file alone.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Path and currency to what flowed in less what flowed out.
    pub(super) balances: BTreeMap<(String, String), Sum>,
    /// Currency to the sum of all payments.
    pub(super) turnover: BTreeMap<String, Sum>,
}

pub(super) fn expect(payments: &[Payment]) -> anyhow::Result<Expected> {
    let mut expected = Expected::default();
    for payment in payments {
        let amount = Sum::parse(&payment.amount)?;
        let mut balance = |path: &str, book: fn(&mut Sum, Sum)| {
            let key = (path.to_owned(), payment.currency.clone());
            book(expected.balances.entry(key).or_default(), amount);
        };
        balance(&payment.payer, Sum::subtract);
        balance(&payment.payee, Sum::add);
        expected.turnover.entry(payment.currency.clone()).or_default().add(amount);
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact() {
        let mut sum = Sum::default();
        for text in ["0.1", "0.2", "1000000", "-0.3", "-1000000.000"] {
            sum.add(Sum::parse(text).unwrap());
        }
        assert_eq!(sum, Sum::default());
        assert!(Sum::parse("1e3").is_err());
        assert!(Sum::parse("0.1234567890123").is_err());
    }
}
