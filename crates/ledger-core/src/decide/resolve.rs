//! Finds what a posting set is about: its accounts, and the sets that it posts, voids or reverses.

use lombard_types::{Amount, AssetCode, TransferId};

use crate::{
    NewNote, NewTransfer, Outcome, Past, RecordedTransfer, SpentStatus, Transfer,
    TransferFlags as Flags, TransferKind, TransferRejection as R, Unreadable,
    account::AccountIndex,
    pending::{Pending, PendingTransfer},
};

use super::{
    draft::{Draft, Drafted, Leg, Step},
    reject::Rejected,
};

/// The indices of a transfer's accounts, where they are named and exist.
pub(super) type Accounts = (Option<AccountIndex>, Option<AccountIndex>);

/// Neither a decision nor a failure to make one: what the state rejects.
type Resolved<T> = Result<Result<T, R>, Unreadable>;

/// Goes on with what a lookup gave, unless it was a rejection.
macro_rules! accepted {
    ($resolved:expr) => {
        match $resolved {
            Ok(value) => value,
            Err(rejection) => return Ok(Err(rejection)),
        }
    };
}

/// What a run of transfers is about, which is looked up once for all of them.
enum Other<'d> {
    Pending(&'d Pending),
    Posted(&'d [RecordedTransfer]),
}

/// One transfer of it.
#[derive(Clone, Copy)]
enum OtherTransfer<'d> {
    Pending(&'d PendingTransfer),
    Posted(&'d Transfer),
}

impl<P: Past> Draft<'_, P> {
    /// Fills `legs` with the transfers of the set.
    pub(super) fn resolve(
        &mut self,
        set: &[NewTransfer],
        accounts: &[Accounts],
        note: Option<&NewNote>,
    ) -> Result<Result<(), Rejected>, Unreadable> {
        let mut legs = std::mem::take(&mut self.legs);
        legs.clear();
        let mut asked = 0;
        for run in set.chunk_by(|a, b| a.kind.is_same_run(b.kind)) {
            let start = legs.len();
            let end = asked + run.len();
            let accounts = accounts.get(asked..end).unwrap_or_default();
            if let Err(rejected) = self.resolve_run(run, accounts, asked, note, &mut legs)? {
                self.legs = legs;
                return Ok(Err(rejected));
            }
            debug_assert!(legs.len() > start, "a run has a transfer at least");
            asked = end;
        }
        self.legs = legs;
        Ok(self.check_set(note)?.map_err(|rejection| (0, rejection)))
    }

    fn resolve_run(
        &self,
        run: &[NewTransfer],
        accounts: &[Accounts],
        asked: usize,
        note: Option<&NewNote>,
        legs: &mut Vec<Leg>,
    ) -> Result<Result<(), Rejected>, Unreadable> {
        let Some(first) = run.first() else { return Ok(Ok(())) };
        let number = |index: usize| u16::try_from(asked + index).unwrap_or(u16::MAX);
        let other = match self.other(first, note, legs)? {
            Ok(other) => other,
            Err(rejection) => return Ok(Err((number(0), rejection))),
        };
        let Some(other) = other else {
            let assets = note.map_or(&[][..], |note| &note.assets);
            for (index, (transfer, accounts)) in run.iter().zip(accounts).enumerate() {
                let asset = assets.get(asked + index);
                match self.resolve_new(transfer, *accounts, asset, number(index)) {
                    Ok(leg) => legs.push(leg),
                    Err(rejection) => return Ok(Err((number(index), rejection))),
                }
            }
            return Ok(Ok(()));
        };
        let count = other.transfer_count();
        let is_one_for_all = run.len() == 1 && first.flags.has(Flags::WHOLE);
        if run.len() != count && !is_one_for_all {
            return Ok(Err((number(0), other.wrong_count())));
        }
        for index in 0..count {
            let from = if is_one_for_all { 0 } else { index };
            let (Some(transfer), Some(accounts)) = (run.get(from), accounts.get(from)) else {
                break;
            };
            let asset = note.and_then(|note| note.assets.get(asked + from));
            let leg = self.resolve_about(transfer, *accounts, asset, &other, index, legs)?;
            match leg {
                Ok(leg) => legs.push(Leg { asked: number(from), ..leg }),
                Err(rejection) => return Ok(Err((number(from), rejection))),
            }
        }
        Ok(Ok(()))
    }

    /// A transfer that is about no other.
    fn resolve_new(
        &self,
        transfer: &NewTransfer,
        (debit, credit): Accounts,
        asset: Option<&AssetCode>,
        asked: u16,
    ) -> Result<Leg, R> {
        let debit = debit.ok_or(R::DebitAccountNotFound)?;
        let credit = credit.ok_or(R::CreditAccountNotFound)?;
        let (debited, credited) = (self.book.account_at(debit), self.book.account_at(credit));
        if debited.asset != credited.asset {
            return Err(R::AccountsMustHaveTheSameAsset);
        }
        if asset.is_some_and(|asset| *asset != self.book.asset_of(debited).code) {
            return Err(R::TransferMustHaveTheSameAssetAsAccounts);
        }
        let step = match transfer.kind {
            TransferKind::Pending(_) => Step::Reserve,
            _ => Step::Post,
        };
        let transfer = transfer.recorded(debited.id, credited.id);
        Ok(Leg { debit, credit, transfer, step, asked, of_other: 0 })
    }

    /// The set that a run is about. `legs` are those of the runs before it.
    fn other<'d>(
        &'d self,
        first: &NewTransfer,
        note: Option<&'d NewNote>,
        legs: &[Leg],
    ) -> Resolved<Option<Other<'d>>> {
        let ended_by = legs.iter().map(|leg| leg.transfer.kind).find(|kind| {
            !matches!(kind, TransferKind::Reversal { .. }) && kind.about() == first.kind.about()
        });
        match (first.kind, ended_by) {
            (TransferKind::Single | TransferKind::Pending(_), _) => Ok(Ok(None)),
            (TransferKind::Post { .. } | TransferKind::Void { .. }, Some(before)) => {
                Ok(Err(match before {
                    TransferKind::Void { .. } => R::PendingTransferAlreadyVoided,
                    _ => R::PendingTransferAlreadyPosted,
                }))
            }
            (TransferKind::Post { pending } | TransferKind::Void { pending }, None) => {
                Ok(self.pending(pending)?.map(|pending| Some(Other::Pending(pending))))
            }
            (TransferKind::Reversal { of }, _) => {
                let facts = note.map_or(&[][..], |note| &note.reversed);
                Ok(self.posted(of, facts)?.map(|facts| Some(Other::Posted(facts))))
            }
        }
    }

    fn pending(&self, id: TransferId) -> Resolved<&Pending> {
        match self.pendings.get(&id) {
            Some(Drafted::Pending(pending)) => return Ok(Ok(pending)),
            Some(Drafted::Posted) => return Ok(Err(R::PendingTransferAlreadyPosted)),
            Some(Drafted::Voided) => return Ok(Err(R::PendingTransferAlreadyVoided)),
            None => {}
        }
        if let Some(pending) = self.book.pendings.get(id) {
            return Ok(Ok(pending));
        }
        if let Some((_, set)) = self.spent_here(id) {
            let is_created = set.recorded.first().is_some_and(|r| r.outcome == Outcome::Created);
            let not_pending = R::PendingTransferNotPending;
            return Ok(Err(if is_created { not_pending } else { R::PendingTransferNotFound }));
        }
        let Some(spent) = self.past.spent(id)? else {
            return Ok(Err(R::PendingTransferNotFound));
        };
        Ok(Err(match spent.status {
            SpentStatus::PendingPosted | SpentStatus::PendingPostedOnTime => {
                R::PendingTransferAlreadyPosted
            }
            SpentStatus::PendingVoided => R::PendingTransferAlreadyVoided,
            SpentStatus::PendingExpired => R::PendingTransferExpired,
            SpentStatus::Posted | SpentStatus::Voiding => R::PendingTransferNotPending,
            // A refused set never was; a pending one is in the book.
            SpentStatus::Refused | SpentStatus::Pending => R::PendingTransferNotFound,
        }))
    }

    /// The transfers of a set that moved money, as whoever asks has looked them up.
    fn posted<'d>(
        &self,
        of: TransferId,
        facts: &'d [RecordedTransfer],
    ) -> Resolved<&'d [RecordedTransfer]> {
        let Some(spent) = self.past.spent(of)? else {
            return Ok(Err(R::ReversedTransferNotFound));
        };
        let moved: fn(&RecordedTransfer) -> bool = match spent.status {
            SpentStatus::Posted => |recorded| {
                matches!(recorded.transfer.kind, TransferKind::Single | TransferKind::Post { .. })
            },
            SpentStatus::PendingPostedOnTime => |_| true,
            SpentStatus::Voiding
            | SpentStatus::Refused
            | SpentStatus::Pending
            | SpentStatus::PendingPosted
            | SpentStatus::PendingVoided
            | SpentStatus::PendingExpired => |_| false,
        };
        let is_it = facts.first().is_some_and(|recorded| recorded.transfer.id == of);
        if !is_it {
            return Ok(Err(R::ReversedTransferNotFound));
        }
        let moved = facts.iter().all(moved);
        Ok(if moved { Ok(facts) } else { Err(R::ReversedTransferNotPosted) })
    }

    fn resolve_about(
        &self,
        transfer: &NewTransfer,
        accounts: Accounts,
        asset: Option<&AssetCode>,
        other: &Other<'_>,
        index: usize,
        legs: &[Leg],
    ) -> Resolved<Leg> {
        let of_other = u16::try_from(index).unwrap_or(u16::MAX);
        let Some(other_transfer) = other.transfer(index) else {
            return Ok(Err(other.wrong_count()));
        };
        let (debit, credit) = match other_transfer {
            OtherTransfer::Pending(pending) => {
                accepted!(check_accounts(transfer, accounts, pending.debit, pending.credit, true));
                (pending.debit, pending.credit)
            }
            OtherTransfer::Posted(moved) => {
                let debit = self.book.find_id(moved.credit_account);
                let credit = self.book.find_id(moved.debit_account);
                let (Some(debit), Some(credit)) = (debit, credit) else {
                    return Ok(Err(R::ReversedTransferNotFound));
                };
                accepted!(check_accounts(transfer, accounts, debit, credit, false));
                (debit, credit)
            }
        };
        let (debited, credited) = (self.book.account_at(debit), self.book.account_at(credit));
        if asset.is_some_and(|asset| *asset != self.book.asset_of(debited).code) {
            return Ok(Err(R::TransferMustHaveTheSameAssetAsAccounts));
        }
        let step = match other_transfer {
            OtherTransfer::Pending(pending) => accepted!(settle(transfer, pending)),
            OtherTransfer::Posted(moved) => {
                let left = self.left(moved.id, of_other, moved.amount)?;
                Step::Reverse { left: left_after(left, moved.id, of_other, legs) }
            }
        };
        let transfer = transfer.recorded(debited.id, credited.id);
        Ok(Ok(Leg { debit, credit, transfer, step, asked: 0, of_other }))
    }

    /// How much of a transfer is not reversed by the sets before this one.
    fn left(&self, id: TransferId, transfer: u16, moved: Amount) -> Result<Amount, Unreadable> {
        let before = self.past.reversed(id, transfer)?;
        let here = self.reversed.get(&(id, transfer)).copied().unwrap_or_default();
        let reversed = before.checked_add(here).unwrap_or(Amount::MAX);
        Ok(moved.checked_sub(reversed).unwrap_or_default())
    }

    /// What is about the set as a whole.
    fn check_set(&self, note: Option<&NewNote>) -> Resolved<()> {
        let (Some(authority), Some(leg)) =
            (note.and_then(|note| note.authority.as_ref()), self.legs.first())
        else {
            return Ok(Ok(()));
        };
        let (debtor, creditor) =
            (self.book.account_at(leg.debit), self.book.account_at(leg.credit));
        if self.book.asset_of(debtor).code != authority.asset {
            return Ok(Err(R::AuthorityHasDifferentAsset));
        }
        if debtor.path != authority.debtor {
            return Ok(Err(R::AuthorityHasDifferentDebtor));
        }
        if creditor.path != authority.creditor {
            return Ok(Err(R::AuthorityHasDifferentCreditor));
        }
        if leg.transfer.amount > authority.amount_max {
            return Ok(Err(R::ExceedsAuthorityAmount));
        }
        let is_used_up = self.uses_of(authority.id)? >= authority.uses_max;
        Ok(if is_used_up { Err(R::AuthorityUsedUp) } else { Ok(()) })
    }

    /// How often a payment authority was used.
    pub(super) fn uses_of(&self, authority: u128) -> Result<u32, Unreadable> {
        match self.uses.get(&authority) {
            Some(uses) => Ok(*uses),
            None => self.past.uses(authority),
        }
    }
}

