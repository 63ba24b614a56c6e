//! Every combination of a few small numbers and a few near 2^128: an overflow is a result, never a wrap or a panic.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod proof;

use lombard_ledger_core::{
    Change, EntrySide, NewTransfer, NormalSide, Reservation, Totals, TransferFlags as Flags,
    TransferKind as Kind,
};
use lombard_types::{Amount, Timestamp, TransferId};
use proof::{
    Beside,
    generate::account,
    model::{Answer, CREDIT, DEBIT, Signed},
};

const MAX: u128 = u128::MAX;
const NUMBERS: [u128; 8] = [0, 1, 2, 3, MAX - 3, MAX - 2, MAX - 1, MAX];
/// Where eight would make too many combinations for every change.
const FEW: [u128; 6] = [0, 1, 2, 3, MAX - 1, MAX];

/// A number of 256 bits, of which no sum here needs more than a few.
type Wide = (u128, u128);

fn wide(parts: &[u128]) -> Wide {
    parts.iter().fold((0, 0), |(high, low), part| {
        let (low, carry) = low.overflowing_add(*part);
        (high + u128::from(carry), low)
    })
}

fn pairs(numbers: &[u128]) -> impl Iterator<Item = (u128, u128)> {
    numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b)))
}

#[test]
fn a_change_of_totals_is_exact_or_none() {
    for (pending, posted) in pairs(&NUMBERS) {
        let before = Totals { debits_pending: pending, debits_posted: posted, ..Totals::default() };
        let check = |change: Change, released: u128, reserved: u128, moved: u128| {
            let is_there = released <= pending;
            let after = (pending.saturating_sub(released).checked_add(reserved))
                .zip(posted.checked_add(moved))
                .filter(|(pending, posted)| is_there && wide(&[*pending, *posted]).0 == 0);
            let expected = after.map(|(debits_pending, debits_posted)| Totals {
                debits_pending,
                debits_posted,
                ..Totals::default()
            });
            assert_eq!(change.apply(before, EntrySide::Debit), expected, "{before:?} {change:?}");
            let other =
                Totals { credits_pending: pending, credits_posted: posted, ..Totals::default() };
            let other = change.apply(other, EntrySide::Credit);
            let mirrored = other.map(|totals| (totals.credits_pending, totals.credits_posted));
            assert_eq!(mirrored, after, "{before:?} {change:?}");
        };
        for amount in NUMBERS {
            check(Change::Post(amount), 0, 0, amount);
            check(Change::Reserve(amount), 0, amount, 0);
        }
        for (reserved, posted) in pairs(&NUMBERS) {
            check(Change::Settle { reserved, posted }, reserved, 0, posted);
        }
    }
}

#[test]
fn balances_are_differences_without_a_wrap() {
    for ((debits_pending, debits_posted), (credits_pending, credits_posted)) in
        pairs(&NUMBERS).flat_map(|debits| pairs(&NUMBERS).map(move |credits| (debits, credits)))
    {
        let totals = Totals { debits_pending, debits_posted, credits_pending, credits_posted };
        let (debits, credits) =
            (wide(&[debits_pending, debits_posted]), wide(&[credits_pending, credits_posted]));
        if debits.0 + credits.0 > 0 {
            // A book refuses what would make such totals.
            continue;
        }
        let check = |balance: lombard_ledger_core::Balance, plus: u128, minus: u128| {
            let (is_negative, size) = (balance.is_negative(), balance.magnitude());
            let sides = if is_negative { [plus, minus] } else { [minus, plus] };
            assert_eq!(wide(&[sides[0], size]), wide(&[sides[1]]), "{totals:?} {balance:?}");
        };
        check(totals.posted(NormalSide::Debit), debits_posted, credits_posted);
        check(totals.posted(NormalSide::Credit), credits_posted, debits_posted);
        check(totals.pending(NormalSide::Debit), debits_pending, credits_pending);
        check(totals.pending(NormalSide::Credit), credits_pending, debits_pending);
        check(totals.available(NormalSide::Debit), debits_posted, credits.1);
        check(totals.available(NormalSide::Credit), credits_posted, debits.1);
        check(totals.expected(NormalSide::Debit), debits.1, credits_posted);
        check(totals.expected(NormalSide::Credit), credits.1, debits_posted);
    }
}

