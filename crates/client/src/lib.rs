//! Rust client of the platform: what a service needs to register itself, find others, verify its callers' tokens,
//! and move money, without knowing any role's internals.
//!
//! ```no_run
//! # async fn example() -> Result<(), lombard_client::Error> {
//! use lombard_client::{Credentials, NewTransfer, Platform};
//!
//! let platform = Platform::connect("http://127.0.0.1:8080", Credentials::secret("shop", "…")).await?;
//! let transfer = NewTransfer::new("customers/42/eur", "merchants/7/eur", "EUR", "12.50");
//! let posted = platform.ledger().create_transfer(&transfer, "order-1001").await?;
//! println!("{} at position {}", posted.id, posted.position);
//! # Ok(()) }
//! ```
//!
//! Every call has a deadline. Reads, and writes with an idempotency key, are tried again until then; the same key
//! gives the same answer however often it is sent, so a retry never moves money twice.
#![warn(missing_docs)]

mod access_token;
mod credentials;
mod error;
mod eventstore;
pub mod grpc;
mod http;
mod ledger;
mod platform;
mod registry;
mod verifier;

pub use access_token::{AccessToken, AccessTokens};
pub use credentials::Credentials;
pub use error::{Error, Problem};
pub use eventstore::{
    Appended, AppendedAll, Condition, ConsumerGroup, Criterion, DataSubject, DeadLetter, Delivery,
    EventStore, EventSubscription, Expected, GroupSettings, GroupState, NewEvent, RecordedEvent,
    Schema, SchemaPut, SchemaVersion, Selection, Settled, StreamAppend, SubjectState,
};
pub use http::{Authentication, Call, Exchange, Received};
pub use ledger::{
    Account, Asset, BalanceExplanation, Entry, Explanation, ImportFormat, ImportProblem, Imported,
    Ledger, NewAccount, NewTransfer, Page, Pending, Statement, Transfer, TrialBalance,
};
pub use platform::{Platform, PlatformBuilder};
pub use registry::{Health, Instance, Registration, Registry, ServiceChange, ServiceSummary};
pub use verifier::{Claims, Unauthorized, Verifier};
