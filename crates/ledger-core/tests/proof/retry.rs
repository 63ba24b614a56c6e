//! What an id that is spent answers: the first answer for ever, or what differs from what it was spent on.

use lombard_ledger_core::{NewNote, NewTransfer, TransferFlags as Flags, TransferKind as Kind};

use super::model::{Answer, Leg, Model, Set, State, runs};

pub fn answer(model: &Model, first: &Set, asked: &[NewTransfer], note: &NewNote) -> Answer {
    let asked = runs(asked);
    if asked.len() != first.runs.len() {
        return (0, "exists_with_different_transfer_count");
    }
    let mut start = 0;
    for (run, legs) in asked.into_iter().zip(&first.runs) {
        let is_one_for_all =
            run.len() == 1 && run[0].kind.about().is_some() && run[0].flags.has(Flags::WHOLE);
        if run.len() != legs.len() && !is_one_for_all {
            return (start as u16, "exists_with_different_transfer_count");
        }
        for (index, leg) in legs.iter().enumerate() {
            let index = if is_one_for_all { 0 } else { index };
            let asset = note.assets.get(start + index).map(|asset| asset.as_str());
            let is_other_asset =
                asset.is_some_and(|asset| asset != model.accounts[&leg.debit].asset);
            let is_created = first.state != State::Refused;
            if let Some(differs) = difference(leg, &run[index], is_created, is_other_asset) {
                return ((start + index) as u16, differs);
            }
        }
        start += run.len();
    }
    match () {
        () if first.note.conditions != note.conditions => (0, "exists_with_different_conditions"),
        () if first.note.external_id != note.external_id => {
            (0, "exists_with_different_external_id")
        }
        () if first.note.metadata != note.metadata => (0, "exists_with_different_metadata"),
        () => (0, first.answer),
    }
}

/// In the order of docs/reference/results.md.
fn difference(
    first: &Leg,
    again: &NewTransfer,
    is_created: bool,
    is_other_asset: bool,
) -> Option<&'static str> {
    let asked = &first.asked;
    let flags = |flags: Flags| flags.without(Flags::LINKED).without(Flags::WHOLE);
    let kind = |kind| match kind {
        Kind::Single => (0, false, 0, None),
        Kind::Pending(wait) => (1, wait.is_scheduled, wait.timeout_seconds, Some(wait.allowance)),
        Kind::Post { .. } => (2, false, 0, None),
        Kind::Void { .. } => (3, false, 0, None),
        Kind::Reversal { .. } => (4, false, 0, None),
    };
    let (a, b) = (kind(asked.kind), kind(again.kind));
    // An account that follows from the other transfer need not be named.
    let follows = again.kind.about().is_some();
    let is_other = |said: Option<lombard_types::AccountId>, id: u128| match said {
        Some(said) => said.as_u128() != id,
        None => !follows,
    };
    let is_whole = asked.flags.has(Flags::WHOLE);
    let balances =
        asked.flags.has(Flags::BALANCING_DEBIT) || asked.flags.has(Flags::BALANCING_CREDIT);
    let amount = again.amount.minor_units();
    let is_other_amount = match asked.kind {
        _ if is_whole != again.flags.has(Flags::WHOLE) => true,
        _ if is_whole => false,
        Kind::Void { .. } if amount == 0 => false,
        // How much was asked for is not kept where less was moved: any amount that could have moved as much is the same.
        _ if is_created && balances => amount < first.amount,
        _ => amount != first.amount,
    };
    let data = (asked.user_data, again.user_data);
    [
        ((a.0, a.1) != (b.0, b.1) || flags(asked.flags) != flags(again.flags), "flags"),
        (asked.kind.about() != again.kind.about(), "pending_id"),
        (a.2 != b.2, "timeout"),
        (is_other(again.debit_account, first.debit), "debit_account_id"),
        (is_other(again.credit_account, first.credit), "credit_account_id"),
        (is_other_amount, "amount"),
        (data.0.data_128 != data.1.data_128, "user_data_128"),
        (data.0.data_64 != data.1.data_64, "user_data_64"),
        (data.0.data_32 != data.1.data_32, "user_data_32"),
        (is_other_asset, "asset"),
        (asked.code != again.code, "code"),
        (asked.effective_at != again.effective_at, "effective_at"),
        (a.3 != b.3, "allowance"),
    ]
    .into_iter()
    .find(|(differs, _)| *differs)
    .map(|(_, what)| match what {
        "flags" => "exists_with_different_flags",
        "pending_id" => "exists_with_different_pending_id",
        "timeout" => "exists_with_different_timeout",
        "debit_account_id" => "exists_with_different_debit_account_id",
        "credit_account_id" => "exists_with_different_credit_account_id",
        "amount" => "exists_with_different_amount",
        "user_data_128" => "exists_with_different_user_data_128",
        "user_data_64" => "exists_with_different_user_data_64",
        "user_data_32" => "exists_with_different_user_data_32",
        "asset" => "exists_with_different_asset",
        "code" => "exists_with_different_code",
        "effective_at" => "exists_with_different_effective_at",
        _ => "exists_with_different_allowance",
    })
}
