//! One history: a book and the model of it, driven as the shell drives a book.

use std::collections::BTreeMap;

use lombard_ledger_core::*;
use lombard_types::{Position, Timestamp, TransferId};

use super::{
    generate::{ACCOUNTS, Generator, account, nanos},
    model::{Account, Answer, CREDIT, DEBIT, Model, PENDING, POSTED, Signed},
};

const ASSETS: [&str; 2] = ["EUR", "JPY"];

pub struct Beside {
    pub book: Book,
    pub past: MemoryPast,
    pub history: Vec<(Event, Recorded)>,
    pub model: Model,
    /// How often which answer was given, and how many sets time ended.
    pub answers: BTreeMap<&'static str, u64>,
    pub ended: u64,
    generator: Generator,
    now: u64,
    /// What time ended since the command came.
    just_ended: Vec<(u128, u64, bool)>,
}

impl Beside {
    /// A history that begins with accounts of random kinds. The first of each asset has no limits, so that money can
    /// come into being.
    pub fn new(seed: u64) -> Self {
        let mut beside = Self::empty(seed);
        for number in 1..=ACCOUNTS {
            let random = &mut beside.generator.random;
            let limited = u64::from(number > 2);
            let side = random.below(2) as usize;
            let floor = random.percent(60 * limited).then(|| {
                let (is_negative, size) = (random.percent(40), random.below(30));
                // Minus zero is zero.
                (is_negative && size > 0, u128::from(size))
            });
            let ceiling = random.percent(40 * limited);
            let ceiling = ceiling.then(|| (false, 30 + u128::from(random.below(200))));
            beside.open(number, side, floor, ceiling);
        }
        beside
    }

    /// A history without accounts.
    pub fn empty(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        // Now and then near the end of time.
        let is_late = generator.random.percent(10);
        let seconds = if is_late { Timestamp::MAX.unix_seconds() - 3000 } else { 1000 };
        Self {
            book: Book::new(HashSeed(seed.into())),
            past: MemoryPast::default(),
            history: Vec::new(),
            model: Model::default(),
            answers: BTreeMap::new(),
            ended: 0,
            generator,
            now: seconds * 1_000_000_000,
            just_ended: Vec::new(),
        }
    }

    /// Odd accounts hold one asset, even ones the other.
    pub fn open(
        &mut self,
        number: u64,
        side: usize,
        floor: Option<Signed>,
        ceiling: Option<Signed>,
    ) {
        let asset = ASSETS[number as usize % 2];
        let balance = |(is_negative, size): Signed| Balance::new(is_negative, size);
        let command = OpenAccount {
            identity: AccountIdentity::Chosen(account(number)),
            path: format!("accounts/{number}").parse().unwrap(),
            asset: asset.parse().unwrap(),
            normal_side: if side == DEBIT { NormalSide::Debit } else { NormalSide::Credit },
            floor: floor.map(balance),
            ceiling: ceiling.map(balance),
            evidence: self.generator.evidence(),
        };
        self.decide(Command::OpenAccount(command)).unwrap();
        let totals = [[0; 2]; 2];
        let account = Account { asset, side, floor, ceiling, is_closed: false, version: 0, totals };
        self.model.accounts.insert(number.into(), account);
    }

    /// One random command to both.
    pub fn step(&mut self) -> Result<(), String> {
        self.now += self.generator.wait(&self.model, self.now);
        let command = self.generator.command(&self.model, self.now);
        self.run(command).map(drop)
    }

    /// One set to both; what both answered.
    pub fn submit(&mut self, transfers: Vec<NewTransfer>, is_dry: bool) -> Result<Answer, String> {
        let evidence = self.generator.evidence();
        let sets = CreateTransfers { transfers, notes: Vec::new(), evidence };
        let command = Command::CreateTransfers(sets);
        let command = if is_dry { Command::DryRun(Box::new(command)) } else { command };
        Ok(self.run(command)?[0])
    }

    fn run(&mut self, mut command: Command) -> Result<Vec<Answer>, String> {
        self.look_up(&mut command);
        let before = self.now;
        self.just_ended.clear();
        let reply = self.decide(command.clone());
        let found = self.answers(&command, reply);
        self.model.command += 1;
        let ended = self.model.end_due(self.now);
        self.ended += ended.len() as u64;
        let expected = modelled(&mut self.model, &command, self.now, ended.len());
        if ended != self.just_ended {
            return Err(format!("ended {:?} but should {ended:?}", self.just_ended));
        }
        if found != expected {
            return Err(format!(
                "at {before}: {command:#?}\nanswered {found:?} but should {expected:?}"
            ));
        }
        self.check_accounts().map_err(|difference| format!("{difference} after {command:#?}"))?;
        for (_, name) in &found {
            *self.answers.entry(name).or_default() += 1;
        }
        Ok(found)
    }