impl Other<'_> {
    fn transfer_count(&self) -> usize {
        match self {
            Self::Pending(pending) => pending.transfer_count(),
            Self::Posted(facts) => facts.len(),
        }
    }

    fn transfer(&self, index: usize) -> Option<OtherTransfer<'_>> {
        match self {
            Self::Pending(pending) => pending.transfers().nth(index).map(OtherTransfer::Pending),
            Self::Posted(facts) => {
                facts.get(index).map(|recorded| OtherTransfer::Posted(&recorded.transfer))
            }
        }
    }

    fn wrong_count(&self) -> R {
        match self {
            Self::Pending(_) => R::PendingTransferHasDifferentTransferCount,
            Self::Posted(_) => R::ReversedTransferHasDifferentTransferCount,
        }
    }
}

/// What is left to reverse of a transfer (from 0) after `legs`, which are those of the same set so far.
fn left_after(left: Amount, of: TransferId, transfer: u16, legs: &[Leg]) -> Amount {
    legs.iter().fold(left, |left, leg| {
        let Step::Reverse { left: before } = leg.step else { return left };
        if leg.transfer.kind.about() != Some(of) || leg.of_other != transfer {
            return left;
        }
        let is_whole = leg.transfer.flags.has(Flags::WHOLE);
        let reversed = if is_whole { before } else { leg.transfer.amount };
        left.checked_sub(reversed).unwrap_or_default()
    })
}

