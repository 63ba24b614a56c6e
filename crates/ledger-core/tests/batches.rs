//! A batch is decided over an overlay of the book; it must come to the same as its sets one by one, which are decided on
//! the book itself. And whatever is decided, a replay of the events alone gives the same book.

#![expect(clippy::indexing_slicing, reason = "a test's helpers may panic")]

mod support;

use std::sync::Arc;

use lombard_ledger_core::{TransferFlags as Flags, *};
use proptest::prelude::*;

use support::*;

fn book() -> Bench {
    let mut bench = Bench::new();
    bench.open(1, "EUR", None, None);
    bench.open(2, "EUR", Some(0), None);
    bench.open(3, "EUR", Some(-20), Some(60));
    bench.open(4, "EUR", Some(0), None);
    bench.open(5, "JPY", None, None);
    bench.set(vec![single(1000, 1, 2, 100)]);
    bench.set(vec![pending(1001, 2, 4, 20, 0, 5)]);
    bench
}

/// One transfer; ids and accounts collide often.
fn transfer() -> impl Strategy<Value = NewTransfer> {
    let about = prop_oneof![3 => 1u32..25, 1 => Just(1000u32), 1 => Just(1001u32)];
    let amount =
        prop_oneof![20 => 0u128..50, 1 => Just(u128::MAX), 1 => (u128::MAX - 50)..u128::MAX];
    (0u8..10, 1u32..25, 1u32..7, 1u32..7, amount, about, any::<bool>()).prop_map(
        |(kind, id, debit, credit, amount, about, whole)| match kind {
            0..=3 => single(id, debit, credit, amount),
            4 | 5 => pending(id, debit, credit, amount, 0, 5),
            6 | 7 => post(id, about, (!whole).then_some(amount)),
            8 => void(id, about),
            _ => NewTransfer { flags: Flags::BALANCING_DEBIT, ..single(id, debit, credit, amount) },
        },
    )
}

/// Mostly sets of one, some larger, whose transfers share the first one's id.
fn set() -> impl Strategy<Value = Vec<NewTransfer>> {
    let count = prop_oneof![4 => Just(1usize), 2 => Just(2), 1 => Just(3)];
    count.prop_flat_map(|count| proptest::collection::vec(transfer(), count)).prop_map(|mut set| {
        let (id, last) = (set[0].id, set.len() - 1);
        for (number, transfer) in set.iter_mut().enumerate() {
            transfer.id = id;
            if number < last {
                *transfer = linked(*transfer);
            }
        }
        set
    })
}

/// An event as it is read from the log.
fn as_recorded(event: &Event) -> Event {
    let Event::Transfers(transfers) = event else { return event.clone() };
    let Transfers { recorded, notes, evidence, .. } = &**transfers;
    Event::Transfers(Arc::new(Transfers::new(recorded.clone(), notes.clone(), evidence.clone())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_its_sets_one_by_one(sets in proptest::collection::vec(set(), 1..40)) {
        let (mut together, mut apart) = (book(), book());
        let expected: Vec<_> = sets.iter().map(|set| apart.set(set.clone())).collect();
        prop_assert_eq!(together.batch_of_sets(&sets), expected.clone());
        prop_assert_eq!(together.book.state_hash(), apart.book.state_hash());
        // What spent its id is answered the same for ever, and nothing happens; a rejected set may be right by now.
        let is_spent = |name: &str| TransferRejection::ALL.iter().all(|one| one.name() != name);
        let (spent, answers): (Vec<_>, Vec<_>) =
            sets.into_iter().zip(expected).filter(|(_, name)| is_spent(name)).unzip();
        if !spent.is_empty() {
            let records = together.history.len();
            prop_assert_eq!(together.batch_of_sets(&spent), answers);
            prop_assert_eq!(together.history.len(), records);
        }

        let mut replayed = Book::new(HashSeed(7));
        let mut past = MemoryPast::default();
        for (event, recorded) in &together.history {
            replayed.apply(event, *recorded);
            past.learn(event, recorded.position);
        }
        prop_assert_eq!(replayed.state_hash(), together.book.state_hash());
        prop_assert_eq!(past, together.past);

        // A book that numbers its accounts otherwise, so that what was found for these events is not true of it.
        let (opened, rest) = together.history.split_at(5);
        let mut otherwise = Book::new(HashSeed(7));
        for (event, recorded) in opened.iter().rev().chain(rest) {
            otherwise.apply(event, *recorded);
        }
        // And one that is told nothing but what was recorded.
        let mut untold = Book::new(HashSeed(7));
        for (event, recorded) in &together.history {
            untold.apply(&as_recorded(event), *recorded);
        }
        prop_assert_eq!(untold.state_hash(), together.book.state_hash());
        for number in 1..=5 {
            let of = |book: &Book| book.account(&AccountRef::Id(account(number))).cloned();
            prop_assert_eq!(
                of(&otherwise).map(|account| (account.totals, account.version)),
                of(&together.book).map(|account| (account.totals, account.version))
            );
        }
    }
}
