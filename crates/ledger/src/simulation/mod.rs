//! The whole role from a seed: machine, codec, index of spent ids, engine, log and Merkle tree, with clients, on a disk that loses
//! power, tears and forgets writes, fails to sync, fills up and turns bits around, under a clock that jumps.
//!
//! Lives, fates, disk and clock are those of `lombard-simulation`. In each life, clients ([`writer`]) move money until it ends;
//! then the ledger starts again on what is left. [`history`] holds what must be true, and is the model.
//!
//! One seed again: `LOMBARD_SEED=42 cargo test -p lombard-ledger simulation`. More seeds:
//! `cargo xtask simulate --seeds 1000`.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a simulation that finds something else than it expects must fail, and says with which seed"
)]

mod flips;
mod history;
mod life;
mod tests;
mod think;
mod world;
mod writer;
