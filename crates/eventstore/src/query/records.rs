//! Reads records one after the other, and ahead where they follow each other.

use std::{collections::VecDeque, sync::Arc};

use lombard_log::Record;
use lombard_types::Position;

use super::{QueryError, Reader};
use crate::codec::{self, StoredRecord};

/// Bytes read at once where several records in a row are wanted.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// A reader's place in the log: whoever goes on reading there keeps it, so that a record of many events is read and
/// decoded once.
pub(crate) struct Records<'a> {
    reader: &'a Reader,
    ahead: VecDeque<Record>,
    current: Option<Arc<StoredRecord>>,
}

impl<'a> Records<'a> {
    pub(crate) fn new(reader: &'a Reader) -> Self {
        Self { reader, ahead: VecDeque::new(), current: None }
    }

    /// The record at a position, which is durable. `is_run`: the one after it will be wanted next.
    pub(super) async fn get(
        &mut self,
        position: Position,
        is_run: bool,
    ) -> Result<Arc<StoredRecord>, QueryError> {
        if let Some(current) = &self.current
            && current.recorded.position == position
        {
            return Ok(Arc::clone(current));
        }
        let missing = || QueryError::Missing { record: position };
        while self.ahead.front().is_some_and(|record| record.position != position) {
            self.ahead.pop_front();
        }
        if self.ahead.is_empty() {
            let bytes_max = if is_run { READ_AHEAD_BYTES } else { 1 };
            self.ahead = self.reader.log.read(position, bytes_max).await?.into();
        }
        let record = self.ahead.pop_front().filter(|record| record.position == position);
        let decoded = codec::decode_record(&record.ok_or_else(missing)?)
            .map_err(|source| QueryError::Decode { record: position, source })?;
        let decoded = Arc::new(decoded);
        self.current = Some(Arc::clone(&decoded));
        Ok(decoded)
    }
}

impl Reader {
    /// One record, which is durable.
    pub(crate) async fn record(&self, position: Position) -> Result<Arc<StoredRecord>, QueryError> {
        Records::new(self).get(position, false).await
    }
}
