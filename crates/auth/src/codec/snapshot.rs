//! The state as a snapshot.
//!
//! ```text
//!  items of the state, in this order
//!  1 item        whether anything ever happened u8 | counts u64: clients, users, groups, second factors,
//!                passkeys, sessions, grants, logouts, opaque tokens, signing keys, revocations | numbers u64 of the last revocation and the
//!                last logout
//!  each client   by id: the fields of the event "client registered" in its newest version (`client.rs`)
//!  each person   by name, each group by name, each second factor by person, each passkey by id, each session, each grant by id, each logout by number, each opaque token by handle:
//!                the fields of their events
//!  each key      by kid (`signing_key.rs`)
//!  revocations   by number: number u64 | key, 16 bytes | at u64 | until u64
//! ```
//! Like the log, it holds digests of secrets and no secret. What is over is in none.

use lombard_auth_core::{Logouts, RestoreError, Revocations, State};
use lombard_engine::{DecodeError, Snapshot, StateReader, StateWriter, fields::Reader};
use lombard_token::{Revocation, RevocationKey};

use super::{
    client, flag, grant, logout, opaque_token, parse, passkey, put_time, second_factor, session,
    signing_key, time, user,
};
use crate::AuthMachine;

impl Snapshot for AuthMachine {
    const VERSION: u16 = 9;

    fn write_state(&self, writer: &mut StateWriter<'_>) {
        let State {
            clients,
            users,
            second_factors,
            passkeys,
            sessions,
            grants,
            logouts,
            opaque_tokens,
            signing_keys,
            revocations,
            has_history,
        } = &self.state;
        let counts = [
            clients.count(),
            users.count(),
            users.groups().len(),
            second_factors.iter().len(),
            passkeys.iter().len(),
            sessions.count(),
            grants.count(),
            logouts.iter().len(),
            opaque_tokens.iter().len(),
            signing_keys.iter().count(),
            revocations.count(),
        ];
        writer.item(|fields| {
            fields.put(&[u8::from(*has_history)]);
            for count in counts {
                fields.put(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
            }
            fields.put(&revocations.last_number().to_le_bytes());
            fields.put(&logouts.last_number().to_le_bytes());
        });
        clients.after(None).for_each(|client| writer.item(|fields| client::put(fields, client)));
        users.after(None).for_each(|person| writer.item(|fields| user::put(fields, person)));
        for (name, scope) in users.groups() {
            writer.item(|fields| {
                fields.text(name.as_str());
                fields.text(&scope.to_string());
            });
        }
        for factor in second_factors.iter() {
            writer.item(|fields| second_factor::put(fields, factor));
        }
        passkeys.iter().for_each(|passkey| writer.item(|fields| passkey::put(fields, passkey)));
        sessions.iter().for_each(|session| writer.item(|fields| session::put(fields, session)));
        grants.iter().for_each(|grant| writer.item(|fields| grant::put(fields, grant)));
        logouts.iter().for_each(|logout| writer.item(|fields| logout::put(fields, logout)));
        for (handle_sha256, claims) in opaque_tokens.iter() {
            writer.item(|fields| opaque_token::put(fields, handle_sha256, claims));
        }
        signing_keys.iter().for_each(|key| writer.item(|fields| signing_key::put(fields, key)));
        for (number, revocation) in revocations.after(0) {
            writer.item(|fields| {
                fields.put(&number.to_le_bytes());
                fields.put(&revocation.key.to_bytes());
                put_time(fields, revocation.at);
                put_time(fields, revocation.until);
            });
        }
    }

    fn read_state(self, reader: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let (
            has_history,
            [
                clients,
                users,
                groups,
                second_factors,
                passkeys,
                sessions,
                grants,
                logouts,
                opaque_tokens,
                signing_keys,
                revocations,
                last_number,
                last_logout,
            ],
        ) = reader.item(|fields| {
            let has_history = flag(fields)?;
            let mut numbers = [0; 13];
            for number in &mut numbers {
                *number = u64::from_le_bytes(fields.array()?);
            }
            Ok((has_history, numbers))
        })?;
        let mut state = State { has_history, ..State::default() };
        for _ in 0..clients {
            state.clients.restore(reader.item(client::v2)?).map_err(twice)?;
        }
        for _ in 0..users {
            state.users.restore_user(reader.item(user::read)?).map_err(twice)?;
        }
        for _ in 0..groups {
            let (name, scope) =
                reader.item(|fields| Ok((parse(fields.text()?)?, parse(fields.text()?)?)))?;
            state.users.restore_group(name, scope).map_err(twice)?;
        }
        for _ in 0..second_factors {
            state.second_factors.restore(reader.item(second_factor::read)?).map_err(twice)?;
        }
        for _ in 0..passkeys {
            state.passkeys.restore(reader.item(passkey::read)?).map_err(twice)?;
        }
        for _ in 0..sessions {
            state.sessions.restore(reader.item(session::read)?).map_err(twice)?;
        }
        for _ in 0..grants {
            state.grants.restore(reader.item(grant::read)?).map_err(twice)?;
        }
        state.logouts = Logouts::restored_after(last_logout);
        for _ in 0..logouts {
            state.logouts.restore(reader.item(logout::read)?).map_err(twice)?;
        }
        for _ in 0..opaque_tokens {
            let (handle_sha256, claims) = reader.item(opaque_token::read)?;
            state.opaque_tokens.restore(handle_sha256, claims).map_err(twice)?;
        }
        for _ in 0..signing_keys {
            state.signing_keys.restore(reader.item(signing_key::read)?).map_err(twice)?;
        }
        state.revocations = Revocations::restored_after(last_number);
        for _ in 0..revocations {
            let (number, revocation) = reader.item(revocation)?;
            state.revocations.restore(number, revocation);
        }
        Ok(Self { state })
    }
}

fn revocation(fields: &mut Reader<'_>) -> Result<(u64, Revocation), DecodeError> {
    let number = u64::from_le_bytes(fields.array()?);
    let key = RevocationKey::from_bytes(fields.array()?);
    Ok((number, Revocation { key, at: time(fields)?, until: time(fields)? }))
}

fn twice(RestoreError::Twice: RestoreError) -> DecodeError {
    DecodeError("two have one id")
}

#[cfg(test)]
mod tests;
