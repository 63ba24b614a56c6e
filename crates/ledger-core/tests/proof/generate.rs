//! Random commands over a few accounts, ids, amounts and times, so that collisions are the rule.

use std::sync::Arc;

use lombard_ledger_core::{TransferFlags as Flags, TransferKind as Kind, *};
use lombard_types::{AccountId, Amount, Position, Timestamp, TransferId};

use super::model::{CREDIT, DEBIT, Model};

/// The accounts that exist are 1 to 6; 7 does not.
pub const ACCOUNTS: u64 = 6;
const SECOND: u64 = 1_000_000_000;

/// SplitMix64: any seed is as good as another, and it needs no dependency.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

#[derive(Debug)]
pub struct Generator {
    pub random: Random,
    /// Whether amounts near the end of the numbers occur.
    pub has_extremes: bool,
    next_id: u64,
    before: Vec<CreateTransfers>,
    evidence: Arc<Evidence>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let evidence = Arc::new(Evidence {
            command_id: 1,
            client_id: "tester".parse().unwrap(),
            subject: "tester".into(),
            token_id: "token-1".into(),
            request_id: "request-1".parse().unwrap(),
            traceparent: None,
            idempotency_key: None,
        });
        let mut random = Random(seed);
        let has_extremes = random.percent(25);
        Self { random, has_extremes, next_id: 1, before: Vec::new(), evidence }
    }

    pub fn evidence(&self) -> Arc<Evidence> {
        Arc::clone(&self.evidence)
    }

    /// How long to wait before the next command: often to the nanosecond at which something ends, or one beside it.
    pub fn wait(&mut self, model: &Model, now: u64) -> u64 {
        match self.random.below(20) {
            0 => self.random.below(2 * SECOND),
            1..=3 => {
                let due = model.pending.iter().filter_map(|id| model.sets[id].ends);
                let next = due.map(|(at, _)| at).min().unwrap_or(now);
                // The command itself is decided a nanosecond later.
                (next + self.random.below(3)).saturating_sub(now + 2).min(3 * SECOND)
            }
            _ => 0,
        }
    }

    pub fn command(&mut self, model: &Model, now: u64) -> Command {
        let evidence = self.evidence();
        match self.random.below(200) {
            0..=2 => Command::CloseAccount(self.named_account()),
            3..=15 => Command::ReopenAccount(self.named_account()),
            16..=18 => {
                let from = now.saturating_sub(self.random.below(3) * SECOND);
                let until = from + self.random.below(5) * SECOND;
                let (from, until) = (nanos(from), nanos(until));
                let lock = PeriodLock { name: self.lock_name(), from, until };
                Command::LockPeriod { lock, evidence }
            }
            19..=24 => Command::UnlockPeriod { name: self.lock_name(), evidence },
            25..=29 => Command::EndPendings,
            54..=57 => {
                Command::SealStatement { statement: Box::new(self.statement(model, now)), evidence }
            }
            30..=33 => {
                let sets = self.sets(model, now);
                Command::DryRun(Box::new(Command::CreateTransfers(sets)))
            }
            34..=53 if !self.before.is_empty() => Command::CreateTransfers(self.again(now)),
            _ => {
                let sets = self.sets(model, now);
                self.before.push(sets.clone());
                Command::CreateTransfers(sets)
            }
        }
    }

    /// The next statement of an account, or one that is wrong in some way.
    fn statement(&mut self, model: &Model, now: u64) -> Statement {
        let account = self.account();
        let (number, until, end, closing) = model
            .statements
            .get(&account.as_u128())
            .copied()
            .unwrap_or((0, now / 2, 0, (false, 0)));
        let mut wrong = |value: u64| match self.random.below(20) {
            0 => value.saturating_sub(1),
            1 => value + 1,
            _ => value,
        };
        let (number, from, end) = (wrong(u64::from(number) + 1), wrong(until), wrong(end));
        let opening = Balance::new(closing.0, u128::from(wrong(closing.1 as u64)));
        // Often the instant at which it is decided, or one beside it.
        let until = (now + self.random.below(4)).saturating_sub(self.random.below(2) * SECOND);
        Statement {
            account,
            number: number as u32,
            from: nanos(from),
            until: nanos(until),
            end: Position::new(end),
            opening,
            closing: Balance::new(self.random.percent(30), u128::from(self.random.below(9))),
            line_count: 0,
            lines_sha256: [0; 32],
        }
    }

    fn named_account(&mut self) -> NameAccount {
        let account = AccountRef::Id(self.account());
        NameAccount { account, evidence: self.evidence() }
    }

    fn lock_name(&mut self) -> LockName {
        LockName::new(["past", "now"][self.random.below(2) as usize]).unwrap()
    }

    /// A command of before, the same or with one thing changed.
    fn again(&mut self, now: u64) -> CreateTransfers {
        let back = self.random.below(self.before.len().min(40) as u64) as usize;
        let mut again = self.before[self.before.len() - 1 - back].clone();
        if self.random.percent(50) {
            return again;
        }
        let place = self.random.below(again.transfers.len() as u64) as usize;
        let (account, amount) = (self.account(), self.amount());
        let effective_at = self.effective_at(now);
        let one = &mut again.transfers[place];
        match self.random.below(14) {
            0 => one.debit_account = Some(account),
            1 => one.credit_account = Some(account),
            2 | 3 => one.amount = amount,
            4 => one.code += 1,
            5 => one.effective_at = effective_at,
            6 => one.user_data.data_128 += 1,
            7 => one.user_data.data_64 += 1,
            8 => one.user_data.data_32 += 1,
            9 => one.kind = Kind::Single,
            10 => {
                if let Kind::Pending(wait) = &mut one.kind {
                    wait.timeout_seconds += 1;
                }
            }
            11 => {
                if let Kind::Pending(wait) = &mut one.kind {
                    wait.allowance = amount;
                }
            }
            12 => {
                let yen = || "JPY".parse().unwrap();
                let notes = again.notes.iter_mut().filter(|(of, _)| *of == 0);
                notes.for_each(|(_, note)| note.assets.iter_mut().for_each(|one| *one = yen()));
            }
            _ => again.notes.clear(),
        }
        again
    }

    fn sets(&mut self, model: &Model, now: u64) -> CreateTransfers {
        let count = if self.random.percent(15) { 1 + self.random.below(4) } else { 1 };
        let (mut transfers, mut notes) = (Vec::new(), Vec::new());
        for number in 0..count {
            let set = self.set(model, now, number + 1 == count);
            if self.random.percent(35) {
                notes.push((number as u32, self.note(model, &set)));
            }
            transfers.extend(set);
        }
        CreateTransfers { transfers, notes, evidence: self.evidence() }
    }

    fn set(&mut self, model: &Model, now: u64, is_last: bool) -> Vec<NewTransfer> {
        let id = if self.random.percent(96) {
            self.next_id += 1;
            self.next_id - 1
        } else {
            self.known_id()
        };
        let id = TransferId::from_u128(id.into()).unwrap();
        let mut set = Vec::new();
        match self.random.below(10) {
            0..=3 => {
                let count = if self.random.percent(30) { 1 + self.random.below(4) } else { 1 };
                set.extend((0..count).map(|_| self.single(id, now)));
            }
            4..=6 => self.pendings(id, now, &mut set),
            7 => self.about(id, model, Self::post_or_void, &mut set),
            8 => self.about(id, model, |_, of| Kind::Reversal { of }, &mut set),
            _ => {
                // Of everything something; a reversal twice is about the same set.
                let of = self.known(model);
                for _ in 0..2 + self.random.below(3) {
                    match self.random.below(4) {
                        0 => set.push(self.single(id, now)),
                        1 => self.about_one(id, model, Kind::Reversal { of }, &mut set),
                        2 => self.about(id, model, Self::post_or_void, &mut set),
                        _ if self.random.percent(5) => self.pendings(id, now, &mut set),
                        _ => self.about(id, model, Self::post_or_void, &mut set),
                    }
                }
            }
        }
        let end = set.len() - 1;
        for one in &mut set[..end] {
            one.flags = one.flags.with(Flags::LINKED);
        }
        if is_last && self.random.percent(1) {
            set[end].flags = set[end].flags.with(Flags::LINKED);
        }
        if self.random.percent(1) {
            set[end].id = TransferId::from_u128(self.next_id.into()).unwrap();
        }
        set
    }

    fn single(&mut self, id: TransferId, now: u64) -> NewTransfer {
        let same = u64::from(!self.random.percent(3));
        let debit = self.account();
        // Mostly of one asset: the odd accounts hold one, the even ones another.
        let other = (debit.as_u128() as u64 + same * 2 * (1 + self.random.below(2)) - 1) % ACCOUNTS;
        let credit = if same == 1 { account(1 + other) } else { self.account() };
        let mut one = NewTransfer::single(id, debit, credit, self.amount());
        one.code = self.random.below(2) as u16;
        one.effective_at = self.effective_at(now);
        for (flag, chance) in [
            (Flags::BALANCING_DEBIT, 8),
            (Flags::BALANCING_CREDIT, 8),
            (Flags::OVERRIDES_LOCK, 20),
            (Flags::IMPORTED, 4),
            (Flags::WHOLE, 1),
        ] {
            if self.random.percent(chance) {
                one.flags = one.flags.with(flag);
            }
        }
        if one.flags.has(Flags::IMPORTED) && self.random.percent(80) {
            one.effective_at = Some(nanos(now.saturating_sub(self.random.below(4) * SECOND)));
        }
        one
    }

    fn pendings(&mut self, id: TransferId, now: u64, set: &mut Vec<NewTransfer>) {
        let is_scheduled = self.random.percent(15);
        let timeout_seconds = match self.random.below(100) {
            _ if is_scheduled => 0,
            0 => 5000,
            _ => self.random.below(4) as u32,
        };
        let at = Some(nanos(now + self.random.below(3 * SECOND)));
        for _ in 0..if self.random.percent(25) { 2 + self.random.below(2) } else { 1 } {
            let mut one = self.single(id, now);
            let allowance = Amount::from_minor_units(self.random.below(10).into());
            let mut wait = Reservation { timeout_seconds, allowance, is_scheduled };
            if is_scheduled && self.random.percent(95) {
                one.effective_at = at;
            }
            wait.timeout_seconds += u32::from(self.random.percent(2));
            one.kind = Kind::Pending(wait);
            set.push(one);
        }
    }

    fn post_or_void(&mut self, pending: TransferId) -> Kind {
        if self.random.percent(65) { Kind::Post { pending } } else { Kind::Void { pending } }
    }

    fn about(
        &mut self,
        id: TransferId,
        model: &Model,
        kind: fn(&mut Self, TransferId) -> Kind,
        set: &mut Vec<NewTransfer>,
    ) {
        let other = self.known(model);
        let kind = kind(self, other);
        self.about_one(id, model, kind, set);
    }

    /// All of another set by one transfer, or transfer by transfer.
    fn about_one(&mut self, id: TransferId, model: &Model, kind: Kind, set: &mut Vec<NewTransfer>) {
        let whole = NewTransfer::whole(id, kind);
        let other = kind.about().and_then(|other| model.sets.get(&other.as_u128()));
        let Some(other) = other.filter(|_| self.random.percent(60)) else {
            return set.push(whole);
        };
        for leg in other.legs() {
            let mut one = NewTransfer { flags: Flags::default(), ..whole };
            one.amount = match self.random.below(6) {
                0..=2 => Amount::from_minor_units(leg.amount),
                3 => {
                    Amount::from_minor_units(leg.amount.saturating_add(self.random.below(9).into()))
                }
                4 => Amount::from_minor_units(leg.amount / 2),
                _ => self.amount(),
            };
            let named = match kind {
                Kind::Reversal { .. } => (leg.credit, leg.debit),
                _ => (leg.debit, leg.credit),
            };
            if self.random.percent(30) {
                one.debit_account = AccountId::from_u128(named.0).ok();
                one.credit_account = AccountId::from_u128(named.1).ok();
            }
            if self.random.percent(3) {
                one.debit_account = Some(self.account());
            }
            set.push(one);
            if self.random.percent(2) {
                return;
            }
        }
    }

    fn note(&mut self, model: &Model, set: &[NewTransfer]) -> NewNote {
        let mut note = NewNote::default();
        if self.random.percent(40) {
            let asset = |one: &NewTransfer| {
                let account = one.debit_account.and_then(|id| model.accounts.get(&id.as_u128()));
                account.map_or("EUR", |account| account.asset).parse().unwrap()
            };
            note.assets = set.iter().map(asset).collect();
        }
        if self.random.percent(20) {
            let name = format!("order-{}", self.random.below(self.next_id));
            note.external_id = Some(ExternalId::new(&name).unwrap());
        }
        if self.random.percent(10) {
            note.metadata = Metadata::new("{}").unwrap();
        }
        if self.random.percent(60) {
            note.conditions =
                (0..1 + self.random.below(2)).map(|_| self.condition(model, set)).collect();
        }
        note
    }

    fn condition(&mut self, model: &Model, set: &[NewTransfer]) -> Condition {
        let above = u64::from(self.random.percent(2));
        let transfer = self.random.below(set.len() as u64 + above);
        let side = if self.random.percent(50) { EntrySide::Debit } else { EntrySide::Credit };
        let one = set.get(transfer as usize).unwrap_or(&set[0]);
        let named = [one.debit_account, one.credit_account];
        let named = named[if side == EntrySide::Debit { DEBIT } else { CREDIT }];
        let known = named.and_then(|id| model.accounts.get(&id.as_u128()));
        let bound = Balance::new(self.random.percent(50), self.random.below(60).into());
        let check = match self.random.below(5) {
            0 => Check::AvailableAtLeast(bound),
            1 => Check::AvailableAtMost(bound),
            2 => Check::PostedAtLeast(bound),
            3 => Check::PostedAtMost(bound),
            _ => Check::Version(known.map_or(0, |account| account.version)),
        };
        Condition { transfer: transfer as u16, side, check }
    }

    fn account(&mut self) -> AccountId {
        let stranger = u64::from(self.random.percent(5));
        account(1 + self.random.below(ACCOUNTS + stranger))
    }

    fn amount(&mut self) -> Amount {
        let small = u128::from(self.random.below(30));
        Amount::from_minor_units(match self.random.below(40) {
            0 if self.has_extremes => u128::MAX - small,
            1 if self.has_extremes => u128::MAX / 2 - small,
            _ => small,
        })
    }

    fn effective_at(&mut self, now: u64) -> Option<Timestamp> {
        match self.random.below(8) {
            0 => Some(nanos(now.saturating_sub(self.random.below(5) * SECOND))),
            1 => Some(nanos(now + self.random.below(5) * SECOND)),
            _ => None,
        }
    }

    /// A set to be about: mostly one that is pending, or one of the last.
    fn known(&mut self, model: &Model) -> TransferId {
        let pending = model.pending.len() as u64;
        let id = if pending > 0 && self.random.percent(50) {
            let place = self.random.below(pending) as usize;
            model.pending.iter().nth(place).copied().unwrap()
        } else {
            self.known_id().into()
        };
        TransferId::from_u128(id).unwrap()
    }

    fn known_id(&mut self) -> u64 {
        self.next_id.saturating_sub(self.random.below(30)).max(1)
    }
}

pub fn account(number: u64) -> AccountId {
    AccountId::from_u128(number.into()).unwrap()
}

pub fn nanos(nanos: u64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}
