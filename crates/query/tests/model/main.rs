//! The index against the book that decided the events: at every position, and between them, it must say what the book
//! said then, also after it was closed and opened again anywhere.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test's helpers may panic"
)]

mod naive;
mod wishes;

use std::sync::Arc;

use lombard_engine::{At, Codec as _, View as _};
use lombard_ledger::EventCodec;
use lombard_ledger_core::*;
use lombard_log::{Batch, Log as _, MemoryLog, SharedLog};
use lombard_query::{Cut, History, LedgerIndex, Place};
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use naive::Naive;
use wishes::{ACCOUNTS, Wish, account_id, command, opening, wishes};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// A record as the engine frames it; the engine's own tests hold these bytes.
fn frame(event: &Event, time: Timestamp) -> Vec<u8> {
    let mut bytes = Vec::new();
    EventCodec.encode(event, &mut bytes);
    let mut record = vec![1];
    record.extend_from_slice(&time.unix_nanos().to_le_bytes());
    record.extend_from_slice(&1u32.to_le_bytes());
    record.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    record.extend(bytes);
    record
}

/// A book, its past, its log, and the book as it was after each record.
struct Ledger {
    book: Book,
    past: MemoryPast,
    log: MemoryLog,
    events: Vec<(Event, Timestamp)>,
    books: Vec<Book>,
}

impl Ledger {
    fn new() -> Self {
        Self {
            book: Book::new(HashSeed(1)),
            past: MemoryPast::default(),
            log: MemoryLog::new(),
            events: Vec::new(),
            books: Vec::new(),
        }
    }

    fn run(&mut self, command: Command, now: Timestamp) {
        match self.book.decide(&self.past, command, now) {
            Ok(Decision::Commit(event, _)) => self.record(event, now),
            Ok(Decision::First(event, command)) => {
                self.record(event, now);
                self.run(command, Timestamp::from_unix_nanos(now.unix_nanos() + 1));
            }
            Ok(Decision::Answer(_)) | Err(_) => {}
        }
    }

    fn record(&mut self, event: Event, time: Timestamp) {
        let position = Position::new(self.events.len() as u64);
        self.book.apply(&event, Recorded { position, time });
        self.past.learn(&event, position);
        self.books.push(self.book.clone());
        let mut batch = Batch::new();
        batch.push_with(|out| out.extend(frame(&event, time)));
        runtime().block_on(self.log.append(position, batch)).unwrap();
        self.events.push((event, time));
    }

    /// The book as it was at a cut, with what time had ended by then.
    fn at(&self, cut: Cut) -> Book {
        let Some(last) = cut.end.previous() else {
            return Book::new(HashSeed(1));
        };
        let mut book = self.books[last.get() as usize].clone();
        let mut past = MemoryPast::default();
        for (position, (event, _)) in (0..cut.end.get()).zip(&self.events) {
            past.learn(event, Position::new(position));
        }
        while let Ok(Decision::Commit(event, _)) =
            book.decide(&past, Command::EndPendings, cut.time)
        {
            book.apply(&event, Recorded { position: cut.end, time: cut.time });
        }
        book
    }
}

fn open(ledger: &Ledger, directory: &std::path::Path, freeze: u64) -> LedgerIndex {
    let log: SharedLog = Arc::new(ledger.log.clone());
    let opened = LedgerIndex::open(directory, &log, &EventCodec, freeze);
    let (mut index, from) = runtime().block_on(opened).unwrap();
    let events = ledger.events.iter().enumerate().skip(from.get() as usize);
    for (position, (event, time)) in events {
        let position = Position::new(position as u64);
        index.apply(event, At { position, index: 0, time: *time });
    }
    index
}

/// Everything that can be asked, as of every record and between.
fn check(ledger: &Ledger, index: &LedgerIndex) -> Result<(), TestCaseError> {
    index.check().unwrap();
    let naive = Naive::of(&ledger.events);
    for (end, (_, time)) in (1..).zip(&ledger.events) {
        let next = ledger
            .events
            .get(end as usize)
            .map_or(time.unix_nanos() + 50, |next| next.1.unix_nanos() - 1);
        for nanos in [time.unix_nanos(), next] {
            let cut = Cut { end: Position::new(end), time: Timestamp::from_unix_nanos(nanos) };
            prop_assert_eq!(index.cut_at(cut.time).unwrap(), cut);
            check_cut(ledger, &naive, index, cut)?;
        }
    }
    Ok(())
}

