//! The rules of the authorization server: which clients there are, and what may be granted to them.
//!
//! Pure: time, ids and digests come in with the command. [`Clients`] is the state, [`Clients::decide`] and
//! [`Clients::apply`] its rules; [`grant`] settles what a token may say, and writes nothing, because a grant that
//! creates no new right is no event.
//!
//! **Invariants**
//! - No secret is here, only SHA-256 digests of secrets that have 256 random bits.
//! - A grant is never wider than what the client is registered for, and is for exactly one resource.
#![warn(missing_docs)]

mod client;
mod clients;
mod grant;
mod revocations;

pub use client::{Authentication, Client, ClientName, InvalidClientName};
pub use clients::{Clients, Command, Decision, Event, Rejection, Reply, RestoreError};
pub use grant::{GrantError, Granted, Request, grant, resource_of_family};
pub use revocations::{Revocations, Target};
