//! The whole role from a seed: machine, codec, index, engine, log, feed and Merkle tree, with clients, on a disk that loses
//! power, tears and forgets writes, fails to sync and fills up, under a clock that jumps.
//!
//! Everything runs on one thread, in virtual time, in an order that follows from the seed: nothing has a thread of its
//! own, and the log's work is done by [`life`], a step at a time. So a seed that fails fails again.
//!
//! A run is some *lives* of the store. In each, clients ([`writer`], [`onlookers`]) work until the life ends as its [`fate`] has it;
//! then the store starts again on what is left. [`history`] holds what must be true, and is the model.
//!
//! One seed again: `LOMBARD_SEED=42 cargo test -p lombard-eventstore simulation`. More seeds:
//! `cargo xtask simulate --seeds 1000`.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a simulation that finds something else than it expects must fail, and says with which seed"
)]

mod dice;
mod fate;
mod history;
mod life;
mod onlookers;
mod tests;
mod world;
mod writer;