    /// A reversal carries the set that it reverses: whoever asks looks it up before.
    fn look_up(&self, command: &mut Command) {
        let sets = match command {
            Command::CreateTransfers(sets) => sets,
            Command::DryRun(command) => return self.look_up(command),
            _ => return,
        };
        let all = std::mem::take(&mut sets.notes);
        let mut notes = all.into_iter().peekable();
        for (number, set) in (0u32..).zip(sets.transfers.chunk_by(|a, _| a.is_linked())) {
            let note = notes.next_if(|(of, _)| *of == number).map(|(_, note)| note);
            let of = set.iter().find_map(|one| match one.kind {
                TransferKind::Reversal { of } => Some(of),
                _ => None,
            });
            let reversed = of.and_then(|of| self.recorded(of)).unwrap_or_default();
            if note.is_some() || !reversed.is_empty() {
                let note = NewNote { reversed: reversed.into(), ..note.unwrap_or_default() };
                sets.notes.push((number, note));
            }
        }
    }

    fn recorded(&self, id: TransferId) -> Option<Vec<RecordedTransfer>> {
        let spent = self.past.spent(id).unwrap()?;
        let (Event::Transfers(transfers), _) = &self.history[spent.position.get() as usize] else {
            panic!("another event")
        };
        transfers.set(id).map(|set| set.recorded.to_vec())
    }

    /// As the engine does it: each attempt a nanosecond after the one before.
    fn decide(&mut self, mut command: Command) -> Result<Reply, Rejection> {
        loop {
            self.now += 1;
            match self.book.decide(&self.past, command, nanos(self.now))? {
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
        let recorded = Recorded { position, time: nanos(self.now) };
        self.book.apply(&event, recorded);
        self.past.learn(&event, position);
        if let Event::PendingsEnded(ended) = &event {
            self.just_ended.extend(ended.iter().map(|ended| {
                (ended.id.as_u128(), ended.at.unix_nanos(), ended.ending == Ending::Posted)
            }));
        }
        self.history.push((event, recorded));
        for asset in ASSETS {
            self.check_equality(asset);
        }
    }

    /// Debits equal credits, pending and posted, counted with a carry.
    fn check_equality(&self, asset: &str) {
        let mut sums = [[(0u32, 0u128); 2]; 2];
        let mut add = |side: usize, kind: usize, total: u128| {
            let sum: &mut (u32, u128) = &mut sums[side][kind];
            let (low, carry) = sum.1.overflowing_add(total);
            *sum = (sum.0 + u32::from(carry), low);
        };
        for account in self.book.accounts() {
            if self.book.asset_of(account).code.as_str() == asset {
                add(DEBIT, PENDING, account.totals.debits_pending);
                add(DEBIT, POSTED, account.totals.debits_posted);
                add(CREDIT, PENDING, account.totals.credits_pending);
                add(CREDIT, POSTED, account.totals.credits_posted);
            }
        }
        assert_eq!(sums[DEBIT], sums[CREDIT], "debits and credits of {asset}");
    }

    fn check_accounts(&self) -> Result<(), String> {
        for (number, model) in &self.model.accounts {
            let id = account(*number as u64);
            let found = self.book.account(&AccountRef::Id(id)).unwrap();
            let t = &found.totals;
            let totals =
                [[t.debits_pending, t.debits_posted], [t.credits_pending, t.credits_posted]];
            let (found, expected) = (
                (totals, found.version, found.is_closed),
                (model.totals, model.version, model.is_closed),
            );
            if found != expected {
                return Err(format!("account {number} is {found:?} but should be {expected:?}"));
            }
        }
        Ok(())
    }

    /// What is pending, when it ends, and how much of it there is.
    pub fn check_pendings(&self) -> Result<(), String> {
        let found: Vec<_> = (self.book.pending_states())
            .map(|set| {
                let ends = set.ends.map(|(at, how)| (at.unix_nanos(), how == Ending::Posted));
                let amounts: Vec<_> =
                    set.transfers.iter().map(|t| t.amount.minor_units()).collect();
                (set.id.as_u128(), ends, amounts)
            })
            .collect();
        let mut expected: Vec<_> = (self.model.pending.iter())
            .map(|id| {
                let set = &self.model.sets[id];
                (*id, set.ends, set.legs().map(|leg| leg.amount).collect::<Vec<_>>())
            })
            .collect();
        let mut found = found;
        found.sort();
        expected.sort();
        if found == expected { Ok(()) } else { Err(format!("pending {found:?}, not {expected:?}")) }
    }

    fn answers(&self, command: &Command, reply: Result<Reply, Rejection>) -> Vec<Answer> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(rejection) => return vec![(0, rejection.name())],
        };
        let sets = match command {
            Command::CreateTransfers(sets) => sets,
            Command::DryRun(command) => return self.answers(command, Ok(reply)),
            _ => match reply {
                Reply::PendingsEnded(count) => return vec![(count as u16, "ended")],
                _ => return vec![(0, "ok")],
            },
        };
        let Reply::Transfers(TransfersReply { results, recorded }) = reply else {
            panic!("another reply")
        };
        let asked = sets.transfers.chunk_by(|a, _| a.is_linked());
        let mut answers = Vec::new();
        for ((number, result), asked) in (0u32..).zip(results).zip(asked) {
            let note = sets.notes.iter().find(|(of, _)| *of == number).map(|(_, note)| note);
            answers.push(match result {
                SetResult::Created { .. } => (0, "created"),
                SetResult::Refused { transfer, refusal, .. } => (transfer, refusal.name()),
                SetResult::Rejected { transfer, rejection } => (transfer, rejection.name()),
                SetResult::Again { .. } => {
                    (0, outcome(recorded.as_ref().unwrap().set(asked[0].id).unwrap()))
                }
                SetResult::Spent(spent) => self.retried(spent, asked, note),
            });
        }
        answers
    }

