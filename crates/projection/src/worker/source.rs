//! The ledger's log, as a projection reads it.

use std::{fmt, sync::Arc, time::Duration};

use lombard_engine::{Codec, DecodeError, decode_record, decode_record_time};
use lombard_ledger_core::Event;
use lombard_log::{ReadError, SharedLog};
use lombard_types::{Position, Timestamp};
use tokio::sync::watch;

use crate::{
    books::{Books, BooksError},
    rows::Rows,
};

/// The log, how its events are stored, and which log it is.
pub(crate) struct Log<C> {
    pub(crate) log: SharedLog,
    pub(crate) codec: C,
    /// Its name in checkpoints; `None` while that is not known.
    pub(crate) origin: watch::Receiver<Option<Arc<str>>>,
    /// How many records the ledger has, as far as is known; not fewer than the log here.
    pub(crate) records: watch::Receiver<Option<u64>>,
}

impl<C: Clone> Clone for Log<C> {
    fn clone(&self) -> Self {
        Self {
            log: Arc::clone(&self.log),
            codec: self.codec.clone(),
            origin: self.origin.clone(),
            records: self.records.clone(),
        }
    }
}

impl<C> fmt::Debug for Log<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("log", &self.log).finish_non_exhaustive()
    }
}

/// The log cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("failed to read the log: {0}")]
    Read(#[from] ReadError),
    #[error("record {position} cannot be decoded: {source}")]
    Decode { position: Position, source: DecodeError },
    #[error("record {position} does not fit what came before: {source}")]
    Books { position: Position, source: BooksError },
}

impl<C: Codec<Event = Event>> Log<C> {
    pub(crate) fn durable(&self) -> Position {
        *self.log.durable().borrow()
    }

    /// When a record was decided; `None` where there is none.
    pub(crate) async fn time_of(&self, position: Position) -> Result<Option<Timestamp>, LogError> {
        let records = self.log.read(position, 1).await?;
        let Some(record) = records.first().filter(|record| record.position == position) else {
            return Ok(None);
        };
        let decoded = decode_record_time(record);
        decoded.map(Some).map_err(|source| LogError::Decode { position, source })
    }

    /// Learns durable records until there are `rows_max` rows, or no more records. Answers whether there were any.
    pub(crate) async fn learn(
        &self,
        books: &mut Books,
        rows: &mut Rows,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<bool, LogError> {
        let mut any = false;
        while rows.len() < rows_max {
            let records = self.log.read(books.position, bytes_max).await?;
            if records.is_empty() {
                break;
            }
            for record in &records {
                let position = record.position;
                let (mut ordinal, mut learned) = (0, Ok(()));
                let decoded = decode_record(&self.codec, record, |event, at| {
                    if learned.is_ok() {
                        learned = books.learn(&event, at, &mut ordinal, rows);
                    }
                });
                decoded.map_err(|source| LogError::Decode { position, source })?;
                learned.map_err(|source| LogError::Books { position, source })?;
                any = true;
                if rows.len() >= rows_max {
                    break;
                }
            }
        }
        Ok(any)
    }

    /// Waits until there are records from `position` on, for a bounded time. Answers whether there are.
    pub(crate) async fn wait_beyond(&self, position: Position, timeout: Duration) -> bool {
        let mut durable = self.log.durable();
        let more = durable.wait_for(|durable| *durable > position);
        matches!(tokio::time::timeout(timeout, more).await, Ok(Ok(_)))
    }
}
