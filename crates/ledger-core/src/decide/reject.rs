//! What is wrong with a posting set by itself, whatever the state.

use lombard_types::Timestamp;

use crate::{
    NewNote, NewTransfer, Reservation, SET_TRANSFERS_MAX, TransferFlags as Flags, TransferKind,
    TransferRejection as R,
};

/// A rejection, and the transfer of the set that it is about.
pub(super) type Rejected = (u16, R);

/// What is told before the id is looked up.
pub(super) fn check_shape(set: &[NewTransfer], now: Timestamp) -> Result<(), Rejected> {
    if set.last().is_some_and(NewTransfer::is_linked) {
        return Err((place(set.len() - 1), R::LinkedEventChainOpen));
    }
    if set.len() > SET_TRANSFERS_MAX {
        return Err((place(SET_TRANSFERS_MAX), R::TooManyTransfers));
    }
    let first = set.first().map(|transfer| transfer.id);
    for (number, transfer) in (0..).zip(set) {
        if Some(transfer.id) != first {
            return Err((number, R::SetMustHaveOneId));
        }
        if transfer.flags.has(Flags::IMPORTED) {
            match transfer.effective_at {
                None => return Err((number, R::ImportedEventTimestampOutOfRange)),
                Some(time) if time > now => {
                    return Err((number, R::ImportedEventTimestampMustNotAdvance));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// What is told after the id was found to be unspent.
pub(super) fn check_content(
    set: &[NewTransfer],
    note: Option<&NewNote>,
    now: Timestamp,
) -> Result<(), Rejected> {
    let reservation = set.first().and_then(|transfer| reservation(transfer.kind));
    for (number, transfer) in (0..).zip(set) {
        check_transfer(transfer, now).map_err(|rejection| (number, rejection))?;
        // Pending transfers of a set end together.
        if terms(self::reservation(transfer.kind)) != terms(reservation)
            || reservation.is_some_and(|reservation| reservation.is_scheduled)
                && set.first().is_some_and(|first| first.effective_at != transfer.effective_at)
        {
            return Err((number, R::PendingTransfersMustNotBeMixed));
        }
        let may_move_nothing =
            set.len() > 1 && matches!(transfer.kind, TransferKind::Reversal { .. });
        if moves_nothing(transfer) && !may_move_nothing {
            return Err((number, R::AmountMustNotBeZero));
        }
    }
    let Some(note) = note else { return Ok(()) };
    if let Some(condition) =
        note.conditions.iter().find(|condition| usize::from(condition.transfer) >= set.len())
    {
        return Err((condition.transfer, R::ConditionTransferNotFound));
    }
    let is_one_payment =
        matches!(set, [NewTransfer { kind: TransferKind::Single | TransferKind::Pending(_), .. }]);
    if note.authority.is_some() && !is_one_payment {
        return Err((0, R::AuthorityKindNotCovered));
    }
    Ok(())
}

fn check_transfer(transfer: &NewTransfer, now: Timestamp) -> Result<(), R> {
    let flags = transfer.flags;
    let is_about_another = transfer.kind.about().is_some();
    let balances = flags.has_any(Flags::BALANCING_DEBIT.with(Flags::BALANCING_CREDIT));
    if is_about_another && balances || !is_about_another && flags.has(Flags::WHOLE) {
        return Err(R::FlagsAreMutuallyExclusive);
    }
    if transfer.debit_account.is_some() && transfer.debit_account == transfer.credit_account {
        return Err(R::AccountsMustBeDifferent);
    }
    if transfer.kind.about() == Some(transfer.id) {
        return Err(R::PendingIdMustBeDifferent);
    }
    match reservation(transfer.kind) {
        Some(Reservation { is_scheduled: true, timeout_seconds, .. })
            if timeout_seconds != 0 || transfer.effective_at.is_none_or(|time| time <= now) =>
        {
            Err(R::ScheduledTimeMustBeLater)
        }
        _ => Ok(()),
    }
}

fn moves_nothing(transfer: &NewTransfer) -> bool {
    let is_meant_to_move = match transfer.kind {
        TransferKind::Single | TransferKind::Pending(_) => true,
        TransferKind::Reversal { .. } => !transfer.flags.has(Flags::WHOLE),
        // Nothing may be posted of a pending transfer, and a void may leave its amount out.
        TransferKind::Post { .. } | TransferKind::Void { .. } => false,
    };
    is_meant_to_move && transfer.amount.is_zero()
}

const fn reservation(kind: TransferKind) -> Option<Reservation> {
    match kind {
        TransferKind::Pending(reservation) => Some(reservation),
        _ => None,
    }
}

/// What pending transfers of one set must have in common.
fn terms(reservation: Option<Reservation>) -> Option<(u32, bool)> {
    reservation.map(|reservation| (reservation.timeout_seconds, reservation.is_scheduled))
}

/// Sets have at most [`SET_TRANSFERS_MAX`] transfers, but one that is told of may be after them.
fn place(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}
