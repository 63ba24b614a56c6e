//! The reference model at scale: histories of random commands, from as many seeds as are asked for.
//!
//! `LOMBARD_OPERATIONS` says how many operations; `LOMBARD_SEED` runs the history of one seed. The workspace optimizes this
//! crate for tests too, so that ten million take less than a minute on two cores, with all assertions; `cargo xtask model
//! --operations N` is for more.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test may panic, and tells what it saw"
)]

mod proof;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use lombard_ledger_core::{Book, HashSeed, RestoreBook, TransferRefusal, TransferRejection};
use proof::Beside;

/// Long enough for every kind of collision, short enough to be read.
const HISTORY: usize = 1000;
const OPERATIONS: u64 = 10_000_000;
/// From so many on, everything that can happen must have happened.
const ALL_SEEN: u64 = 1_000_000;

/// Results that no operation here can have: authorities are tried in `rules.rs`, packed records in the ledger's codec.
const NOT_MODELLED: [&str; 19] = [
    "authority_kind_not_covered",
    "authority_has_different_asset",
    "authority_has_different_debtor",
    "authority_has_different_creditor",
    "exceeds_authority_amount",
    "authority_used_up",
    "too_many_transfers",
    "reserved_flag",
    "id_must_not_be_zero",
    "id_must_not_be_int_max",
    "debit_account_id_must_not_be_zero",
    "debit_account_id_must_not_be_int_max",
    "credit_account_id_must_not_be_zero",
    "credit_account_id_must_not_be_int_max",
    "pending_id_must_be_zero",
    "pending_id_must_not_be_zero",
    "pending_id_must_not_be_int_max",
    "timeout_reserved_for_pending_transfer",
    "linked_event_failed",
];

#[derive(Default)]
struct Seen {
    answers: BTreeMap<&'static str, u64>,
    ended: u64,
}

#[test]
fn the_book_agrees_with_the_model_at_scale() {
    let number =
        |name| std::env::var_os(name).as_deref().and_then(OsStr::to_str)?.parse::<u64>().ok();
    let seen = Mutex::new(Seen::default());
    if let Some(seed) = number("LOMBARD_SEED") {
        return check(seed, &seen);
    }
    let operations = number("LOMBARD_OPERATIONS").unwrap_or(OPERATIONS);
    let histories = operations.div_ceil(HISTORY as u64);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Relaxed)
                    && seed < histories
                {
                    check(seed, &seen);
                }
            });
        }
    });
    let Seen { answers, ended } = seen.into_inner().unwrap();
    println!("{histories} histories of {HISTORY} operations; time ended {ended} sets");
    answers.iter().for_each(|(name, count)| println!("{count:>10} {name}"));
    let all = TransferRejection::ALL.iter().map(|one| one.name());
    let all = all.chain(TransferRefusal::ALL.iter().map(|one| one.name()));
    let never: Vec<_> =
        all.filter(|name| !answers.contains_key(name) && !NOT_MODELLED.contains(name)).collect();
    // A short run need not see everything.
    assert!(operations < ALL_SEEN || never.is_empty(), "never happened: {never:?}");
}

/// One history; where it goes wrong, the shortest beginning of it that does.
fn check(seed: u64, seen: &Mutex<Seen>) {
    let (operations, difference) = match run(seed, HISTORY) {
        Ok(beside) => {
            let mut seen = seen.lock().unwrap();
            seen.ended += beside.ended;
            for (name, count) in beside.answers {
                *seen.answers.entry(name).or_default() += count;
            }
            return;
        }
        Err(difference) => difference,
    };
    let shortest = (1..operations).find(|count| run(seed, *count).is_err()).unwrap_or(operations);
    panic!(
        "seed {seed}, shortest prefix {shortest} of {HISTORY} operations: {difference}\n\
         again: LOMBARD_SEED={seed} cargo test -p lombard-ledger-core --test scale"
    );
}

fn run(seed: u64, operations: usize) -> Result<Beside, (usize, String)> {
    let beside = proof::run(seed, operations)?;
    let expected = beside.book.state_hash();
    let replayed = replay(Book::new(HashSeed(!u128::from(seed))), &beside, 0);
    let middle = seed as usize % beside.history.len();
    let mut half = Book::new(HashSeed(7));
    for (event, recorded) in &beside.history[..middle] {
        half.apply(event, *recorded);
    }
    let restored = replay(copy(&half), &beside, middle);
    for (book, from) in [(replayed, "empty"), (restored, "a copy of the middle")] {
        if book.state_hash() != expected {
            return Err((operations, format!("replay from {from} gives another state")));
        }
    }
    Ok(beside)
}

fn replay(mut book: Book, beside: &Beside, from: usize) -> Book {
    for (event, recorded) in &beside.history[from..] {
        book.apply(event, *recorded);
    }
    book
}

/// The book as a snapshot would give it back.
fn copy(book: &Book) -> Book {
    let mut restored = RestoreBook::new(HashSeed(8));
    book.assets().for_each(|asset| restored.asset(asset));
    book.account_states().for_each(|account| restored.account(account).unwrap());
    book.pending_states().for_each(|pending| restored.pending(&pending).unwrap());
    book.chart_rules().for_each(|rule| restored.chart_rule(rule.clone()));
    book.period_locks().for_each(|lock| restored.period_lock(lock.clone()));
    book.last_statements().for_each(|last| restored.last_statement(*last).unwrap());
    restored.finish()
}
