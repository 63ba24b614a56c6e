//! The state hash.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use super::{Snapshot, StateWriter};

/// SHA-256 of a machine's encoded state: equal for equal states of machines of one version.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash([u8; Self::BYTES]);

impl StateHash {
    /// Its length.
    pub const BYTES: usize = 32;

    /// The hash with these bytes.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    pub(super) fn of(context: Context) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateHash({self})")
    }
}

/// Hashes a machine's state without keeping its encoding.
pub fn state_hash<M: Snapshot>(machine: &M) -> StateHash {
    let mut context = Context::new(&SHA256);
    let mut update = |bytes: &[u8]| {
        context.update(bytes);
        Ok(())
    };
    let mut state = StateWriter::new(&mut update);
    machine.write_state(&mut state);
    // Hashing has nothing that could fail; a state with an item over the limit has the hash of what is before it.
    drop(state.finish());
    StateHash::of(context)
}
