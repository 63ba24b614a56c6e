//! Random commands, over few accounts and ids, so that they meet.

use std::sync::Arc;

use lombard_ledger_core::*;
use lombard_types::{AccountId, Amount, Timestamp, TransferId};
use proptest::prelude::*;

/// Half of them hold euros, half dollars.
pub(crate) const ACCOUNTS: u8 = 6;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Nanoseconds before it.
    pub(crate) wait: u64,
    pub(crate) deed: Deed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Move { debit: u8, credit: u8, amount: u128, code: u16, effective: Option<i64>, is_set: bool },
    Reserve { debit: u8, credit: u8, amount: u128, timeout: u32, is_set: bool },
    Schedule { debit: u8, credit: u8, amount: u128, after: u64 },
    Post { of: u128, amount: Option<u128>, effective: Option<i64> },
    Void { of: u128 },
    Reverse { of: u128 },
    EndPendings,
}

pub(crate) fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let side = 0..ACCOUNTS;
    let amount = 1u128..40;
    let effective = prop::option::weighted(0.4, -900i64..3_000_000_000);
    let deed = prop_oneof![
        6 => (side.clone(), side.clone(), amount.clone(), 0u16..3, effective.clone(), any::<bool>())
            .prop_map(|(debit, credit, amount, code, effective, is_set)| Deed::Move {
                debit, credit, amount, code, effective, is_set
            }),
        5 => (side.clone(), side.clone(), amount.clone(), 0u32..3, any::<bool>()).prop_map(
            |(debit, credit, amount, timeout, is_set)| Deed::Reserve {
                debit, credit, amount, timeout, is_set
            }
        ),
        2 => (side.clone(), side, amount.clone(), 1u64..2_000_000_000).prop_map(
            |(debit, credit, amount, after)| Deed::Schedule { debit, credit, amount, after }
        ),
        3 => (0u128..40, prop::option::of(amount), effective)
            .prop_map(|(of, amount, effective)| Deed::Post { of, amount, effective }),
        2 => (0u128..40).prop_map(|of| Deed::Void { of }),
        2 => (0u128..40).prop_map(|of| Deed::Reverse { of }),
        1 => Just(Deed::EndPendings),
    ];
    let wait = prop_oneof![3 => Just(0u64), 2 => 0u64..1_500_000_000];
    prop::collection::vec((wait, deed).prop_map(|(wait, deed)| Wish { wait, deed }), 1..40)
}

pub(crate) fn account_id(account: u8) -> AccountId {
    AccountId::from_u128(u128::from(account) + 1).unwrap()
}

fn transfer_id(number: u128) -> TransferId {
    TransferId::from_u128(number + 1).unwrap()
}

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

pub(crate) fn opening(account: u8) -> Command {
    Command::OpenAccount(OpenAccount {
        identity: AccountIdentity::Chosen(account_id(account)),
        path: format!("accounts/{account}").parse().unwrap(),
        asset: if account.is_multiple_of(2) { "EUR" } else { "USD" }.parse().unwrap(),
        normal_side: if account < 3 { NormalSide::Debit } else { NormalSide::Credit },
        floor: Some(Balance::new(true, 200)),
        ceiling: None,
        evidence: evidence(),
    })
}

/// The command of the wish with a number. Sets have a second transfer of another asset.
pub(crate) fn command(number: u128, deed: Deed, now: u64) -> Command {
    let id = transfer_id(number);
    let at = |offset: i64| Timestamp::from_unix_nanos(now.saturating_add_signed(offset).max(1));
    let single = |debit: u8, credit: u8, amount| {
        // Of one asset: the other account is made to fit.
        let credit = if debit % 2 == credit % 2 { credit } else { (credit + 1) % ACCOUNTS };
        NewTransfer::single(
            id,
            account_id(debit),
            account_id(credit),
            Amount::from_minor_units(amount),
        )
    };
    let pair = |first: NewTransfer, debit: u8, credit: u8, is_set: bool| {
        if !is_set {
            return vec![first];
        }
        let other = single((debit + 1) % ACCOUNTS, (credit + 1) % ACCOUNTS, 5);
        let second =
            NewTransfer { kind: first.kind, code: 7, effective_at: first.effective_at, ..other };
        vec![NewTransfer { flags: first.flags.with(TransferFlags::LINKED), ..first }, second]
    };
    let transfers = match deed {
        Deed::Move { debit, credit, amount, code, effective, is_set } => {
            let first = NewTransfer {
                code,
                effective_at: effective.map(at),
                ..single(debit, credit, amount)
            };
            pair(first, debit, credit, is_set)
        }
        Deed::Reserve { debit, credit, amount, timeout, is_set } => {
            let allowance = Amount::from_minor_units(10);
            let reservation =
                Reservation { timeout_seconds: timeout, allowance, is_scheduled: false };
            let kind = TransferKind::Pending(reservation);
            pair(NewTransfer { kind, ..single(debit, credit, amount) }, debit, credit, is_set)
        }
        Deed::Schedule { debit, credit, amount, after } => {
            let reservation = Reservation { is_scheduled: true, ..Reservation::default() };
            let kind = TransferKind::Pending(reservation);
            let effective_at = Some(Timestamp::from_unix_nanos(now + after));
            vec![NewTransfer { kind, effective_at, ..single(debit, credit, amount) }]
        }
        Deed::Post { of, amount, effective } => {
            let kind = TransferKind::Post { pending: transfer_id(of % number.max(1)) };
            let whole =
                NewTransfer { effective_at: effective.map(at), ..NewTransfer::whole(id, kind) };
            match amount {
                None => vec![whole],
                Some(amount) => {
                    let flags = TransferFlags::default();
                    vec![NewTransfer { amount: Amount::from_minor_units(amount), flags, ..whole }]
                }
            }
        }
        Deed::Void { of } => {
            let pending = transfer_id(of % number.max(1));
            vec![NewTransfer::whole(id, TransferKind::Void { pending })]
        }
        Deed::Reverse { of } => {
            let of = transfer_id(of % number.max(1));
            vec![NewTransfer::whole(id, TransferKind::Reversal { of })]
        }
        Deed::EndPendings => return Command::EndPendings,
    };
    Command::CreateTransfers(CreateTransfers { transfers, notes: Vec::new(), evidence: evidence() })
}