fn check_cut(
    ledger: &Ledger,
    naive: &Naive,
    index: &LedgerIndex,
    cut: Cut,
) -> Result<(), TestCaseError> {
    let book = ledger.at(cut);
    let recorded = &ledger.books[cut.end.get() as usize - 1];
    for account in 0..ACCOUNTS {
        let name = AccountRef::Id(account_id(account));
        let row = index.account(&name).unwrap();
        let standing = index.standing(row.number, cut).unwrap();
        let Some(expected) = book.account(&name) else {
            prop_assert_eq!(standing.totals, Totals::default());
            continue;
        };
        prop_assert_eq!(standing.totals, expected.totals, "account {} at {:?}", account, cut);
        prop_assert_eq!(standing.version, recorded.account(&name).unwrap().version);
        let holds = index.holds(row.number, None, cut, usize::MAX, usize::MAX).unwrap().items;
        let held: u128 = holds.iter().map(|hold| hold.amount).sum();
        prop_assert_eq!(held, expected.totals.debits_pending + expected.totals.credits_pending);
        for time in naive.interesting_times(cut.time) {
            let totals = index.effective(row.number, time, cut, usize::MAX).unwrap().unwrap();
            let expected = naive.effective(account, time, cut);
            prop_assert_eq!(
                (totals.debits_posted, totals.credits_posted),
                expected,
                "{} {} {:?}",
                account,
                time,
                cut
            );
        }
    }
    let lines = index.trial_balance(cut).unwrap();
    prop_assert!(lines.iter().all(|line| line.sums.is_balanced()));
    let expected = naive.trial_balance(recorded);
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line.asset.to_string(),
                line.sums.account_count,
                line.sums.debits_posted.display(line.scale),
            )
        })
        .collect();
    prop_assert_eq!(found, expected);
    prop_assert_eq!(index.prefix_totals("", cut, usize::MAX).unwrap().unwrap().len(), lines.len());
    let codes: Vec<_> = index
        .code_totals(cut)
        .unwrap()
        .into_iter()
        .map(|(code, asset, sums)| {
            (code, asset.code.to_string(), sums.transfer_count, sums.amount.display(asset.scale))
        })
        .collect();
    prop_assert_eq!(codes, naive.codes(recorded, cut));
    Ok(())
}

/// The entries of each account add up, in pages of any size and both directions, and lead to their transfers.
fn check_entries(ledger: &Ledger, index: &LedgerIndex, limit: usize) -> Result<(), TestCaseError> {
    let history = History::new(Arc::new(ledger.log.clone()), EventCodec);
    let end = Position::new(ledger.events.len() as u64);
    let cut = Cut { end, time: Timestamp::MAX };
    for account in 0..ACCOUNTS {
        let row = index.account(&AccountRef::Id(account_id(account))).unwrap();
        let mut all = Vec::new();
        let mut after: Option<Place> = None;
        loop {
            let page = index.entries(row.number, after, cut, limit).unwrap();
            prop_assert!(page.items.len() <= limit);
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut back = Vec::new();
        let mut before = None;
        loop {
            let page = index.latest_entries(row.number, before, cut, limit).unwrap();
            back.extend(page.items);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        back.reverse();
        prop_assert_eq!(&all, &back);
        prop_assert_eq!(all.len() as u64, row.version);
        let mut totals = Totals::default();
        for (number, entry) in (1..).zip(&all) {
            prop_assert_eq!(entry.version, number);
            let (pending, posted) = match entry.side {
                EntrySide::Debit => (&mut totals.debits_pending, &mut totals.debits_posted),
                EntrySide::Credit => (&mut totals.credits_pending, &mut totals.credits_posted),
            };
            *pending = *pending + entry.reserved - entry.released;
            *posted += entry.posted;
            prop_assert_eq!(totals, entry.totals);
            prop_assert_eq!(index.entry_at(row.number, entry.place).unwrap(), Some(*entry));
            if !entry.kind.is_by_time() {
                let record =
                    runtime().block_on(history.record(entry.place.position)).unwrap().unwrap();
                let found = record.transfer(entry.place).unwrap();
                let transfer = found.recorded.transfer;
                prop_assert_eq!(found.recorded.outcome, Outcome::Created);
                prop_assert_eq!(index.transfer(transfer.id).unwrap(), Some(found.set));
                let id = match entry.side {
                    EntrySide::Debit => transfer.debit_account,
                    EntrySide::Credit => transfer.credit_account,
                };
                prop_assert_eq!(id, account_id(account));
            }
        }
        prop_assert_eq!(totals, row.totals);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn answers_what_the_book_said_then(
        wishes in wishes(),
        freeze in 1u64..40,
        limit in 1usize..9,
        closed_at in any::<prop::sample::Index>(),
    ) {
        let mut ledger = Ledger::new();
        let mut now = 1_000;
        for account in 0..ACCOUNTS {
            now += 10;
            ledger.run(opening(account), Timestamp::from_unix_nanos(now));
        }
        let directory = tempfile::tempdir().unwrap();
        let closed_at = closed_at.index(wishes.len() + 1);
        for (number, Wish { wait, deed }) in wishes.into_iter().enumerate() {
            if number == closed_at {
                drop(open(&ledger, directory.path(), freeze));
            }
            now += 10 + wait;
            ledger.run(command(number as u128, deed, now), Timestamp::from_unix_nanos(now));
        }
        for _ in 0..2 {
            let index = open(&ledger, directory.path(), freeze);
            check(&ledger, &index)?;
            check_entries(&ledger, &index, limit)?;
        }
    }
}
