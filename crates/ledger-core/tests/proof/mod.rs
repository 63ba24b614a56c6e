//! The book beside its reference model: the same random commands must give the same answers and the same balances.
//!
//! Not modelled: payment authorities, the chart of accounts, opening accounts and assets (`tests/model.rs` has those),
//! sets over the limit of transfers, and what only packed records can say.

#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "each test uses some of it, and may panic"
)]

pub mod beside;
pub mod generate;
pub mod model;
pub mod retry;

pub use beside::Beside;

/// Runs a history of so many operations from a seed. Where it goes wrong: after how many operations, and how.
pub fn run(seed: u64, operations: usize) -> Result<Beside, (usize, String)> {
    let mut done = 0;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut beside = Beside::new(seed);
        for _ in 0..operations {
            done += 1;
            beside.step()?;
        }
        beside.check_pendings()?;
        Ok(beside)
    }));
    match outcome {
        Ok(outcome) => outcome.map_err(|difference| (done, difference)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err((done, format!("panic: {}", text.unwrap_or_default())))
        }
    }
}
