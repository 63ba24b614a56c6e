//! The gateway's rules, pure: which path a request really names, where it goes and what it must show, and which
//! instance of a service gets it.
//!
//! **Invariants**
//! - There is one reading of a path: [`NormalPath`] is what is routed, authorized and forwarded. A path that two
//!   readers could read differently is refused, never repaired.
//! - What is beyond doubt on the wire ([`WireGate`]) is all that reaches a handler.
//! - Every route is either named public in [`Route::of`] or says the audience and the scope it takes; there is no
//!   third kind.
//! - A service that has instances always gets one chosen: ejection orders them, it never empties the list.
//!
//! What it is **not**: it opens no connection and verifies no signature; time and randomness come in as arguments.
//!
//! Start reading at [`Route::of`].
#![warn(missing_docs)]

mod balance;
mod path;
mod route;
mod wire;

pub use balance::{Load, choose, ejection};
pub use path::{NormalPath, ParsePathError};
pub use route::{Access, OwnEndpoint, Required, Role, Route, RouteFamily, Target};
pub use wire::{Refusal, WireError, WireGate};
