//! What the ledger means, written to be obviously right: maps, `u128`s and no cleverness. It shares the vocabulary of
//! requests with the crate and none of its rules.

use std::collections::{BTreeMap, BTreeSet};

use lombard_ledger_core::{
    Balance, Check, Condition, EntrySide, NewNote, NewTransfer, Statement, TransferFlags as Flags,
    TransferKind as Kind,
};

use super::retry;

pub type Id = u128;
/// The transfer of the set that the answer is about, and its name.
pub type Answer = (u16, &'static str);
/// Below zero or not, and how far from zero.
pub type Signed = (bool, u128);

pub const DEBIT: usize = 0;
pub const CREDIT: usize = 1;
pub const PENDING: usize = 0;
pub const POSTED: usize = 1;
const LAST_NANOSECOND: u64 = i64::MAX as u64;

#[derive(Clone, Debug)]
pub struct Account {
    pub asset: &'static str,
    /// The side on which it grows.
    pub side: usize,
    pub floor: Option<Signed>,
    pub ceiling: Option<Signed>,
    pub is_closed: bool,
    pub version: u64,
    /// Debits and credits, of each what is pending and what is posted.
    pub totals: [[u128; 2]; 2],
}

/// One transfer as it was carried out or refused.
#[derive(Clone, Debug)]
pub struct Leg {
    pub asked: NewTransfer,
    /// The place in the request that it comes from.
    pub place: u16,
    pub debit: Id,
    pub credit: Id,
    /// What was moved, reserved or released; what was asked for where it was refused.
    pub amount: u128,
    /// Its place in the set that it is about, and how much that set's transfer has reserved or moved.
    of: (usize, u128),
    allowance: u128,
    reversed: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Moved,
    Voiding,
    Refused,
    Pending,
    Posted,
    PostedOnTime,
    Voided,
    Expired,
}

#[derive(Clone, Debug)]
pub struct Set {
    pub runs: Vec<Vec<Leg>>,
    pub note: NewNote,
    pub answer: &'static str,
    pub state: State,
    /// When it ends by itself, and whether it posts then.
    pub ends: Option<(u64, bool)>,
    /// Which command, and which set of all.
    command: u64,
    number: usize,
}

impl Set {
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.runs.iter().flatten()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub accounts: BTreeMap<Id, Account>,
    pub sets: BTreeMap<Id, Set>,
    pub pending: BTreeSet<Id>,
    pub externals: BTreeSet<String>,
    pub locks: BTreeMap<String, (u64, u64)>,
    /// Of each account: how many, until when, up to which record, closing with what.
    pub statements: BTreeMap<Id, (u32, u64, u64, Signed)>,
    pub command: u64,
}

/// `plus - minus >= bound`, with one more bit than the numbers have.
fn is_at_least(plus: u128, minus: u128, (is_negative, size): Signed) -> bool {
    let wide = |a: u128, b: u128| {
        let (low, carry) = a.overflowing_add(b);
        (carry, low)
    };
    if is_negative {
        wide(plus, size) >= (false, minus)
    } else {
        (false, plus) >= wide(minus, size)
    }
}

fn is_at_most(plus: u128, minus: u128, (is_negative, size): Signed) -> bool {
    is_at_least(minus, plus, (!is_negative, size))
}

impl Account {
    /// What can be spent, as what there is and what goes off.
    fn available(&self) -> (u128, u128) {
        let [own, other] = [self.totals[self.side], self.totals[1 - self.side]];
        (own[POSTED], other[POSTED] + other[PENDING])
    }

    fn expected(&self) -> (u128, u128) {
        let [own, other] = [self.totals[self.side], self.totals[1 - self.side]];
        (own[POSTED] + own[PENDING], other[POSTED])
    }

    /// An entry on one side: so much less and more is pending, and so much more posted.
    fn enter(&mut self, side: usize, released: u128, reserved: u128, posted: u128) {
        let totals = &mut self.totals[side];
        totals[PENDING] = totals[PENDING] - released + reserved;
        totals[POSTED] += posted;
        self.version += 1;
    }

    /// How much more the other way round than its own way, less what is kept.
    fn room(&self, side: usize) -> u128 {
        let kept = match self.floor {
            Some((false, floor)) if self.side != side => floor,
            _ => 0,
        };
        let [own, other] = [self.totals[side], self.totals[1 - side]];
        other[POSTED].saturating_sub(own[POSTED]).saturating_sub(own[PENDING]).saturating_sub(kept)
    }
}

/// Neighbours that are about the same other set belong together.
pub fn runs(asked: &[NewTransfer]) -> Vec<&[NewTransfer]> {
    let key = |kind| match kind {
        Kind::Single | Kind::Pending(_) => None,
        Kind::Post { pending } => Some((1, pending)),
        Kind::Void { pending } => Some((2, pending)),
        Kind::Reversal { of } => Some((3, of)),
    };
    asked.chunk_by(|a, b| key(a.kind).is_some() && key(a.kind) == key(b.kind)).collect()
}

fn shape(asked: &[NewTransfer], now: u64) -> Result<(), Answer> {
    if asked[asked.len() - 1].flags.has(Flags::LINKED) {
        return Err((asked.len() as u16 - 1, "linked_event_chain_open"));
    }
    for (place, one) in (0..).zip(asked) {
        if one.id != asked[0].id {
            return Err((place, "set_must_have_one_id"));
        }
        match one.effective_at {
            _ if !one.flags.has(Flags::IMPORTED) => {}
            None => return Err((place, "imported_event_timestamp_out_of_range")),
            Some(time) if time.unix_nanos() > now => {
                return Err((place, "imported_event_timestamp_must_not_advance"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn content(asked: &[NewTransfer], note: &NewNote, now: u64) -> Result<(), Answer> {
    for (place, one) in (0..).zip(asked) {
        let about = one.kind.about();
        let has = |flags| one.flags.has(flags);
        let balances = has(Flags::BALANCING_DEBIT) || has(Flags::BALANCING_CREDIT);
        if about.is_some() && balances || about.is_none() && has(Flags::WHOLE) {
            return Err((place, "flags_are_mutually_exclusive"));
        }
        if one.debit_account.is_some() && one.debit_account == one.credit_account {
            return Err((place, "accounts_must_be_different"));
        }
        if about == Some(one.id) {
            return Err((place, "pending_id_must_be_different"));
        }
        let later = one.effective_at.is_some_and(|time| time.unix_nanos() > now);
        if let Kind::Pending(wait) = one.kind
            && wait.is_scheduled
            && (wait.timeout_seconds > 0 || !later)
        {
            return Err((place, "scheduled_time_must_be_later"));
        }
        let together = match (asked[0].kind, one.kind) {
            (Kind::Pending(a), Kind::Pending(b)) => {
                (a.timeout_seconds, a.is_scheduled) == (b.timeout_seconds, b.is_scheduled)
                    && (!a.is_scheduled || asked[0].effective_at == one.effective_at)
            }
            (a, b) => !matches!(a, Kind::Pending(_)) && !matches!(b, Kind::Pending(_)),
        };
        if !together {
            return Err((place, "pending_transfers_must_not_be_mixed"));
        }
        let must_move = match one.kind {
            Kind::Single | Kind::Pending(_) => true,
            Kind::Reversal { .. } => asked.len() == 1 && !has(Flags::WHOLE),
            Kind::Post { .. } | Kind::Void { .. } => false,
        };
        if must_move && one.amount.is_zero() {
            return Err((place, "amount_must_not_be_zero"));
        }
    }
    let is_missing = |one: &&Condition| usize::from(one.transfer) >= asked.len();
    match note.conditions.iter().find(is_missing) {
        Some(condition) => Err((condition.transfer, "condition_transfer_not_found")),
        None => Ok(()),
    }
}

impl Model {
    /// One posting set, decided at `now`, when everything due has ended.
    pub fn set(&mut self, asked: &[NewTransfer], note: &NewNote, now: u64) -> Answer {
        if let Err(answer) = shape(asked, now) {
            return answer;
        }
        let id = asked[0].id.as_u128();
        if let Some(first) = self.sets.get(&id) {
            return retry::answer(self, first, asked, note);
        }
        let found = content(asked, note, now).and_then(|()| self.find(asked, note));
        let mut runs = match found {
            Ok(runs) => runs,
            Err(answer) => return answer,
        };
        let external = note.external_id.as_ref().map(|id| id.as_str().to_owned());
        if external.as_ref().is_some_and(|id| self.externals.contains(id)) {
            return (0, "external_id_taken");
        }
        self.externals.extend(external);
        let mut accounts = self.accounts.clone();
        let is_nothing_left = runs.iter().flatten().all(|leg| match leg.asked.kind {
            Kind::Reversal { of } => self.left(of.as_u128(), leg.of, &[]) == 0,
            _ => false,
        });
        let mut answer = (0, "created");
        let mut done: Vec<Leg> = Vec::new();
        for leg in runs.iter().flatten() {
            if let Kind::Reversal { .. } = leg.asked.kind
                && is_nothing_left
                && leg.asked.flags.has(Flags::WHOLE)
            {
                answer = (leg.place, "exceeds_reversible_amount");
                break;
            }
            match self.carry_out(leg, &mut accounts, &done, note, now) {
                Ok(amount) => done.push(Leg { amount, ..leg.clone() }),
                Err(refusal) => {
                    answer = (leg.place, refusal);
                    break;
                }
            }
        }
        let (mut state, mut ends) = (State::Refused, None);
        if answer.1 == "created" {
            self.accounts = accounts;
            runs.iter_mut().flatten().zip(done).for_each(|(leg, done)| *leg = done);
            (state, ends) = self.remember(&runs, now);
        }
        if state == State::Pending {
            self.pending.insert(id);
        }
        let (command, number, note) = (self.command, self.sets.len(), note.clone());
        self.sets.insert(id, Set { runs, note, answer: answer.1, state, ends, command, number });
        answer
    }

    /// The transfers of the set with their accounts, and with what they are about.
    fn find(&self, asked: &[NewTransfer], note: &NewNote) -> Result<Vec<Vec<Leg>>, Answer> {
        let mut found: Vec<Vec<Leg>> = Vec::new();
        let mut start = 0;
        for run in runs(asked) {
            let place = |index: usize| (start + index) as u16;
            let Some(about) = run[0].kind.about() else {
                let leg = self.find_new(run[0], place(0), note).map_err(|why| (place(0), why))?;
                found.push(vec![leg]);
                start += 1;
                continue;
            };
            let others = self.others(run[0].kind, about.as_u128(), &found);
            let others = others.map_err(|why| (place(0), why))?;
            let is_reversal = matches!(run[0].kind, Kind::Reversal { .. });
            let is_one_for_all = run.len() == 1 && run[0].flags.has(Flags::WHOLE);
            if run.len() != others.len() && !is_one_for_all {
                return Err((
                    place(0),
                    match is_reversal {
                        true => "reversed_transfer_has_different_transfer_count",
                        false => "pending_transfer_has_different_transfer_count",
                    },
                ));
            }
            let mut legs = Vec::new();
            for (index, other) in others.into_iter().enumerate() {
                let from = if is_one_for_all { 0 } else { index };
                let leg = self.find_about(run[from], place(from), note, other, index);
                legs.push(leg.map_err(|why| (place(from), why))?);
            }
            start += run.len();
            found.push(legs);
        }
        Ok(found)
    }

    fn find_new(
        &self,
        asked: NewTransfer,
        place: u16,
        note: &NewNote,
    ) -> Result<Leg, &'static str> {
        let known = |id: Option<lombard_types::AccountId>| {
            id.map(|id| id.as_u128()).filter(|id| self.accounts.contains_key(id))
        };
        let debit = known(asked.debit_account).ok_or("debit_account_not_found")?;
        let credit = known(asked.credit_account).ok_or("credit_account_not_found")?;
        let asset = self.accounts[&debit].asset;
        if asset != self.accounts[&credit].asset {
            return Err("accounts_must_have_the_same_asset");
        }
        if note.assets.get(usize::from(place)).is_some_and(|said| said.as_str() != asset) {
            return Err("transfer_must_have_the_same_asset_as_accounts");
        }
        let allowance = match asked.kind {
            Kind::Pending(wait) => wait.allowance.minor_units(),
            _ => 0,
        };
        let amount = asked.amount.minor_units();
        Ok(Leg { asked, place, debit, credit, amount, of: (0, 0), allowance, reversed: 0 })
    }

    /// The transfers that a post, void or reversal is about.
    fn others(&self, kind: Kind, id: Id, found: &[Vec<Leg>]) -> Result<Vec<&Leg>, &'static str> {
        if let Kind::Reversal { .. } = kind {
            // Whoever asks looks the set up before: what the same command records cannot be reversed by it.
            let set = self.sets.get(&id).filter(|set| set.command < self.command);
            let set = set.ok_or("reversed_transfer_not_found")?;
            let is_plain = |leg: &Leg| matches!(leg.asked.kind, Kind::Single | Kind::Post { .. });
            let has_moved = set.state == State::PostedOnTime
                || set.state == State::Moved && set.legs().all(is_plain);
            return if has_moved {
                Ok(set.legs().collect())
            } else {
                Err("reversed_transfer_not_posted")
            };
        }
        for leg in found.iter().flatten() {
            match leg.asked.kind {
                Kind::Post { pending } if pending.as_u128() == id => {
                    return Err("pending_transfer_already_posted");
                }
                Kind::Void { pending } if pending.as_u128() == id => {
                    return Err("pending_transfer_already_voided");
                }
                _ => {}
            }
        }
        let Some(set) = self.sets.get(&id) else { return Err("pending_transfer_not_found") };
        match set.state {
            State::Pending => Ok(set.legs().collect()),
            State::Refused => Err("pending_transfer_not_found"),
            State::Moved | State::Voiding => Err("pending_transfer_not_pending"),
            State::Posted | State::PostedOnTime => Err("pending_transfer_already_posted"),
            State::Voided => Err("pending_transfer_already_voided"),
            State::Expired => Err("pending_transfer_expired"),
        }
    }

    fn find_about(
        &self,
        asked: NewTransfer,
        place: u16,
        note: &NewNote,
        other: &Leg,
        index: usize,
    ) -> Result<Leg, &'static str> {
        let is_reversal = matches!(asked.kind, Kind::Reversal { .. });
        let (debit, credit) = match is_reversal {
            true => (other.credit, other.debit),
            false => (other.debit, other.credit),
        };
        if asked.debit_account.is_some_and(|id| id.as_u128() != debit) {
            return Err(match is_reversal {
                true => "reversed_transfer_has_different_accounts",
                false => "pending_transfer_has_different_debit_account_id",
            });
        }
        if asked.credit_account.is_some_and(|id| id.as_u128() != credit) {
            return Err(match is_reversal {
                true => "reversed_transfer_has_different_accounts",
                false => "pending_transfer_has_different_credit_account_id",
            });
        }
        let asset = self.accounts[&debit].asset;
        if note.assets.get(usize::from(place)).is_some_and(|said| said.as_str() != asset) {
            return Err("transfer_must_have_the_same_asset_as_accounts");
        }
        let amount = asked.amount.minor_units();
        let is_part = !asked.flags.has(Flags::WHOLE);
        match asked.kind {
            Kind::Post { .. }
                if is_part && amount > other.amount.saturating_add(other.allowance) =>
            {
                return Err("exceeds_pending_transfer_amount");
            }
            Kind::Void { .. } if is_part && amount > 0 && amount != other.amount => {
                return Err("pending_transfer_has_different_amount");
            }
            _ => {}
        }
        let of = (index, other.amount);
        Ok(Leg { asked, place, debit, credit, amount, of, allowance: 0, reversed: 0 })
    }

    /// How much of a transfer is not reversed, neither before nor by the transfers of this set before this one.
    fn left(&self, id: Id, (index, moved): (usize, u128), done: &[Leg]) -> u128 {
        let reversed = self.sets[&id].legs().nth(index).map_or(0, |leg| leg.reversed);
        let is_same = |leg: &&Leg| match leg.asked.kind {
            Kind::Reversal { of } => of.as_u128() == id && leg.of.0 == index,
            _ => false,
        };
        moved - reversed - done.iter().filter(is_same).map(|leg| leg.amount).sum::<u128>()
    }

    /// Changes the accounts, and answers what was moved, reserved or released.
    fn carry_out(
        &self,
        leg: &Leg,
        accounts: &mut BTreeMap<Id, Account>,
        done: &[Leg],
        note: &NewNote,
        now: u64,
    ) -> Result<u128, &'static str> {
        let has = |flags| leg.asked.flags.has(flags);
        let mut amount = leg.asked.amount.minor_units();
        if let Kind::Reversal { of } = leg.asked.kind {
            let left = self.left(of.as_u128(), leg.of, done);
            if amount > left {
                return Err("exceeds_reversible_amount");
            }
            amount = if has(Flags::WHOLE) { left } else { amount };
        }
        let time = leg.asked.effective_at.map_or(now, |time| time.unix_nanos());
        let is_void = matches!(leg.asked.kind, Kind::Void { .. });
        if !is_void
            && !has(Flags::OVERRIDES_LOCK)
            && self.locks.values().any(|(from, until)| (*from..*until).contains(&time))
        {
            return Err("period_locked");
        }
        let (debit, credit) = (accounts[&leg.debit].clone(), accounts[&leg.credit].clone());
        if has(Flags::BALANCING_DEBIT) {
            amount = amount.min(debit.room(DEBIT));
        }
        if has(Flags::BALANCING_CREDIT) {
            amount = amount.min(credit.room(CREDIT));
        }
        let (released, reserved, posted) = match leg.asked.kind {
            Kind::Single | Kind::Reversal { .. } => (0, 0, amount),
            Kind::Pending(_) => (0, amount, 0),
            Kind::Post { .. } if has(Flags::WHOLE) => (leg.of.1, 0, leg.of.1),
            Kind::Post { .. } => (leg.of.1, 0, amount),
            Kind::Void { .. } => (leg.of.1, 0, 0),
        };
        if debit.is_closed {
            return Err("debit_account_already_closed");
        }
        if credit.is_closed {
            return Err("credit_account_already_closed");
        }
        let (debits, credits) = (debit.totals[DEBIT], credit.totals[CREDIT]);
        let fits = |a: u128, b: u128| a.checked_add(b).is_some();
        let sum =
            |[pending, before]: [u128; 2]| fits(pending - released + reserved, before + posted);
        for (fits, overflow) in [
            (fits(debits[PENDING], reserved), "overflows_debits_pending"),
            (fits(credits[PENDING], reserved), "overflows_credits_pending"),
            (fits(debits[POSTED], reserved.max(posted)), "overflows_debits_posted"),
            (fits(credits[POSTED], reserved.max(posted)), "overflows_credits_posted"),
        ] {
            if !fits {
                return Err(overflow);
            }
        }
        if !sum(debits) {
            return Err("overflows_debits");
        }
        if !sum(credits) {
            return Err("overflows_credits");
        }
        if ends(leg, now).is_some_and(|(time, _)| time == LAST_NANOSECOND) {
            return Err("overflows_timeout");
        }
        let mut entered = (debit, credit);
        entered.0.enter(DEBIT, released, reserved, posted);
        entered.1.enter(CREDIT, released, reserved, posted);
        // What was reserved before was within the limits then; only what is more is asked for now.
        if !has(Flags::IMPORTED) && reserved + posted > released {
            check_limits(&entered.0, &entered.1)?;
        }
        check_conditions(note, leg.place, [&entered.0, &entered.1])?;
        accounts.insert(leg.debit, entered.0);
        accounts.insert(leg.credit, entered.1);
        Ok(if is_void { released } else { reserved + posted })
    }

    /// What a set that happened means for itself and for the sets that it is about.
    fn remember(&mut self, runs: &[Vec<Leg>], now: u64) -> (State, Option<(u64, bool)>) {
        let legs = || runs.iter().flatten();
        for leg in legs() {
            let (id, state) = match leg.asked.kind {
                Kind::Post { pending } => (pending, State::Posted),
                Kind::Void { pending } => (pending, State::Voided),
                Kind::Reversal { of } => {
                    let mut all =
                        self.sets.get_mut(&of.as_u128()).unwrap().runs.iter_mut().flatten();
                    all.nth(leg.of.0).unwrap().reversed += leg.amount;
                    continue;
                }
                Kind::Single | Kind::Pending(_) => continue,
            };
            self.pending.remove(&id.as_u128());
            self.sets.get_mut(&id.as_u128()).unwrap().state = state;
        }
        let first = &runs[0][0];
        match first.asked.kind {
            Kind::Pending(_) => (State::Pending, ends(first, now)),
            _ if legs().all(|leg| matches!(leg.asked.kind, Kind::Void { .. })) => {
                (State::Voiding, None)
            }
            _ => (State::Moved, None),
        }
    }

    /// What time has ended at `now`, in order: the set, when, and whether it was posted.
    pub fn end_due(&mut self, now: u64) -> Vec<(Id, u64, bool)> {
        let mut due: Vec<_> = (self.pending.iter())
            .filter_map(|id| {
                let set = &self.sets[id];
                let (at, is_posted) = set.ends.filter(|(at, _)| *at <= now)?;
                Some((at, set.number, *id, is_posted))
            })
            .collect();
        due.sort_unstable();
        for (_, _, id, is_posted) in &due {
            let set = self.sets.get_mut(id).unwrap();
            set.state = if *is_posted { State::PostedOnTime } else { State::Expired };
            self.pending.remove(id);
            for leg in set.runs.iter().flatten() {
                let posted = if *is_posted { leg.amount } else { 0 };
                for (id, side) in [(leg.debit, DEBIT), (leg.credit, CREDIT)] {
                    self.accounts.get_mut(&id).unwrap().enter(side, leg.amount, 0, posted);
                }
            }
        }
        due.into_iter().map(|(at, _, id, is_posted)| (id, at, is_posted)).collect()
    }

    pub fn close(&mut self, id: Id, is_closed: bool) -> &'static str {
        let Some(account) = self.accounts.get_mut(&id) else { return "account_not_found" };
        if is_closed
            && !account.is_closed
            && account.totals.iter().any(|totals| totals[PENDING] != 0)
        {
            return "account_has_pending_transfers";
        }
        account.is_closed = is_closed;
        "ok"
    }

    pub fn lock(&mut self, name: &str, from: u64, until: u64) -> &'static str {
        match self.locks.get(name) {
            Some(known) if *known == (from, until) => return "ok",
            Some(_) => return "exists_with_different_period",
            None if from >= until => return "period_must_not_be_empty",
            None => {}
        }
        self.locks.insert(name.to_owned(), (from, until));
        "ok"
    }

    pub fn seal(&mut self, statement: &Statement, now: u64) -> &'static str {
        let Statement { account, number, from, until, end, opening, closing, .. } = *statement;
        let signed = |balance: Balance| (balance.is_negative(), balance.magnitude());
        let (from, until, end) = (from.unix_nanos(), until.unix_nanos(), end.get());
        let account = account.as_u128();
        if !self.accounts.contains_key(&account) {
            return "account_not_found";
        }
        if from >= until {
            return "period_must_not_be_empty";
        }
        if until > now {
            return "period_must_have_ended";
        }
        let follows = match self.statements.get(&account) {
            None => number == 1,
            Some(last) => {
                let (count, ended, recorded, closed) = *last;
                number == count + 1 && from == ended && end >= recorded && signed(opening) == closed
            }
        };
        if !follows {
            return "must_follow_the_last_statement";
        }
        self.statements.insert(account, (number, until, end, signed(closing)));
        "ok"
    }

    pub fn unlock(&mut self, name: &str) -> &'static str {
        if self.locks.remove(name).is_some() { "ok" } else { "period_lock_not_found" }
    }
}

