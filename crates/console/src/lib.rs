//! The console role: one page that shows what the platform does, server-rendered and without scripts.
//!
//! - `credentials.rs` and `tokens.rs`: the browser sends an OAuth client's id and secret by HTTP Basic; they are
//!   exchanged for access tokens, one for each resource.
//! - `read/` asks the public APIs, in parallel and within limits. What cannot be read is a value that says why.
//! - `page/` turns what was read into HTML.
//!
//! **Invariants**
//! - The console has no rights of its own: it reads with what the browser's client may read, through the gateway.
//! - A section that cannot be read says why in a sentence; the others are shown all the same.
//! - Everything that comes from outside is escaped, and the page's policy permits no script.
//! - Secrets and tokens are in no log, no page and no URL; tokens are found by a digest of the credentials only.
//!
//! What it is **not**: it writes nothing, keeps nothing durable, and knows no role's internals.
//!
//! Start reading at [`Console`].
#![warn(missing_docs)]

mod config;
mod credentials;
mod metrics;
mod page;
mod read;
mod service;
mod tokens;

pub use config::Config;
pub use service::{Console, Deps, NewError};
