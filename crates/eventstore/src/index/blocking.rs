//! Reads the log while nothing else runs yet.

use lombard_log::{ReadError, Record, SharedLog};
use lombard_types::Position;

/// The record at a position, if there is one. On a thread of its own, since the caller's may run a runtime already.
pub(super) fn read(log: &SharedLog, position: Position) -> Result<Option<Record>, ReadError> {
    let failed = |cause: &str| ReadError::Io { cause: cause.into() };
    let reading = log.read(position, 1);
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| failed(&error.to_string()))?;
        Ok(runtime.block_on(reading)?.into_iter().next())
    };
    let joined = std::thread::scope(|scope| scope.spawn(run).join());
    joined.unwrap_or_else(|_| Err(failed("the reading thread panicked")))
}
