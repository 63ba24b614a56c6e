//! A whole state in memory: for tests, fuzzing, and states that are known to be small.

use super::{Snapshot, StateReader, StateWriter};
use crate::DecodeError;

/// A machine's encoded state.
pub fn state_to_bytes<M: Snapshot>(machine: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut append = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        Ok(())
    };
    let mut state = StateWriter::new(&mut append);
    machine.write_state(&mut state);
    // Only an item over the limit is an error here; then the bytes are cut short, and reading them says so.
    drop(state.finish());
    bytes
}

/// Gives an encoded state to an empty machine.
pub fn state_from_bytes<M: Snapshot>(empty: M, mut bytes: &[u8]) -> Result<M, DecodeError> {
    let mut state = StateReader::new(&mut bytes);
    let machine = empty.read_state(&mut state)?;
    match state.finish() {
        Ok(true) => Ok(machine),
        Ok(false) | Err(_) => Err(DecodeError("bytes after the end of the state")),
    }
}