/// Signed numbers of five bits, by an ordinary integer.
#[test]
fn balances_are_ordered_and_written_as_integers() {
    use lombard_ledger_core::Balance;
    use lombard_types::Scale;

    let small = -16i64..=16;
    let balance = |number: i64| Balance::new(number < 0, u128::from(number.unsigned_abs()));
    for a in small.clone() {
        for b in small.clone() {
            assert_eq!(balance(a).cmp(&balance(b)), a.cmp(&b), "{a} and {b}");
            if a >= 0 && b >= 0 {
                let difference =
                    Balance::difference(a.unsigned_abs().into(), b.unsigned_abs().into());
                assert_eq!(difference, balance(a - b), "{a} - {b}");
            }
        }
        let whole = Scale::new(0).unwrap();
        assert_eq!(balance(a).display(whole).to_string(), a.to_string());
        for digits in 0..=3 {
            let scale = Scale::new(digits).unwrap();
            let text = balance(a).display(scale).to_string();
            assert_eq!(Balance::parse(&text, scale), Ok(balance(a)), "{text}");
        }
    }
}

/// The same at both ends of the numbers, where no integer has enough bits.
#[test]
fn balances_are_ordered_and_are_differences_at_both_ends() {
    use lombard_ledger_core::Balance;

    let all = || [false, true].into_iter().flat_map(|sign| NUMBERS.map(|size| (sign, size)));
    // Below zero from the smallest up, then zero and what is above it.
    let order = |(is_negative, size): Signed| match is_negative && size > 0 {
        true => (false, MAX - size),
        false => (true, size),
    };
    for (a, b) in all().flat_map(|a| all().map(move |b| (a, b))) {
        let (left, right) = (Balance::new(a.0, a.1), Balance::new(b.0, b.1));
        assert_eq!(left.cmp(&right), order(a).cmp(&order(b)), "{a:?} and {b:?}");
        assert_eq!(left == right, order(a) == order(b), "{a:?} and {b:?}");
    }
    for (plus, minus) in pairs(&NUMBERS) {
        let found = Balance::difference(plus, minus);
        let sides = if found.is_negative() { [plus, minus] } else { [minus, plus] };
        assert_eq!(wide(&[sides[0], found.magnitude()]), wide(&[sides[1]]), "{plus} - {minus}");
        assert!(!found.is_negative() || found.magnitude() > 0, "minus zero");
    }
}

/// A reservation ends to the nanosecond, or with the last nanosecond that there is.
#[test]
fn reservations_end_without_a_wrap() {
    use lombard_ledger_core::Ending;

    let last = Timestamp::MAX.unix_nanos();
    let times = [0, 1, 2, last - 4_294_967_295_000_000_000, last - 1, last];
    for (recorded, timeout_seconds) in
        times.iter().flat_map(|time| [0, 1, 2, u32::MAX - 1, u32::MAX].map(|wait| (*time, wait)))
    {
        let recorded_at = Timestamp::from_unix_nanos(recorded);
        let wait = Reservation { timeout_seconds, ..Reservation::default() };
        let end = u128::from(recorded) + u128::from(timeout_seconds) * 1_000_000_000;
        let end = u64::try_from(end.min(last.into())).unwrap();
        let expected =
            (timeout_seconds > 0).then(|| (Timestamp::from_unix_nanos(end), Ending::Expired));
        for effective in [None, Some(recorded_at), Some(Timestamp::MAX)] {
            assert_eq!(wait.ends(effective, recorded_at), expected, "{recorded} {timeout_seconds}");
            let scheduled = Reservation { is_scheduled: true, ..wait };
            let expected = effective.map(|time| (time, Ending::Posted));
            assert_eq!(scheduled.ends(effective, recorded_at), expected);
        }
    }
}

fn amount(units: u128) -> Amount {
    Amount::from_minor_units(units)
}

fn id(number: u128) -> TransferId {
    TransferId::from_u128(number).unwrap()
}

fn pending(transfer: NewTransfer, allowance: u128) -> NewTransfer {
    let allowance = amount(allowance);
    let wait = Reservation { timeout_seconds: 0, allowance, is_scheduled: false };
    NewTransfer { kind: Kind::Pending(wait), ..transfer }
}