fn ends(leg: &Leg, now: u64) -> Option<(u64, bool)> {
    let Kind::Pending(wait) = leg.asked.kind else { return None };
    if wait.is_scheduled {
        return leg.asked.effective_at.map(|time| (time.unix_nanos(), true));
    }
    let nanos = u64::from(wait.timeout_seconds) * 1_000_000_000;
    (nanos > 0).then(|| (now.saturating_add(nanos).min(LAST_NANOSECOND), false))
}

fn check_limits(debit: &Account, credit: &Account) -> Result<(), &'static str> {
    let is_low = |account: &Account| {
        let (plus, minus) = account.available();
        account.floor.is_some_and(|floor| !is_at_least(plus, minus, floor))
    };
    let is_high = |account: &Account| {
        let (plus, minus) = account.expected();
        account.ceiling.is_some_and(|ceiling| !is_at_most(plus, minus, ceiling))
    };
    // An account can only fall on the side on which it does not grow, and rise on the other.
    match () {
        () if debit.side == CREDIT && is_low(debit) => Err("exceeds_credits"),
        () if credit.side == DEBIT && is_low(credit) => Err("exceeds_debits"),
        () if debit.side == DEBIT && is_high(debit) => Err("debit_account_exceeds_ceiling"),
        () if credit.side == CREDIT && is_high(credit) => Err("credit_account_exceeds_ceiling"),
        () => Ok(()),
    }
}

