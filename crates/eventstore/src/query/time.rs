//! What had happened at a time.

use lombard_engine::decode_record_time;
use lombard_types::{Position, Timestamp};

use super::{QueryError, Reader};

impl Reader {
    /// The first record that was recorded after `time`; where there is none, the first that is not durable yet. The
    /// times of records strictly increase.
    pub(crate) async fn end_at(&self, time: Timestamp) -> Result<Position, QueryError> {
        let (mut first, mut end) = (0, self.durable().get());
        while first < end {
            let middle = first + (end - first) / 2;
            if self.time_of(Position::new(middle)).await? <= time {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(Position::new(first))
    }

    async fn time_of(&self, position: Position) -> Result<Timestamp, QueryError> {
        let records = self.log.read(position, 1).await?;
        let record = records.first().ok_or(QueryError::Missing { record: position })?;
        decode_record_time(record).map_err(|source| QueryError::Decode { record: position, source })
    }
}
