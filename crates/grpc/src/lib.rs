//! A gRPC server: HTTP/2 connections within limits, calls routed by path to typed handlers.
//!
//! ```text
//!  socket ─► connection (h2) ─► authenticate ─► route ─► handler
//!               │  one task drives the connection and all its calls: answers that become ready together
//!               │  leave in one write, and a group commit wakes the task once, not once for each call
//!               └─ keepalive, deadlines, drain
//! ```
//!
//! A role makes [`Routes`] of its methods and gives them to [`serve`]. Errors are the role's problems (RFC 9457): the
//! same table as over HTTP, written as `google.rpc.Status` ([`status`]).
//!
//! What it is **not**: no code generator and no middleware; a method is a path, two message types and a function.
//!
//! **Invariants**
//! - What comes from outside is bounded before it is read: connections, streams, headers, messages, time.
//! - A token that is remembered is as good as one that is verified anew: it expires at the same moment.
//! - A call that is refused for its size, its token or its form has had no effect.
#![warn(missing_docs)]

mod authentication;
mod call;
mod connection;
mod health;
mod incoming;
mod keepalive;
mod limits;
mod metrics;
mod outgoing;
pub mod problems;
mod routes;
mod server;
pub mod session;
pub mod status;

pub use call::Call;
pub use incoming::Incoming;
pub use limits::Limits;
pub use outgoing::{Begun, Outgoing};
pub use routes::{Method, Routes};
pub use server::{Server, serve};
