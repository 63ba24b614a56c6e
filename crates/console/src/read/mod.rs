//! Reads what the page shows.

mod http;
mod ledger;
mod overview;
mod registry;
mod roles;
mod streams;
mod unreadable;

pub(crate) use http::Http;
pub(crate) use ledger::{Account, Transfer, TrialBalance};
pub(crate) use overview::{Overview, Reader};
pub(crate) use registry::{Service, ServiceList};
pub(crate) use roles::{Readiness, Role};
pub(crate) use streams::Stream;
pub(crate) use unreadable::Unreadable;
