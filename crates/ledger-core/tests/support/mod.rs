//! A book, its past and its history, driven as the shell drives them.

#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "each test uses some of it, and may panic"
)]

use std::sync::Arc;

use lombard_ledger_core::{TransferFlags as Flags, *};
use lombard_types::{AccountId, AccountPath, Amount, Position, Timestamp, TransferId};

pub struct Bench {
    pub book: Book,
    pub past: MemoryPast,
    pub history: Vec<(Event, Recorded)>,
    pub now: Timestamp,
}

pub fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "tester".parse().unwrap(),
        subject: "tester".into(),
        token_id: "token-1".into(),
        request_id: "request-1".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

pub fn account(number: u32) -> AccountId {
    AccountId::from_u128(number.into()).unwrap()
}

pub fn path(number: u32) -> AccountPath {
    format!("accounts/{number}").parse().unwrap()
}

pub fn id(number: u32) -> TransferId {
    TransferId::from_u128(number.into()).unwrap()
}

pub fn single(number: u32, debit: u32, credit: u32, amount: u128) -> NewTransfer {
    let amount = Amount::from_minor_units(amount);
    NewTransfer::single(id(number), account(debit), account(credit), amount)
}

pub fn pending(
    number: u32,
    debit: u32,
    credit: u32,
    amount: u128,
    timeout_seconds: u32,
    allowance: u128,
) -> NewTransfer {
    let allowance = Amount::from_minor_units(allowance);
    let reservation = Reservation { timeout_seconds, allowance, is_scheduled: false };
    NewTransfer {
        kind: TransferKind::Pending(reservation),
        ..single(number, debit, credit, amount)
    }
}

fn about(number: u32, kind: TransferKind, amount: Option<u128>) -> NewTransfer {
    let whole = NewTransfer::whole(id(number), kind);
    match amount {
        None => whole,
        Some(amount) => NewTransfer {
            amount: Amount::from_minor_units(amount),
            flags: Flags::default(),
            ..whole
        },
    }
}

pub fn post(number: u32, pending: u32, amount: Option<u128>) -> NewTransfer {
    about(number, TransferKind::Post { pending: id(pending) }, amount)
}

pub fn void(number: u32, pending: u32) -> NewTransfer {
    about(number, TransferKind::Void { pending: id(pending) }, None)
}

pub fn linked(transfer: NewTransfer) -> NewTransfer {
    NewTransfer { flags: transfer.flags.with(Flags::LINKED), ..transfer }
}

fn balance(units: i64) -> Balance {
    Balance::new(units < 0, u128::from(units.unsigned_abs()))
}

impl Bench {
    pub fn new() -> Self {
        Self {
            book: Book::new(HashSeed(1)),
            past: MemoryPast::default(),
            history: Vec::new(),
            now: Timestamp::from_unix_seconds(1000),
        }
    }

    /// Decides a command as the engine does it, a nanosecond after the one before.
    pub fn run(&mut self, mut command: Command) -> Result<Reply, Rejection> {
        loop {
            self.now = Timestamp::from_unix_nanos(self.now.unix_nanos() + 1);
            match self.book.decide(&self.past, command, self.now)? {
                Decision::Answer(reply) => return Ok(reply),
                Decision::Commit(event, reply) => {
                    self.happen(event);
                    return Ok(reply);
                }
                Decision::First(event, then) => {
                    self.happen(event);
                    command = then;
                }
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let position = Position::new(self.history.len() as u64);
        let recorded = Recorded { position, time: self.now };
        self.book.apply(&event, recorded);
        self.past.learn(&event, position);
        self.history.push((event, recorded));
        self.check_balance();
    }

    /// For each asset, debits equal credits: pending and posted.
    fn check_balance(&self) {
        for asset in self.book.assets() {
            let mut sums = [0u128; 4];
            for account in self.book.account_states().filter(|one| one.asset == asset.code) {
                for (sum, total) in sums.iter_mut().zip(totals(&account.totals)) {
                    *sum = sum.wrapping_add(total);
                }
            }
            assert_eq!((sums[0], sums[1]), (sums[2], sums[3]), "{}", asset.code);
        }
    }

    fn open_as(&mut self, command: OpenAccount) -> &'static str {
        match self.run(Command::OpenAccount(command)) {
            Ok(_) => "open",
            Err(rejection) => rejection.name(),
        }
    }

    /// Opens a credit account at `accounts/{number}`.
    pub fn open(&mut self, number: u32, asset: &str, floor: Option<i64>, ceiling: Option<i64>) {
        let opened = self.open_as(OpenAccount {
            identity: AccountIdentity::Chosen(account(number)),
            path: path(number),
            asset: asset.parse().unwrap(),
            normal_side: NormalSide::Credit,
            floor: floor.map(balance),
            ceiling: ceiling.map(balance),
            evidence: evidence(),
        });
        assert_eq!(opened, "open");
    }

    pub fn open_at(&mut self, path: &str, asset: &str, floor: Option<i64>) -> &'static str {
        let fresh = 10_000 + self.history.len() as u32;
        self.open_as(OpenAccount {
            identity: AccountIdentity::Fresh(account(fresh)),
            path: path.parse().unwrap(),
            asset: asset.parse().unwrap(),
            normal_side: NormalSide::Credit,
            floor: floor.map(balance),
            ceiling: None,
            evidence: evidence(),
        })
    }