/// Accounts that are named must be the ones that follow from the other transfer.
fn check_accounts(
    transfer: &NewTransfer,
    (debit, credit): Accounts,
    expected_debit: AccountIndex,
    expected_credit: AccountIndex,
    is_pending: bool,
) -> Result<(), R> {
    let (debit_differs, credit_differs) = if is_pending {
        (
            R::PendingTransferHasDifferentDebitAccountId,
            R::PendingTransferHasDifferentCreditAccountId,
        )
    } else {
        (R::ReversedTransferHasDifferentAccounts, R::ReversedTransferHasDifferentAccounts)
    };
    if transfer.debit_account.is_some() && debit != Some(expected_debit) {
        return Err(debit_differs);
    }
    if transfer.credit_account.is_some() && credit != Some(expected_credit) {
        return Err(credit_differs);
    }
    Ok(())
}

/// How much of a pending transfer is posted.
fn settle(transfer: &NewTransfer, pending: &PendingTransfer) -> Result<Step, R> {
    let reserved = pending.amount;
    let is_whole = transfer.flags.has(Flags::WHOLE);
    let posted = match transfer.kind {
        TransferKind::Void { .. } => {
            if !is_whole && !transfer.amount.is_zero() && transfer.amount != reserved {
                return Err(R::PendingTransferHasDifferentAmount);
            }
            Amount::ZERO
        }
        _ if is_whole => reserved,
        _ => {
            let most = reserved.checked_add(pending.allowance).unwrap_or(Amount::MAX);
            if transfer.amount > most {
                return Err(R::ExceedsPendingTransferAmount);
            }
            transfer.amount
        }
    };
    Ok(Step::Settle { reserved, posted })
}
