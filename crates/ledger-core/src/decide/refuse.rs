//! What the state of the moment refuses: limits of totals and balances, closed accounts, conditions.

use crate::{
    Account, Change, Check, Condition, EntrySide, NormalSide, Totals, TransferRefusal as R,
};

/// One of a transfer's two accounts, as the command has left it so far.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) account: &'a Account,
    pub(super) totals: Totals,
    pub(super) version: u64,
}

/// How a transfer is checked.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    pub(super) change: Change,
    /// Its limits of balances were another place's business.
    pub(super) is_imported: bool,
    /// It would end after the last time that can be told.
    pub(super) overflows_timeout: bool,
}

/// The totals of both accounts after the change, or why it may not be, in the order of [`R`].
pub(super) fn check(
    debit: Side<'_>,
    credit: Side<'_>,
    checked: Checked,
) -> Result<(Totals, Totals), R> {
    if debit.account.is_closed {
        return Err(R::DebitAccountAlreadyClosed);
    }
    if credit.account.is_closed {
        return Err(R::CreditAccountAlreadyClosed);
    }
    let (debited, credited) = totals_after(&debit.totals, &credit.totals, checked.change)?;
    if checked.overflows_timeout {
        return Err(R::OverflowsTimeout);
    }
    if !checked.is_imported && checked.change.excess() > 0 {
        check_limits(debit.account, &debited, credit.account, &credited)?;
    }
    Ok((debited, credited))
}

fn totals_after(debit: &Totals, credit: &Totals, change: Change) -> Result<(Totals, Totals), R> {
    let overflows = |total: u128, amount: u128| total.checked_add(amount).is_none();
    if let Change::Reserve(amount) = change {
        if overflows(debit.debits_pending, amount) {
            return Err(R::OverflowsDebitsPending);
        }
        if overflows(credit.credits_pending, amount) {
            return Err(R::OverflowsCreditsPending);
        }
    }
    let (Change::Post(amount) | Change::Reserve(amount) | Change::Settle { posted: amount, .. }) =
        change;
    if overflows(debit.debits_posted, amount) {
        return Err(R::OverflowsDebitsPosted);
    }
    if overflows(credit.credits_posted, amount) {
        return Err(R::OverflowsCreditsPosted);
    }
    let debited = change.apply(*debit, EntrySide::Debit).ok_or(R::OverflowsDebits)?;
    let credited = change.apply(*credit, EntrySide::Credit).ok_or(R::OverflowsCredits)?;
    Ok((debited, credited))
}

fn check_limits(
    debit: &Account,
    debited: &Totals,
    credit: &Account,
    credited: &Totals,
) -> Result<(), R> {
    let grows_by_debit = debit.normal_side == NormalSide::Debit;
    let grows_by_credit = credit.normal_side == NormalSide::Credit;
    if !grows_by_debit && !debit.is_above_floor(debited) {
        return Err(R::ExceedsCredits);
    }
    if !grows_by_credit && !credit.is_above_floor(credited) {
        return Err(R::ExceedsDebits);
    }
    if grows_by_debit && !debit.is_below_ceiling(debited) {
        return Err(R::DebitAccountExceedsCeiling);
    }
    if grows_by_credit && !credit.is_below_ceiling(credited) {
        return Err(R::CreditAccountExceedsCeiling);
    }
    Ok(())
}

/// Whether the conditions on one transfer of a set hold: versions first, then balances.
pub(super) fn check_conditions(
    conditions: &[Condition],
    transfer: u16,
    debit: Side<'_>,
    credit: Side<'_>,
) -> Result<(), R> {
    let of = |condition: &Condition| match condition.side {
        EntrySide::Debit => debit,
        EntrySide::Credit => credit,
    };
    let conditions = || conditions.iter().filter(|condition| condition.transfer == transfer);
    for condition in conditions() {
        if let Check::Version(version) = condition.check
            && of(condition).version != version
        {
            return Err(R::VersionConditionFailed);
        }
    }
    let hold = conditions().all(|condition| {
        let Side { account, totals, .. } = of(condition);
        let side = account.normal_side;
        match condition.check {
            Check::AvailableAtLeast(least) => totals.available(side) >= least,
            Check::AvailableAtMost(most) => totals.available(side) <= most,
            Check::PostedAtLeast(least) => totals.posted(side) >= least,
            Check::PostedAtMost(most) => totals.posted(side) <= most,
            Check::Version(_) => true,
        }
    });
    if hold { Ok(()) } else { Err(R::BalanceConditionFailed) }
}

/// How much of `amount` the debit account can give away without going below its floor or zero, whichever is higher.
pub(super) fn balance_debit(debit: Side<'_>, amount: u128) -> u128 {
    let Totals { debits_pending, debits_posted, credits_posted, .. } = debit.totals;
    let floor = floor_above_zero(debit.account, NormalSide::Credit);
    amount.min(room(credits_posted, debits_posted, debits_pending, floor))
}

/// The same of what the credit account, the other way round, can take.
pub(super) fn balance_credit(credit: Side<'_>, amount: u128) -> u128 {
    let Totals { credits_pending, credits_posted, debits_posted, .. } = credit.totals;
    let floor = floor_above_zero(credit.account, NormalSide::Debit);
    amount.min(room(debits_posted, credits_posted, credits_pending, floor))
}

fn room(increased: u128, posted: u128, pending: u128, floor: u128) -> u128 {
    increased.saturating_sub(posted).saturating_sub(pending).saturating_sub(floor)
}

fn floor_above_zero(account: &Account, side: NormalSide) -> u128 {
    match account.floor {
        Some(floor) if account.normal_side == side && !floor.is_negative() => floor.magnitude(),
        _ => 0,
    }
}
