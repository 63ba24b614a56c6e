//! The whole role from a seed: machine, codec, index, engine, log, feed and Merkle tree, with clients, on a disk that loses
//! power, tears and forgets writes, fails to sync and fills up, under a clock that jumps.
//!
//! Lives, fates, disk and clock are those of `lombard-simulation`. In each life, clients ([`writer`], [`onlookers`]) work until
//! it ends; then the store starts again on what is left. [`history`] holds what must be true, and is the model.
//!
//! One seed again: `LOMBARD_SEED=42 cargo test -p lombard-eventstore simulation`. More seeds:
//! `cargo xtask simulate --seeds 1000`.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a simulation that finds something else than it expects must fail, and says with which seed"
)]

mod history;
mod life;
mod onlookers;
mod tests;
mod world;
mod writer;