    pub fn close(&mut self, number: u32) -> &'static str {
        self.name_account(number, Command::CloseAccount)
    }

    pub fn reopen(&mut self, number: u32) -> &'static str {
        self.name_account(number, Command::ReopenAccount)
    }

    fn name_account(&mut self, number: u32, command: fn(NameAccount) -> Command) -> &'static str {
        let account = AccountRef::Id(account(number));
        match self.run(command(NameAccount { account, evidence: evidence() })) {
            Ok(_) => "open",
            Err(rejection) => rejection.name(),
        }
    }

    pub fn lock(&mut self, name: &str, from: u64, until: u64) {
        let lock = PeriodLock {
            name: LockName::new(name).unwrap(),
            from: Timestamp::from_unix_seconds(from),
            until: Timestamp::from_unix_seconds(until),
        };
        self.run(Command::LockPeriod { lock, evidence: evidence() }).unwrap();
    }

    pub fn unlock(&mut self, name: &str) {
        let name = LockName::new(name).unwrap();
        self.run(Command::UnlockPeriod { name, evidence: evidence() }).unwrap();
    }

    pub fn chart(&mut self, rule: ChartRule) {
        self.run(Command::SetChartRule { rule, evidence: evidence() }).unwrap();
    }

    pub fn end_pendings(&mut self) -> usize {
        match self.run(Command::EndPendings).unwrap() {
            Reply::PendingsEnded(count) => count,
            reply => panic!("{reply:?}"),
        }
    }

    /// One set, and how it ended.
    pub fn submit(&mut self, transfers: Vec<NewTransfer>, note: Option<NewNote>) -> SetResult {
        let notes = note.map(|note| (0, note)).into_iter().collect();
        let command = CreateTransfers { transfers, notes, evidence: evidence() };
        match self.run(Command::CreateTransfers(command)).unwrap() {
            Reply::Transfers(reply) => reply.results.into_iter().next().unwrap(),
            reply => panic!("{reply:?}"),
        }
    }

    fn named(&mut self, transfers: Vec<NewTransfer>, note: Option<NewNote>) -> &'static str {
        let result = self.submit(transfers.clone(), note.clone());
        self.name_of(&result, &transfers, note.as_ref())
    }

    pub fn one(&mut self, transfer: NewTransfer) -> &'static str {
        self.named(vec![transfer], None)
    }

    pub fn set(&mut self, transfers: Vec<NewTransfer>) -> &'static str {
        self.named(transfers, None)
    }

    pub fn with_note(&mut self, transfers: Vec<NewTransfer>, note: NewNote) -> &'static str {
        self.named(transfers, Some(note))
    }

    /// Reverses a set, looking it up first as the shell does.
    pub fn reverse(&mut self, number: u32, of: u32, amount: Option<u128>) -> &'static str {
        let reversed = self.recorded(id(of)).unwrap_or_default();
        let note = NewNote { reversed: reversed.into(), ..NewNote::default() };
        let transfer = about(number, TransferKind::Reversal { of: id(of) }, amount);
        self.named(vec![transfer], Some(note))
    }

    /// A set that reverses another among other things.
    pub fn reverse_by(&mut self, set: Vec<NewTransfer>, of: u32) -> &'static str {
        let reversed = self.recorded(id(of)).unwrap_or_default();
        self.named(set, Some(NewNote { reversed: reversed.into(), ..NewNote::default() }))
    }

    /// Several sets of one transfer each.
    pub fn batch(&mut self, transfers: Vec<NewTransfer>) -> Vec<&'static str> {
        let command = CreateTransfers {
            transfers: transfers.clone(),
            notes: Vec::new(),
            evidence: evidence(),
        };
        let Reply::Transfers(reply) = self.run(Command::CreateTransfers(command)).unwrap() else {
            panic!("another reply")
        };
        let named = reply.results.iter().zip(&transfers);
        named.map(|(result, one)| self.name_of(result, &[*one], None)).collect()
    }

    /// Several sets of any size with one command.
    pub fn batch_of_sets(&mut self, sets: &[Vec<NewTransfer>]) -> Vec<&'static str> {
        let transfers = sets.concat();
        let command = CreateTransfers { transfers, notes: Vec::new(), evidence: evidence() };
        let Reply::Transfers(reply) = self.run(Command::CreateTransfers(command)).unwrap() else {
            panic!("another reply")
        };
        assert_eq!(reply.results.len(), sets.len());
        let recorded = reply.recorded.clone();
        let name = |(result, set): (&SetResult, &Vec<NewTransfer>)| match result {
            // The same content earlier in the same command: answered as that was.
            SetResult::Again { .. } => {
                name_of_outcome(recorded.as_ref().unwrap().set(set[0].id).unwrap())
            }
            result => self.name_of(result, set, None),
        };
        reply.results.iter().zip(sets).map(name).collect()
    }

    pub fn try_out(&mut self, transfers: Vec<NewTransfer>) -> &'static str {
        let command = CreateTransfers {
            transfers: transfers.clone(),
            notes: Vec::new(),
            evidence: evidence(),
        };
        let tried = Command::DryRun(Box::new(Command::CreateTransfers(command)));
        let Reply::Transfers(reply) = self.run(tried).unwrap() else { panic!("another reply") };
        self.name_of(&reply.results[0], &transfers, None)
    }

    fn recorded(&self, id: TransferId) -> Option<Vec<RecordedTransfer>> {
        let spent = self.past.spent(id).unwrap()?;
        let (Event::Transfers(transfers), _) = &self.history[spent.position.get() as usize] else {
            panic!("another event")
        };
        transfers.set(id).map(|set| set.recorded.to_vec())
    }

    /// The result's name; a retry is compared with the record, as the shell does it.
    fn name_of(
        &self,
        result: &SetResult,
        asked: &[NewTransfer],
        note: Option<&NewNote>,
    ) -> &'static str {
        match result {
            SetResult::Created { .. } | SetResult::Again { .. } => "created",
            SetResult::Refused { refusal, .. } => refusal.name(),
            SetResult::Rejected { rejection, .. } => rejection.name(),
            SetResult::Spent(spent) => {
                let (event, _) = &self.history[spent.position.get() as usize];
                let Event::Transfers(transfers) = event else { panic!("{event:?}") };
                let first = transfers.set(asked[0].id).unwrap();
                let asset_of = |id| {
                    let account = self.book.account(&AccountRef::Id(id))?;
                    Some(self.book.asset_of(account).code.clone())
                };
                match compare_retry(first, asked, note, asset_of) {
                    Err((_, differs)) => differs.name(),
                    Ok(()) => name_of_outcome(first),
                }
            }
        }
    }

    /// Debits pending and posted, credits pending and posted.
    pub fn totals(&self, number: u32) -> [u128; 4] {
        totals(&self.book.account(&AccountRef::Id(account(number))).unwrap().totals)
    }
}

fn name_of_outcome(set: RecordedSet<'_>) -> &'static str {
    let refusals = set.recorded.iter().filter_map(|recorded| match recorded.outcome {
        Outcome::Refused(refusal) => Some(refusal),
        Outcome::Created => None,
    });
    let reason = refusals.into_iter().find(|one| *one != TransferRefusal::LinkedEventFailed);
    reason.map_or("created", TransferRefusal::name)
}

fn totals(totals: &Totals) -> [u128; 4] {
    [totals.debits_pending, totals.debits_posted, totals.credits_pending, totals.credits_posted]
}