    /// A retry is compared with the record, as the shell does it.
    fn retried(&self, spent: Spent, asked: &[NewTransfer], note: Option<&NewNote>) -> Answer {
        let (event, _) = &self.history[spent.position.get() as usize];
        let Event::Transfers(transfers) = event else { panic!("{event:?}") };
        let first = transfers.set(asked[0].id).unwrap();
        let asset_of = |id| {
            let account = self.book.account(&AccountRef::Id(id))?;
            Some(self.book.asset_of(account).code.clone())
        };
        match compare_retry(first, asked, note, asset_of) {
            Err((place, differs)) => (place, differs.name()),
            Ok(()) => (0, outcome(first)),
        }
    }
}

fn outcome(set: RecordedSet<'_>) -> &'static str {
    let reason = set.recorded.iter().find_map(|recorded| match recorded.outcome {
        Outcome::Refused(TransferRefusal::LinkedEventFailed) | Outcome::Created => None,
        Outcome::Refused(refusal) => Some(refusal.name()),
    });
    reason.unwrap_or("created")
}

/// What the model answers to a command.
fn modelled(model: &mut Model, command: &Command, now: u64, ended: usize) -> Vec<Answer> {
    let id = |named: &NameAccount| match named.account {
        AccountRef::Id(id) => id.as_u128(),
        AccountRef::Path(_) => 0,
    };
    vec![match command {
        Command::CreateTransfers(sets) => {
            let nothing = NewNote::default();
            return (0u32..)
                .zip(sets.transfers.chunk_by(|a, _| a.is_linked()))
                .map(|(number, set)| {
                    let note = sets.notes.iter().find(|(of, _)| *of == number);
                    model.set(set, note.map_or(&nothing, |(_, note)| note), now)
                })
                .collect();
        }
        Command::DryRun(command) => return modelled(&mut model.clone(), command, now, ended),
        Command::CloseAccount(named) => (0, model.close(id(named), true)),
        Command::ReopenAccount(named) => (0, model.close(id(named), false)),
        Command::LockPeriod { lock: PeriodLock { name, from, until }, .. } => {
            (0, model.lock(name.as_str(), from.unix_nanos(), until.unix_nanos()))
        }
        Command::UnlockPeriod { name, .. } => (0, model.unlock(name.as_str())),
        Command::SealStatement { statement, .. } => (0, model.seal(statement, now)),
        Command::EndPendings => (ended as u16, "ended"),
        other => panic!("not modelled: {other:?}"),
    }]
}
