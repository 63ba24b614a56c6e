//! Reads the log while nothing else runs yet.

use lombard_log::{ReadError, Record, SharedLog};
use lombard_types::Position;

/// The record at a position, if there is one.
pub(crate) fn read(log: &SharedLog, position: Position) -> Result<Option<Record>, ReadError> {
    Ok(read_each(log, &[position])?.into_iter().next())
}

/// The records at some positions, without those that are not there. On a thread of its own, since the caller's may run a
/// runtime already.
pub(crate) fn read_each(log: &SharedLog, positions: &[Position]) -> Result<Vec<Record>, ReadError> {
    let failed = |cause: &str| ReadError::Io { cause: cause.into() };
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| failed(&error.to_string()))?;
        let mut records = Vec::with_capacity(positions.len());
        for position in positions {
            records.extend(runtime.block_on(log.read(*position, 1))?.into_iter().next());
        }
        Ok(records)
    };
    let joined = std::thread::scope(|scope| scope.spawn(run).join());
    joined.unwrap_or_else(|_| Err(failed("the reading thread panicked")))
}
