//! Proves the result from what the ledger's public API says, against what the file says.

use std::collections::BTreeMap;

use anyhow::Context as _;
use lombard_client::{Account, Entry, Platform};

use super::{
    payments_csv::{Expected, Payment, Sum},
    send::Sent,
};

/// One thing that was checked.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) what: &'static str,
    pub(super) found: String,
    /// What differs; empty where all is as it must be.
    pub(super) differences: Vec<String>,
}

/// What the books say now.
#[derive(Debug)]
pub(super) struct Books {
    /// By path without the tour's prefix.
    accounts: BTreeMap<String, (Account, Vec<Entry>)>,
    /// Currency to debits and credits over the whole book.
    trial_balance: Vec<lombard_client::TrialBalance>,
}

impl Books {
    /// Reads every account of the tour with all its entries, as of at least `position`.
    pub(super) async fn read(
        platform: &Platform,
        prefix: &str,
        expected: &Expected,
        position: u64,
    ) -> anyhow::Result<Self> {
        let ledger = platform.ledger();
        let at_least = Some(position);
        let mut accounts = BTreeMap::new();
        for (path, _) in expected.balances.keys() {
            let account = ledger.account(&format!("{prefix}/{path}"), at_least).await?;
            let mut entries = Vec::new();
            let mut after = None;
            loop {
                let page = ledger.entries(&account.id, after.as_deref(), at_least).await?;
                entries.extend(page.items);
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            accounts.insert(path.clone(), (account, entries));
        }
        let trial_balance = ledger.trial_balance(at_least).await?;
        Ok(Self { accounts, trial_balance })
    }

    /// Every payment stands once on its payer's side and once on its payee's, and nothing else stands there.
    pub(super) fn every_payment_once(&self, payments: &[Payment], sent: &Sent) -> Check {
        let mut differences = Vec::new();
        let mut wanted: BTreeMap<(&str, &str, &str), &Payment> = BTreeMap::new();
        for payment in payments {
            let Some(booked) = sent.booked.get(&payment.payment_id) else {
                differences.push(format!("{} was never answered", payment.payment_id));
                continue;
            };
            for (path, side) in [(&payment.payer, "debit"), (&payment.payee, "credit")] {
                let id = booked.transfer.id.as_str();
                if let Some(other) = wanted.insert((path.as_str(), side, id), payment) {
                    differences.push(format!(
                        "{} and {} share transfer {id}",
                        other.payment_id, payment.payment_id
                    ));
                }
            }
        }
        let mut entry_count = 0;
        for (path, (_, entries)) in &self.accounts {
            for entry in entries {
                entry_count += 1;
                let key = (path.as_str(), entry.side.as_str(), entry.transfer_id.as_str());
                match wanted.remove(&key) {
                    Some(payment)
                        if Sum::parse(&entry.amount).ok() == Sum::parse(&payment.amount).ok() => {}
                    Some(payment) => differences.push(format!(
                        "{} of {} was booked as {}",
                        payment.payment_id, payment.amount, entry.amount
                    )),
                    None => differences.push(format!(
                        "{path}: {} {} is not wanted, or twice",
                        entry.side, entry.transfer_id
                    )),
                }
            }
        }
        differences.extend(wanted.iter().map(|((path, side, _), payment)| {
            format!("{} is missing as {side} of {path}", payment.payment_id)
        }));
        let found = format!("{} payments, {entry_count} entries", payments.len());
        Check { what: "every payment exactly once", found, differences }
    }

    pub(super) fn debits_equal_credits(&self) -> Check {
        let differences = self
            .trial_balance
            .iter()
            .filter(|line| line.debits != line.credits)
            .map(|line| {
                format!("{}: debits {} but credits {}", line.asset, line.debits, line.credits)
            })
            .collect();
        let found = format!("{} currencies", self.trial_balance.len());
        Check { what: "debits equal credits", found, differences }
    }

    pub(super) fn balances_as_computed(&self, expected: &Expected) -> Check {
        let mut differences = Vec::new();
        for ((path, currency), wanted) in &expected.balances {
            let Some((account, entries)) = self.accounts.get(path) else {
                differences.push(format!("{path} is missing"));
                continue;
            };
            let posted = Sum::parse(&account.balance.posted).ok();
            if posted != Some(*wanted) || account.asset != *currency {
                differences.push(format!("{path}: {} {}", account.balance.posted, account.asset));
            }
            let running = entries.last().and_then(|entry| Sum::parse(&entry.balance).ok());
            if running != posted {
                differences
                    .push(format!("{path}: the last entry's running balance is not the balance"));
            }
        }
        let found = format!("{} accounts", expected.balances.len());
        Check { what: "balances equal the file's sums", found, differences }
    }
}

/// Follows one payment from its HTTP request to the event and the balances.
pub(super) async fn trace(
    platform: &Platform,
    payment: &Payment,
    sent: &Sent,
    position: u64,
) -> anyhow::Result<(Check, serde_json::Value)> {
    let booked =
        sent.booked.get(&payment.payment_id).context("the payment to trace was not booked")?;
    let explained = platform.ledger().explain_transfer(&booked.transfer.id, Some(position)).await?;
    let said = |pointer: &str| explained.pointer(pointer).and_then(serde_json::Value::as_str);
    let mut differences = Vec::new();
    let recorded = said("/request/id");
    if recorded.is_none() || recorded != booked.request_id.as_deref() {
        differences.push(format!(
            "the ledger recorded request id {recorded:?}, but the gateway answered {:?}",
            booked.request_id
        ));
    }
    // The payment service puts its caller in front, so that two callers may choose the same key.
    let key = said("/command/idempotency_key").and_then(|key| key.split_once(':'));
    if key.is_none_or(|(_, key)| key != payment.payment_id) {
        differences.push("the ledger recorded another idempotency key".to_owned());
    }
    let found = format!("{} -> transfer {}", payment.payment_id, booked.transfer.id);
    Ok((Check { what: "one payment traced to its request", found, differences }, explained))
}