/// The version is that before the entry, balances are those after it.
fn check_conditions(
    note: &NewNote,
    place: u16,
    entered: [&Account; 2],
) -> Result<(), &'static str> {
    let of = |condition: &Condition| entered[usize::from(condition.side == EntrySide::Credit)];
    let here = || note.conditions.iter().filter(|condition| condition.transfer == place);
    for condition in here() {
        if let Check::Version(version) = condition.check
            && of(condition).version != version + 1
        {
            return Err("version_condition_failed");
        }
    }
    for condition in here() {
        let account = of(condition);
        let (plus, minus) = account.available();
        let [own, other] = [account.totals[account.side], account.totals[1 - account.side]];
        let signed =
            |balance: lombard_ledger_core::Balance| (balance.is_negative(), balance.magnitude());
        let holds = match condition.check {
            Check::AvailableAtLeast(least) => is_at_least(plus, minus, signed(least)),
            Check::AvailableAtMost(most) => is_at_most(plus, minus, signed(most)),
            Check::PostedAtLeast(least) => is_at_least(own[POSTED], other[POSTED], signed(least)),
            Check::PostedAtMost(most) => is_at_most(own[POSTED], other[POSTED], signed(most)),
            Check::Version(_) => true,
        };
        if !holds {
            return Err("balance_condition_failed");
        }
    }
    Ok(())
}
