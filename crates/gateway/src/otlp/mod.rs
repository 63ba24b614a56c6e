//! Spans for a collector (OpenTelemetry protocol, OTLP over HTTP): one for each request that is recorded, sent in the background.
//! Nothing waits for it; what does not fit the queue, or is not taken in time, is lost and counted.

mod collector;
mod encode;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Method;
use lombard_chassis::CancellationToken;
use lombard_token::Claims;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

pub(crate) use self::collector::Collector;
use self::collector::PostError;
use crate::{cluster::Cluster, plan::Label, span::Span};

/// Spans that wait to be sent.
pub(crate) const SPANS_MAX: usize = 8192;
/// Spans of one message.
const BATCH_MAX: usize = 512;
/// How long a span waits for others at most.
const GATHER: Duration = Duration::from_millis(500);
/// How often one message is tried, and the pause before the second time; doubled with each.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// How long what is left is sent after the last request has ended.
const LEFT_TIMEOUT: Duration = Duration::from_secs(3);

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) span: Span,
    pub(crate) start: SystemTime,
    pub(crate) took: Duration,
    pub(crate) method: Method,
    pub(crate) path: Box<str>,
    pub(crate) request_id: Box<str>,
    pub(crate) route: Option<Label>,
    pub(crate) status: u16,
    /// The problem that it was refused with.
    pub(crate) refused: Option<&'static str>,
    pub(crate) upstream: Option<Arc<Cluster>>,
    pub(crate) claims: Option<Arc<Claims>>,
}

/// Where spans are handed over.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    pub(crate) queue: mpsc::Sender<Ended>,
    /// New traces that are recorded.
    pub(crate) percent: u32,
    pub(crate) lost: Counter,
}

impl Spans {
    pub(crate) fn tell(&self, ended: Ended) {
        if self.queue.try_send(ended).is_err() {
            self.lost.inc();
        }
    }
}

/// Sends until the requests have ended and the rest is sent, or given up.
pub(crate) async fn follow(
    mut collector: Collector,
    mut spans: mpsc::Receiver<Ended>,
    lost: Counter,
    have_ended: CancellationToken,
) {
    let instance = uuid::Uuid::new_v4().to_string();
    let send_all = async {
        while let Some(batch) = gather(&mut spans, &have_ended).await {
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let message = Bytes::from(encode::message(&instance, &batch));
            if let Err(error) = send(&mut collector, message).await {
                tracing::warn!(%error, spans = count, "failed to send spans to the collector");
                lost.inc_by(count);
            }
        }
    };
    let give_up = async {
        have_ended.cancelled().await;
        tokio::time::sleep(LEFT_TIMEOUT).await;
    };
    tokio::select! {
        () = send_all => {}
        () = give_up => tracing::warn!("what was left of the spans could not be sent in time"),
    }
}

/// The next spans; `None` once there will be no more.
async fn gather(
    spans: &mut mpsc::Receiver<Ended>,
    have_ended: &CancellationToken,
) -> Option<Vec<Ended>> {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    tokio::select! {
        biased;
        count = spans.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return None },
        () = have_ended.cancelled() => return None,
    }
    let rest = async {
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            if spans.recv_many(&mut batch, room).await == 0 {
                return;
            }
        }
    };
    tokio::select! {
        () = rest => {}
        () = tokio::time::sleep(GATHER) => {}
        () = have_ended.cancelled() => {}
    }
    Some(batch)
}

/// Tries again where the collector says that it is busy, or says nothing (OTLP specification, "Failures").
async fn send(collector: &mut Collector, message: Bytes) -> Result<(), PostError> {
    let mut pause = PAUSE;
    for _ in 1..TRIES_MAX {
        match collector.post(message.clone()).await {
            Err(error) if error.is_passing() => {
                tracing::debug!(%error, "spans are sent to the collector again");
            }
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    collector.post(message).await
}
