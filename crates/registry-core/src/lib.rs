//! The rules of the registry: which instances of which services there are, and on whose word.
//!
//! A service has instances; each is registered by an OAuth client under a lease and goes away when it is taken back, or
//! when the lease runs out. [`Services`] is the state: [`Services::decide`] makes events of commands and
//! [`Services::apply`] makes them part of the state. Renewals are no events: [`Leases`] keeps the deadlines, in memory
//! only, and judges what runs out: whether the instance is gone, or whether rather the registry did not hear it. [`Probes`]
//! does the same for instances that the registry asks itself.
//!
//! **Invariants**
//! - An instance belongs to the client that registered it for as long as its lease lives; nobody else can replace it.
//! - Only the lease that an instance was registered under last can end it by running out.
//! - The index of a service, and of the whole, only grows: it is the position of the last record that changed it, plus
//!   one.
//! - Whatever keeps a lease alive that is not renewed ends by itself.
//! - A service without instances does not exist.
//! - Only an operator ends an operator's maintenance; registering again does not.
//!
//! What it is **not**: it reads no clock, draws no ids and does no I/O. Time and ids come in with the command.
//!
//! Start reading at [`Services`], then [`Leases`].
#![warn(missing_docs)]

mod address;
mod attributes;
mod check;
mod command;
mod decide;
mod event;
mod falls;
mod lease;
mod leases;
mod liveness;
mod probes;
mod services;
mod standing;
mod state;
mod suspicion;

pub use address::{Address, ParseAddressError, Scheme};
pub use attributes::{AttributeLimits, Attributes, AttributesError, Weight};
pub use check::{Check, GrpcService, ParseCheckError, Question, RequestPath};
pub use command::{Command, Limits, Rejection, Reply};
pub use decide::Decision;
pub use event::{Event, Evidence, Reason};
pub use falls::Falls;
pub use lease::{InstanceKey, Lease, LeaseId, ParseLeaseIdError, Ttl, TtlOutOfRange};
pub use leases::{Due, Ended, LeasePolicy, Leases, Uptime, Verdict};
pub use liveness::{Doubt, Liveness};
pub use probes::{Failure, Finding, Outcome, Probe, ProbePolicy, Probes};
pub use services::{Instance, Observation, Recorded, Service, Services};
pub use standing::{Health, Mode, Note, ParseHealthError, ParseNoteError, Standing};
pub use state::RestoreError;
