//! Sends the payments through gateway, payment service, gateway and ledger, many at once, each until it is done.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use lombard_client::{Call, Error, Platform, Received, Transfer};
use reqwest::Method;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use super::payments_csv::Payment;

/// What came of one payment.
#[derive(Clone, Debug)]
pub(super) struct Booked {
    pub(super) transfer: Transfer,
    pub(super) request_id: Option<String>,
}

/// What came of all.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// By payment id.
    pub(super) booked: BTreeMap<String, Booked>,
    /// Tries beyond the first, of the tour itself.
    pub(super) retry_count: u64,
    /// Requests that the gateway lost its upstream for.
    pub(super) cut_off_count: u64,
    pub(super) took: Duration,
}

/// What the senders share.
pub(super) struct Sending {
    pub(super) platform: Platform,
    /// Before every account path of the file, so that one tour does not meet another's accounts.
    pub(super) prefix: String,
    pub(super) in_flight: usize,
    pub(super) progress: ProgressBar,
    pub(super) done: watch::Sender<usize>,
}

impl Sending {
    pub(super) async fn send_all(self: &Arc<Self>, payments: &[&Payment]) -> anyhow::Result<Sent> {
        let started = Instant::now();
        let payments: Arc<[Payment]> = payments.iter().map(|payment| (*payment).clone()).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let retries = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..self.in_flight.min(payments.len()) {
            let (sending, payments) = (Arc::clone(self), Arc::clone(&payments));
            let (next, retries) = (Arc::clone(&next), Arc::clone(&retries));
            senders.spawn(async move {
                let mut booked = Vec::new();
                while let Some(payment) = payments.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let received = sending.send(payment).await?;
                    retries.fetch_add(u64::from(received.try_count - 1), Ordering::Relaxed);
                    let result =
                        Booked { transfer: received.body, request_id: received.request_id };
                    booked.push((payment.payment_id.clone(), result));
                    sending.progress.inc(1);
                    sending.done.send_modify(|done| *done += 1);
                }
                anyhow::Ok(booked)
            });
        }
        let mut sent = Sent::default();
        while let Some(ended) = senders.join_next().await {
            sent.booked.extend(ended??);
        }
        sent.retry_count = retries.load(Ordering::Relaxed);
        sent.took = started.elapsed();
        Ok(sent)
    }

    async fn send(&self, payment: &Payment) -> anyhow::Result<Received<Transfer>> {
        let body = json!({
            "payer": format!("{}/{}", self.prefix, payment.payer),
            "payee": format!("{}/{}", self.prefix, payment.payee),
            "currency": payment.currency,
            "amount": payment.amount,
            "reference": payment.reference,
        });
        let call =
            |url| Call::new(Method::POST, url).json(body).idempotency_key(&payment.payment_id);
        match self.platform.call("/payments", "/v1/payments", call).await {
            Ok(received) => Ok(received),
            Err(Error::Refused(problem)) => bail!("{} was refused: {problem}", payment.payment_id),
            Err(error) => {
                Err(error).with_context(|| format!("{} did not get through", payment.payment_id))
            }
        }
    }
}
