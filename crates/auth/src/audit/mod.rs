//! The audit: who was allowed or refused what, when, from where, and with which client, in the role's own log.
//!
//! A layer around the routes sees every request and its answer; handlers say what the request itself does not ([`Facts`]).
//! Entries are written some at a time. Whoever changes something as an administrator is answered after its entry is
//! durable; all others a moment before, and where entries cannot be written, requests wait. Of refusals, which anybody can cause,
//! so many a second have an entry each, and the others one together that says how many.
//!
//! **Invariant:** no secret, code, token or password is in an entry: facts are ids and names.

mod action;
mod budget;
mod layer;
mod query;

use std::{fmt, sync::Arc, time::Duration};

use axum::response::Response;
use lombard_auth_core::{AuditEntry, Command};
use lombard_chassis::Health;
use lombard_engine::Handle;
use tokio::sync::{mpsc, oneshot};

pub(crate) use layer::layer;
pub(crate) use query::{Filter, Place, Shown, page};

use crate::AuthMachine;
use budget::{Refusals, Taken};

/// Entries that may wait to be written. With more, requests wait.
const WAITING_MAX: usize = 4096;
/// Entries of one record: far below the size that a record may have.
const BATCH_MAX: usize = 64;
/// Longest text in an entry, in bytes.
const TEXT_BYTES_MAX: usize = 400;
/// How long entries gather.
const GATHER: Duration = Duration::from_millis(20);
/// Before trying again what could not be written.
const PAUSE: Duration = Duration::from_millis(200);

/// What a handler knows about its decision. Put into the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The client that asks.
    pub(crate) client: String,
    /// Whom it is about.
    pub(crate) subject: String,
    /// What exactly.
    pub(crate) detail: String,
    /// Why it is refused, where the status does not tell.
    pub(crate) refused: Option<&'static str>,
}

impl Facts {
    /// Says them with an answer.
    pub(crate) fn with(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// An entry, or only the question whether all before it are written.
struct Waiting {
    entry: Option<AuditEntry>,
    written: oneshot::Sender<()>,
}

/// Where entries go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    refusals: Arc<Refusals>,
    waiting: mpsc::Sender<Waiting>,
}

/// Writes entries.
pub(crate) struct Scribe {
    taken: mpsc::Receiver<Waiting>,
}

impl fmt::Debug for Scribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scribe").finish_non_exhaustive()
    }
}

impl Audit {
    /// Of refusals, so many a second are written each on its own.
    pub(crate) fn new(refusals_per_second_max: u32) -> (Self, Scribe) {
        let (waiting, taken) = mpsc::channel(WAITING_MAX);
        let refusals = Arc::new(Refusals::new(refusals_per_second_max));
        (Self { refusals, waiting }, Scribe { taken })
    }

    /// Takes an entry, and tells when it is durable.
    async fn take(&self, entry: AuditEntry) -> oneshot::Receiver<()> {
        let Taken { is_taken, others } = self.refusals.take(&entry);
        if let Some(others) = others {
            drop(self.send(Some(others)).await);
        }
        if is_taken { self.send(Some(bounded(entry))).await } else { oneshot::channel().1 }
    }

    /// Takes what the server has done by itself: nobody waits for it.
    pub(crate) async fn note(&self, entry: AuditEntry) {
        drop(self.take(entry).await);
    }

    /// Waits until all that was taken is durable.
    pub(crate) async fn flush(&self) {
        // Where nobody writes any more, there is nothing to wait for.
        self.send(None).await.await.unwrap_or(());
    }

    async fn send(&self, entry: Option<AuditEntry>) -> oneshot::Receiver<()> {
        let (written, is_written) = oneshot::channel();
        // Where nobody writes any more, whoever waits is told so by the channel.
        drop(self.waiting.send(Waiting { entry, written }).await);
        is_written
    }
}

impl Scribe {
    /// Writes until nobody is left who could say something.
    pub(crate) async fn run(mut self, writer: Handle<AuthMachine>, health: Health) {
        const WHAT: &str = "audit";
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.taken.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.gather(&mut batch).await;
            let entries = batch.iter().filter_map(|waiting| waiting.entry.clone());
            let entries: Vec<AuditEntry> = entries.collect();
            while !entries.is_empty()
                && let Err(error) = writer.submit(Command::Audit(entries.clone())).await
            {
                tracing::error!(%error, "failed to write the audit: requests wait for it");
                health.obstacle(WHAT, "the audit cannot be written");
                tokio::time::sleep(PAUSE).await;
            }
            health.clear(WHAT);
            for waiting in batch.drain(..) {
                // Most do not wait.
                waiting.written.send(()).unwrap_or(());
            }
        }
    }

    /// More entries, for a moment.
    async fn gather(&mut self, batch: &mut Vec<Waiting>) {
        if batch.len() < BATCH_MAX {
            tokio::time::sleep(GATHER).await;
        }
        while batch.len() < BATCH_MAX
            && let Ok(waiting) = self.taken.try_recv()
        {
            batch.push(waiting);
        }
    }
}

/// Nothing in an entry is longer than it may be, or would break a line.
fn bounded(entry: AuditEntry) -> AuditEntry {
    let text = |text: Box<str>| -> Box<str> {
        if text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control) {
            return text;
        }
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let kept = text.get(..end).unwrap_or_default();
        kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
    };
    AuditEntry {
        at: entry.at,
        action: text(entry.action),
        refused: entry.refused.map(text),
        client: text(entry.client),
        subject: text(entry.subject),
        address: text(entry.address),
        request_id: text(entry.request_id),
        detail: text(entry.detail),
    }
}
