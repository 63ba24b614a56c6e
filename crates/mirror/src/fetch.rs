//! Copies what is new.

use std::convert::Infallible;

use lombard_log::{AppendError, Batch, RECORD_OVERHEAD_BYTES};

use crate::{MirrorError, Page, Source, SourceError, mirror::Shared};

/// Under this name health says how far the copy is.
const SOURCE: &str = "source";
const DISK: &str = "disk of the copy";

/// Copies for ever. Ends where the copy cannot go on.
pub(crate) async fn run(source: &impl Source, shared: &Shared) -> Result<Infallible, MirrorError> {
    loop {
        let from = shared.tail().get();
        let answered = source.records(from, shared.config.wait()).await;
        let failures = note_answer(shared, answered.as_ref());
        match answered {
            Ok(page) => append(shared, page).await?,
            Err(_) => tokio::time::sleep(shared.config.pause(failures)).await,
        }
    }
}

/// Counts an answer, and says what it means for the role. Answers how many have failed one after the other.
fn note_answer(shared: &Shared, answered: Result<&Page, &SourceError>) -> u32 {
    let mut state = shared.state.lock();
    match answered {
        Ok(page) => {
            if state.failures > 0 {
                tracing::info!(failures = state.failures, "the source answers again");
            }
            state.failures = 0;
            state.source_records = page.durable;
            shared.source_records.send_replace(Some(page.durable));
        }
        Err(error) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            if state.failures == 0 {
                tracing::warn!(%error, cause, "the source does not answer");
            }
            state.failures = state.failures.saturating_add(1);
            state.failures_total += 1;
            let copied = shared.tail().get();
            let said = format!("away ({error}); {copied} records of it are here");
            // What is here can be read; where nothing is, there is nothing to serve.
            if copied == 0 {
                shared.health.obstacle(SOURCE, said);
            } else {
                shared.health.clear(SOURCE);
                shared.health.note(SOURCE, said);
            }
        }
    }
    state.failures
}

async fn append(shared: &Shared, page: Page) -> Result<(), MirrorError> {
    let Page { records, durable } = page;
    let from = shared.tail();
    if durable < from.get() {
        return Err(MirrorError::Shorter { source_records: durable, copied_records: from.get() });
    }
    let mut batch = Batch::new();
    for (expected, record) in (from.get()..).zip(&records) {
        let found = record.position.get();
        if found != expected {
            return Err(MirrorError::Sequence { expected, found });
        }
        batch.push(&record.payload);
    }
    if !batch.is_empty() {
        make_room(shared, &batch).await?;
        shared.log.append(from, batch).await?;
    }
    note_lag(shared, durable);
    Ok(())
}

/// A full disk is waited out: the copy goes on by itself when there is space.
async fn make_room(shared: &Shared, batch: &Batch) -> Result<(), MirrorError> {
    let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
    let payloads = u64::try_from(batch.payload_bytes()).unwrap_or(u64::MAX);
    let bytes = payloads.saturating_add(count.saturating_mul(RECORD_OVERHEAD_BYTES));
    let mut failures = 0u32;
    loop {
        match shared.log.make_room(bytes).await {
            Ok(()) if failures == 0 => return Ok(()),
            Ok(()) => {
                shared.health.clear(DISK);
                return Ok(());
            }
            Err(error @ AppendError::Full { .. }) => {
                failures = failures.saturating_add(1);
                shared.health.obstacle(DISK, error.to_string());
                tokio::time::sleep(shared.config.pause(failures)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn note_lag(shared: &Shared, durable: u64) {
    let lag = durable.saturating_sub(shared.tail().get());
    let said = format!("{lag} records behind");
    if lag > shared.config.lag_records_max {
        shared.health.obstacle(SOURCE, said);
    } else {
        shared.health.clear(SOURCE);
        shared.health.note(SOURCE, said);
    }
}
