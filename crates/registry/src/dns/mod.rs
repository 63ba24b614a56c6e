//! Services by DNS (RFC 1035, SRV of RFC 2782): only those that take traffic, in an order that follows their weights.
//!
//! - `question.rs` says what a name asks for, `answer.rs` what is answered: both pure, over what is registered.
//! - `records.rs` makes records of instances, `order.rs` shuffles them.
//! - `server.rs` is the sockets: one datagram, or one framed message of a connection, at a time, everything bounded.
//!
//! The codec is `hickory-proto`. There is no recursion, no zone transfer and no cache: an answer is made from the view each
//! time and lives for seconds.

mod answer;
mod config;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod order;
mod question;
mod records;
mod server;

pub use config::DnsConfig;
pub use server::Dns;