/// An account with these totals and limits, which are another place's business while the totals are made.
fn with_totals(
    side: usize,
    (floor, ceiling): (Option<Signed>, Option<Signed>),
    debits: (u128, u128),
    credits: (u128, u128),
) -> Beside {
    let mut beside = Beside::empty(2);
    beside.open(1, side, floor, ceiling);
    beside.open(3, CREDIT, None, None);
    beside.open(5, DEBIT, None, None);
    let steps = [
        (debits.0, 1, 3, true),
        (debits.1, 1, 3, false),
        (credits.0, 3, 1, true),
        (credits.1, 3, 1, false),
    ];
    for (number, (units, debit, credit, is_pending)) in (1..).zip(steps) {
        if units == 0 {
            continue;
        }
        let mut one =
            NewTransfer::single(id(number), account(debit), account(credit), amount(units));
        (one.flags, one.effective_at) = (Flags::IMPORTED, Some(Timestamp::from_unix_nanos(1)));
        let one = if is_pending { pending(one, 0) } else { one };
        assert_eq!(beside.submit(vec![one], false).unwrap(), (0, "created"));
    }
    beside
}

#[test]
fn every_transfer_between_totals_at_both_ends_of_the_numbers() {
    let balances = Flags::BALANCING_DEBIT.with(Flags::BALANCING_CREDIT);
    let flags = [Flags::default(), Flags::BALANCING_DEBIT, Flags::BALANCING_CREDIT, balances];
    let limits = [
        (None, None),
        (Some((false, 1)), Some((false, 2))),
        (Some((true, MAX)), Some((false, MAX))),
    ];
    let valid = || pairs(&FEW).filter(|(a, b)| a.checked_add(*b).is_some());
    let mut seen = std::collections::BTreeSet::new();
    for (side, limit) in
        [DEBIT, CREDIT].into_iter().flat_map(|side| limits.map(|limit| (side, limit)))
    {
        for (debits, credits) in
            valid().flat_map(|debits| valid().map(move |credits| (debits, credits)))
        {
            let mut beside = with_totals(side, limit, debits, credits);
            for (units, flags) in
                FEW.into_iter().flat_map(|units| flags.map(|flags| (units, flags)))
            {
                for (debit, credit) in [(1, 5), (5, 1)] {
                    let one =
                        NewTransfer::single(id(9), account(debit), account(credit), amount(units));
                    let one = NewTransfer { flags, ..one };
                    for one in [one, pending(one, 0)] {
                        let (_, answer) = beside.submit(vec![one], true).unwrap();
                        seen.insert(answer);
                    }
                }
            }
        }
    }
    for name in [
        "created",
        "overflows_debits_pending",
        "overflows_credits_pending",
        "overflows_debits_posted",
        "overflows_credits_posted",
        "overflows_debits",
        "overflows_credits",
        "exceeds_credits",
        "exceeds_debits",
        "debit_account_exceeds_ceiling",
        "credit_account_exceeds_ceiling",
    ] {
        assert!(seen.contains(name), "{name} never happened");
    }
}

#[test]
fn every_post_of_every_reservation_and_every_reversal_of_it() {
    let limits = [(None, None), (Some((true, 3)), None), (Some((true, MAX)), Some((false, MAX)))];
    let all = pairs(&FEW).flat_map(|a| pairs(&FEW).map(move |b| (a, b)));
    let all = all.flat_map(|numbers| limits.map(|limits| (numbers, limits)));
    for (((before, reserved), (allowance, posted)), limits) in all {
        let mut beside = with_totals(CREDIT, limits, (0, before), (0, 0));
        let mut submit = |one: NewTransfer| -> Answer { beside.submit(vec![one], false).unwrap() };
        let one = NewTransfer::single(id(10), account(1), account(5), amount(reserved));
        submit(pending(one, allowance));
        let whole = NewTransfer::whole(id(11), Kind::Post { pending: id(10) });
        let part = NewTransfer { flags: Flags::default(), amount: amount(posted), ..whole };
        submit(part);
        for (number, units) in (12..).zip(FEW) {
            let whole = NewTransfer::whole(id(number), Kind::Reversal { of: id(11) });
            submit(NewTransfer { flags: Flags::default(), amount: amount(units), ..whole });
        }
        submit(NewTransfer::whole(id(20), Kind::Reversal { of: id(11) }));
    }
}
