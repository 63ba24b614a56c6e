//! The clients as a snapshot.
//!
//! ```text
//!  items of the state, in this order
//!  1 item        whether anything ever happened u8 | count of clients u64 | count of revocations u64 | last number u64
//!  each client   by id: the fields of the event "client registered" in its newest version (`client.rs`)
//!  revocations   by number: number u64 | key, 16 bytes | at u64 | until u64
//! ```
//! Like the log, it holds digests of secrets and no secret.

use lombard_auth_core::{Clients, Revocations};
use lombard_engine::{DecodeError, Snapshot, StateReader, StateWriter};
use lombard_token::{Revocation, RevocationKey};

use super::{client, put_time, time};
use crate::AuthMachine;

impl Snapshot for AuthMachine {
    const VERSION: u16 = 3;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        let clients = &self.clients;
        state.item(|fields| {
            fields.put(&[u8::from(clients.has_history())]);
            let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
            let revocations = clients.revocations();
            for number in
                [count(clients.count()), count(revocations.count()), revocations.last_number()]
            {
                fields.put(&number.to_le_bytes());
            }
        });
        for client in clients.after(None) {
            state.item(|fields| client::put(fields, client));
        }
        for (number, revocation) in clients.revocations().after(0) {
            state.item(|fields| {
                fields.put(&number.to_le_bytes());
                fields.put(&revocation.key.to_bytes());
                put_time(fields, revocation.at);
                put_time(fields, revocation.until);
            });
        }
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let (has_history, [count, revocations, last_number]) = state.item(|fields| {
            let has_history = match fields.byte()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError("a flag is neither 0 nor 1")),
            };
            let mut numbers = [0; 3];
            for number in &mut numbers {
                *number = u64::from_le_bytes(fields.array()?);
            }
            Ok((has_history, numbers))
        })?;
        let mut restored = Vec::new();
        for _ in 0..count {
            restored.push(state.item(client::v2)?);
        }
        let mut kept = Revocations::restored_after(last_number);
        for _ in 0..revocations {
            let (number, revocation) = state.item(|fields| {
                let number = u64::from_le_bytes(fields.array()?);
                let key = RevocationKey::from_bytes(fields.array()?);
                Ok((number, Revocation { key, at: time(fields)?, until: time(fields)? }))
            })?;
            kept.restore(number, revocation);
        }
        let mut clients = Clients::restored(has_history, kept);
        for client in restored {
            clients.restore(client).map_err(|_| DecodeError("two clients have one id"))?;
        }
        Ok(Self { clients })
    }
}

#[cfg(test)]
mod tests;
