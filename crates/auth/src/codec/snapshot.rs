//! The clients as a snapshot.
//!
//! ```text
//!  items of the state, in this order
//!  1 item        whether anything ever happened u8 | count of clients u64
//!  each client   by id: the fields of the event "client registered" in its newest version (`client.rs`)
//! ```
//! Like the log, it holds digests of secrets and no secret.

use lombard_auth_core::Clients;
use lombard_engine::{DecodeError, Snapshot, StateReader, StateWriter};

use super::client;
use crate::AuthMachine;

impl Snapshot for AuthMachine {
    const VERSION: u16 = 2;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        let clients = &self.clients;
        state.item(|fields| {
            fields.put(&[u8::from(clients.has_history())]);
            fields.put(&u64::try_from(clients.count()).unwrap_or(u64::MAX).to_le_bytes());
        });
        for client in clients.after(None) {
            state.item(|fields| client::put(fields, client));
        }
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let (has_history, count) = state.item(|fields| {
            let has_history = match fields.byte()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError("a flag is neither 0 nor 1")),
            };
            Ok((has_history, u64::from_le_bytes(fields.array()?)))
        })?;
        let mut clients = Clients::restored(has_history);
        for _ in 0..count {
            let client = state.item(client::v2)?;
            clients.restore(client).map_err(|_| DecodeError("two clients have one id"))?;
        }
        Ok(Self { clients })
    }
}

#[cfg(test)]
mod tests;
