//! What simulations of roles have in common: chance that follows from a seed, virtual time under a clock that jumps, a disk
//! that loses power, tears and forgets writes, fails to sync and fills up, a log on it, and actors on one thread.
//!
//! A run is some *lives* of a role. In each, clients work until the life ends as its [`Fate`] has it; then the role starts again
//! on what is left. A role brings its clients and a model of what must be true ([`Role`]); [`run`] has it live.
//!
//! Everything is on one thread, in an order that follows from the seed: nothing has a thread of its own, and the log's
//! work is done a step at a time. So a seed that fails fails again, and leaves the same [`Nature::trace`].
//!
//! What it is **not**: part of the product. Only tests depend on it.
#![warn(missing_docs)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a simulation that finds something else than it expects must fail, and says with which seed"
)]

mod actors;
mod audit;
mod dice;
mod fate;
mod ground;
mod nature;
mod run;

pub use actors::{Actor, Actors, paced};
pub use dice::Dice;
pub use ground::{ENGINE, Ground, LOG, all_records};
pub use nature::Nature;
pub use run::{Born, Role, find_out_lies, run_seeds, run_twice};
