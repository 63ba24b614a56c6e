//! What every service needs, written once: configuration, logs, metrics, health, listening sockets, an HTTP server
//! with limits and drain, strict extractors, problems (RFC 9457), and authentication of requests.
//!
//! It knows no domain. A role gives [`serve`] a router; what the router may assume is in [`Context`] (who asked, under
//! which id), [`extract`] (bodies and parameters that are bounded and well-formed) and [`Authenticated`].
#![warn(missing_docs)]

pub mod authenticate;
mod client_certificate;
pub mod config;
pub mod context;
pub mod drain;
pub mod event_stream;
pub mod extract;
mod file_stamps;
pub mod keys;
pub mod listen;
pub mod openapi;
pub mod operations;
mod page;
mod problem;
pub mod problems;
mod refuse;
mod revocations;
mod server;
mod server_metrics;
pub mod telemetry;
pub mod tls;

pub use authenticate::Authenticated;
pub use client_certificate::{ClientCertificate, sha256 as certificate_sha256};
pub use context::Context;
pub use extract::{Json, Path, Query, RawBody};
pub use file_stamps::FileStamps;
pub use operations::{Health, Metrics};
pub use page::Page;
pub use problem::{DPOP_NONCE, Problem, ProblemType};
pub use server::{Server, ServerLimits, serve, serve_tls};
pub use tokio_util::sync::CancellationToken;
