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
//! - Which configured route takes a request follows from the routes alone, not from their order, where one is more
//!   specific than the other ([`RouteIndex`]).
//!
//! What it is **not**: it opens no connection and verifies no signature; time and randomness come in as arguments.
//!
//! Start reading at [`Route::of`].
#![warn(missing_docs)]

mod balance;
mod deadline;
mod forwarded;
mod frame;
mod idempotency;
mod index;
mod limit;
mod outliers;
mod path;
mod pattern;
mod retry;
mod route;
mod split;
mod template;
mod wire;

pub use balance::{BalanceRules, Load, PeakEwma, choose};
pub use deadline::{
    ParseDeadlineError, format_grpc_timeout, format_request_timeout, parse_grpc_timeout,
    parse_request_timeout,
};
pub use forwarded::{ForwardedFor, client_address};
pub use frame::{FrameError, FrameGate, FrameRefusal};
pub use idempotency::{KeyState, KeyVerdict, RequestDigest};
pub use index::{Asked, HeaderRule, HostPattern, ParseHostError, RouteIndex, Rule, normal_host};
pub use limit::{Cell, Quota, Rate, RateError, Used, Verdict};
pub use outliers::{OutlierRules, Outliers};
pub use path::{NormalPath, ParsePathError};
pub use pattern::{Captures, End, ParsePatternError, Pattern};
pub use retry::{Breaker, BreakerRules, BreakerState, Priority, RetryBudget};
pub use route::{Access, OwnEndpoint, Required, Role, Route, RouteFamily, Target};
pub use split::{Split, SplitError};
pub use template::{ParseTemplateError, PathText, RequiredScope, Rewrite};
pub use wire::{Refusal, WireError, WireGate, is_host};
