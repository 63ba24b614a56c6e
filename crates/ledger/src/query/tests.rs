//! The view against the book that decided the events: built from events alone, it must say the same.

use std::sync::Arc;

use lombard_engine::{At, View};
use lombard_ledger_core::{
    AccountIdentity, AccountRef, Balance, Book, Command, CreateTransfers, Decision, Evidence,
    HashSeed, MemoryPast, NewTransfer, NormalSide, OpenAccount, Recorded,
};
use lombard_types::{AccountId, Amount, Position, Timestamp, TransferId};
use proptest::prelude::*;

use super::*;

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

/// A book and the view of its events.
struct Pair {
    book: Book,
    past: MemoryPast,
    view: LedgerView,
    position: Position,
}

impl Pair {
    fn run(&mut self, command: Command) {
        let time = Timestamp::from_unix_seconds(self.position.get());
        if let Ok(Decision::Commit(event, _)) = self.book.decide(&self.past, command, time) {
            let position = self.position;
            self.book.apply(&event, Recorded { position, time });
            self.past.learn(&event, position);
            self.view.apply(&event, At { position, index: 0, time });
            self.position = position.next();
        }
    }
}

fn open(number: u128) -> Command {
    Command::OpenAccount(OpenAccount {
        identity: AccountIdentity::Chosen(AccountId::from_u128(number + 1).unwrap()),
        path: format!("accounts/{number}").parse().unwrap(),
        asset: "EUR".parse().unwrap(),
        normal_side: if number.is_multiple_of(2) { NormalSide::Debit } else { NormalSide::Credit },
        floor: Some(Balance::new(true, 50 * number)),
        ceiling: None,
        evidence: evidence(),
    })
}

fn transfer(id: u128, debit: u128, credit: u128, amount: u128) -> Command {
    let account = |number| AccountId::from_u128(number + 1).unwrap();
    let id = TransferId::from_u128(id + 1).unwrap();
    let amount = Amount::from_minor_units(amount);
    let transfers = vec![NewTransfer::single(id, account(debit), account(credit), amount)];
    Command::CreateTransfers(CreateTransfers { transfers, notes: Vec::new(), evidence: evidence() })
}

proptest! {
    #[test]
    fn agrees_with_the_book(moves in proptest::collection::vec((0u128..40, 0u128..4, 0u128..4, 0u128..60), 0..60)) {
        let seed = HashSeed(1);
        let mut pair = Pair { book: Book::new(seed), past: MemoryPast::default(), view: LedgerView::new(seed), position: Position::START };
        (0..4).for_each(|number| pair.run(open(number)));
        moves.into_iter().for_each(|(id, debit, credit, amount)| pair.run(transfer(id, debit, credit, amount)));
        let Pair { book, view, .. } = pair;

        for account in book.accounts() {
            let row = view.account(&AccountRef::Path(account.path.clone())).unwrap();
            prop_assert_eq!((row.id, row.totals, row.floor), (account.id, account.totals, account.floor));
            // The running balance: each entry adds to the one before, and the last is the account's.
            let entries = row.entries(EntryNumber(0), usize::MAX).items;
            let mut totals = lombard_ledger_core::Totals::default();
            for entry in &entries {
                let moved = view.transfer_at(entry.transfer).unwrap();
                let amount = moved.transfer.amount.minor_units();
                match entry.side {
                    Side::Debit => totals.debits_posted += amount,
                    Side::Credit => totals.credits_posted += amount,
                }
                prop_assert_eq!(entry.balance, totals.posted(row.normal_side));
                prop_assert_eq!(row.entry_of(moved.number), Some(*entry));
            }
            prop_assert_eq!(totals, account.totals);
        }
        let latest = view.latest_transfers(None, usize::MAX).items;
        prop_assert!(latest.is_sorted_by(|a, b| a.recorded.position > b.recorded.position));
        prop_assert!(view.trial_balance().values().all(AssetTotals::is_balanced));
    }
}
