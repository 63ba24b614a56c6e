//! Whether a set that is asked for again is the one that its id was spent on.

use lombard_types::{AccountId, AssetCode};

use crate::{
    NewNote, NewTransfer, Note, Outcome, RecordedSet, RecordedTransfer, Transfer,
    TransferFlags as Flags, TransferKind, TransferRejection as R,
};

/// Compares what is asked for with what was recorded under the same id. `Ok`: it is a retry, and the answer is the first
/// one, be it a success or a refusal. Otherwise what differs, and in which transfer of the set (from 0).
pub fn compare_retry(
    first: RecordedSet<'_>,
    again: &[NewTransfer],
    note: Option<&NewNote>,
    asset_of: impl Fn(AccountId) -> Option<AssetCode>,
) -> Result<(), (u16, R)> {
    let first_runs = first.recorded.chunk_by(RecordedTransfer::is_same_run);
    let runs = || again.chunk_by(|a, b| a.kind.is_same_run(b.kind));
    if first_runs.clone().count() != runs().count() {
        return Err((0, R::ExistsWithDifferentTransferCount));
    }
    let mut number = 0u16;
    for (run, first_run) in runs().zip(first_runs) {
        let is_one_for_all =
            matches!(run, [one] if one.kind.about().is_some() && one.flags.has(Flags::WHOLE));
        if run.len() != first_run.len() && !is_one_for_all {
            return Err((number, R::ExistsWithDifferentTransferCount));
        }
        let again = run.iter().cycle();
        for (index, (recorded, again)) in (0u16..).zip(first_run.iter().zip(again)) {
            let place = number + if is_one_for_all { 0 } else { index };
            compare_transfer(recorded, again).map_err(|differs| (place, differs))?;
            let asset = note.and_then(|note| note.assets.get(usize::from(place)));
            if let Some(asset) = asset
                && asset_of(recorded.transfer.debit_account).as_ref() != Some(asset)
            {
                return Err((place, R::ExistsWithDifferentAsset));
            }
            compare_rest(&recorded.transfer, again).map_err(|differs| (place, differs))?;
        }
        number += u16::try_from(run.len()).unwrap_or(u16::MAX);
    }
    compare_notes(first.note, note).map_err(|differs| (0, differs))
}

/// What is compared before the asset, in TigerBeetle's order.
fn compare_transfer(recorded: &RecordedTransfer, again: &NewTransfer) -> Result<(), R> {
    let first = &recorded.transfer;
    let meant = |flags: Flags| flags.without(Flags::LINKED).without(Flags::WHOLE);
    let differences = [
        (
            !is_same_kind(first.kind, again.kind) || meant(first.flags) != meant(again.flags),
            R::ExistsWithDifferentFlags,
        ),
        (first.kind.about() != again.kind.about(), R::ExistsWithDifferentPendingId),
        (timeout(first.kind) != timeout(again.kind), R::ExistsWithDifferentTimeout),
        (
            differs(first.debit_account, again.debit_account, again.kind),
            R::ExistsWithDifferentDebitAccountId,
        ),
        (
            differs(first.credit_account, again.credit_account, again.kind),
            R::ExistsWithDifferentCreditAccountId,
        ),
        (amount_differs(recorded, again), R::ExistsWithDifferentAmount),
        (first.user_data.data_128 != again.user_data.data_128, R::ExistsWithDifferentUserData128),
        (first.user_data.data_64 != again.user_data.data_64, R::ExistsWithDifferentUserData64),
        (first.user_data.data_32 != again.user_data.data_32, R::ExistsWithDifferentUserData32),
    ];
    first_of(&differences)
}

fn compare_rest(first: &Transfer, again: &NewTransfer) -> Result<(), R> {
    first_of(&[
        (first.code != again.code, R::ExistsWithDifferentCode),
        (first.effective_at != again.effective_at, R::ExistsWithDifferentEffectiveAt),
        (first.kind.allowance() != again.kind.allowance(), R::ExistsWithDifferentAllowance),
    ])
}

fn compare_notes(first: Option<&Note>, again: Option<&NewNote>) -> Result<(), R> {
    let (no_note, no_new_note) = (Note::default(), NewNote::default());
    let (first, again) = (first.unwrap_or(&no_note), again.unwrap_or(&no_new_note));
    first_of(&[
        (first.conditions != again.conditions, R::ExistsWithDifferentConditions),
        (first.external_id != again.external_id, R::ExistsWithDifferentExternalId),
        (first.metadata != again.metadata, R::ExistsWithDifferentMetadata),
    ])
}

fn first_of(differences: &[(bool, R)]) -> Result<(), R> {
    match differences.iter().find(|(differs, _)| *differs) {
        Some((_, rejection)) => Err(*rejection),
        None => Ok(()),
    }
}

fn is_same_kind(first: TransferKind, again: TransferKind) -> bool {
    use TransferKind as K;
    match (first, again) {
        (K::Pending(first), K::Pending(again)) => first.is_scheduled == again.is_scheduled,
        (K::Single, K::Single)
        | (K::Post { .. }, K::Post { .. })
        | (K::Void { .. }, K::Void { .. })
        | (K::Reversal { .. }, K::Reversal { .. }) => true,
        _ => false,
    }
}

const fn timeout(kind: TransferKind) -> u32 {
    match kind {
        TransferKind::Pending(reservation) => reservation.timeout_seconds,
        _ => 0,
    }
}

/// An account that follows from another transfer need not be named.
fn differs(first: AccountId, again: Option<AccountId>, kind: TransferKind) -> bool {
    match again {
        Some(again) => again != first,
        None => kind.about().is_none(),
    }
}

fn amount_differs(recorded: &RecordedTransfer, again: &NewTransfer) -> bool {
    let (first, is_created) = (&recorded.transfer, recorded.outcome == Outcome::Created);
    let was_whole = first.flags.has(Flags::WHOLE);
    if was_whole != again.flags.has(Flags::WHOLE) {
        return true;
    }
    let balances = Flags::BALANCING_DEBIT.with(Flags::BALANCING_CREDIT);
    match first.kind {
        _ if was_whole => false,
        TransferKind::Void { .. } if again.amount.is_zero() => false,
        // It may have moved less than was asked for; what was asked for is not kept.
        _ if is_created && first.flags.has_any(balances) => again.amount < first.amount,
        _ => again.amount != first.amount,
    }
}
