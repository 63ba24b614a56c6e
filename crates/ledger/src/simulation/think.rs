//! What clients think of, and what they all know: accounts, who they are, how debits and credits are added up.

use std::{collections::BTreeMap, sync::Arc};

use lombard_ledger_core::{
    AccountIdentity, Balance, Book, Check, Command, Condition, EntrySide, Evidence, ExternalId,
    NewNote, NewTransfer, NormalSide, OpenAccount, Reservation, TransferFlags, TransferKind,
};
use lombard_simulation::Dice;
use lombard_types::{AccountId, Amount, Sum, TransferId};

/// Of two assets: odd ones hold the first. The first of each has no limits.
pub(super) const ACCOUNTS: u64 = 8;
const ASSETS: [&str; 2] = ["EUR", "JPY"];

pub(super) fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "client".parse().unwrap(),
        subject: "client".into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

pub(super) fn account(number: u64) -> AccountId {
    AccountId::from_u128(u128::from(number)).unwrap()
}

/// Asked for by every writer in every life: the first time it is opened, later answered.
pub(super) fn open(number: u64) -> OpenAccount {
    let is_limited = number > 2;
    OpenAccount {
        identity: AccountIdentity::Chosen(account(number)),
        path: format!("a/{number}").parse().unwrap(),
        asset: ASSETS[number as usize % 2].parse().unwrap(),
        normal_side: if number.is_multiple_of(3) { NormalSide::Debit } else { NormalSide::Credit },
        floor: is_limited.then(|| Balance::new(number == 4, u128::from(number / 4) * 50)),
        ceiling: (number == 7).then(|| Balance::new(false, 2000)),
        evidence: evidence(),
    }
}

pub(super) fn open_command(number: u64) -> Command {
    Command::OpenAccount(open(number))
}

/// A new set. `others` are those that it may be about.
pub(super) fn set(
    id: TransferId,
    others: &[TransferId],
    dice: &mut Dice,
) -> (Vec<NewTransfer>, NewNote) {
    let mut note = NewNote::default();
    if dice.is_one_in(12) {
        note.external_id = ExternalId::new(&format!("x-{}", dice.roll(30))).ok();
    }
    if let Some(other) = dice.pick(others).copied()
        && dice.is_one_in(3)
    {
        let kind = match dice.roll(3) {
            0 => TransferKind::Post { pending: other },
            1 => TransferKind::Void { pending: other },
            _ => TransferKind::Reversal { of: other },
        };
        let whole = NewTransfer::whole(id, kind);
        let amount = Amount::from_minor_units(u128::from(1 + dice.roll(60)));
        let part = NewTransfer { amount, flags: TransferFlags::default(), ..whole };
        let is_whole = matches!(kind, TransferKind::Void { .. }) || dice.is_one_in(2);
        return (vec![if is_whole { whole } else { part }], note);
    }
    let count = [1, 1, 1, 2, 3][dice.roll(5) as usize];
    let kind = match dice.roll(3) {
        0 => TransferKind::Pending(Reservation {
            timeout_seconds: [0, 1, 60, 1200][dice.roll(4) as usize],
            allowance: Amount::from_minor_units(u128::from(dice.roll(10))),
            is_scheduled: false,
        }),
        _ => TransferKind::Single,
    };
    if dice.is_one_in(10) {
        let check = match dice.roll(2) {
            0 => Check::Version(dice.roll(40)),
            _ => Check::AvailableAtLeast(Balance::new(false, u128::from(dice.roll(300)))),
        };
        let side = if dice.is_one_in(2) { EntrySide::Debit } else { EntrySide::Credit };
        note.conditions = [Condition { transfer: 0, side, check }].into();
    }
    let transfers = (1..=count).map(|number| {
        let linked = if number < count { TransferFlags::LINKED } else { TransferFlags::default() };
        NewTransfer { flags: linked, kind, ..single(id, dice) }
    });
    (transfers.collect(), note)
}

fn single(id: TransferId, dice: &mut Dice) -> NewTransfer {
    let debit = 1 + dice.roll(ACCOUNTS);
    // Mostly of the same asset.
    let step = if dice.is_one_in(30) { 1 } else { 2 * (1 + dice.roll(3)) };
    let credit = 1 + (debit - 1 + step) % ACCOUNTS;
    let amount = Amount::from_minor_units(u128::from(1 + dice.roll(120)));
    NewTransfer::single(id, account(debit), account(credit), amount)
}

/// All debits and all credits of each asset, pending and posted ones.
pub(super) fn sums(book: &Book) -> BTreeMap<String, [[Sum; 2]; 2]> {
    let mut sums = BTreeMap::<String, [[Sum; 2]; 2]>::new();
    for account in book.accounts() {
        let [debits, credits] = sums.entry(book.asset_of(account).code.to_string()).or_default();
        let totals = account.totals;
        debits[0].add(totals.debits_pending);
        debits[1].add(totals.debits_posted);
        credits[0].add(totals.credits_pending);
        credits[1].add(totals.credits_posted);
    }
    sums
}
