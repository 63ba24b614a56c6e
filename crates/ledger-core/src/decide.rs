//! What would happen: commands against the state.

use lombard_types::{AccountPath, Amount, AssetCode, Position, Timestamp};

use crate::{
    Account, AccountIdentity, AccountRejection, Asset, AssetRejection, Book, Command, CreateAsset,
    CreateTransfer, Event, NormalSide, OpenAccount, Outcome, Rejection, Totals, Transfer,
    TransferRefusal, TransferRejection,
    account::AccountIndex,
    book::{Spent, fingerprint},
};

/// The outcome of a command that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Record this event, then reply.
    Commit(Event, Reply),
    /// It happened before: only reply.
    Answer(Reply),
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The asset, now known.
    Asset(Asset),
    /// The account, now open, and what it holds.
    Account(Account, Asset),
    /// How the transfer ended.
    Transfer(TransferReply),
}

/// How a transfer ended; the same for every retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferReply {
    /// What was, or would have been, moved.
    pub transfer: Transfer,
    /// The asset of it.
    pub asset: AssetCode,
    /// Where the debit account stands.
    pub debit_path: AccountPath,
    /// Where the credit account stands.
    pub credit_path: AccountPath,
    /// Whether it was moved.
    pub outcome: Outcome,
    /// When that was decided.
    pub recorded_at: Timestamp,
    /// The record that a retry is answered from; `None` where the record is being written now.
    pub first_position: Option<Position>,
}

impl Book {
    /// What a command would do to this book. `now` is later than at every event before.
    pub fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::CreateAsset(command) => Ok(self.create_asset(command)?),
            Command::OpenAccount(command) => Ok(self.open(command)?),
            Command::CreateTransfer(command) => Ok(self.create_transfer(command, now)?),
        }
    }

    fn create_asset(&self, command: CreateAsset) -> Result<Decision, AssetRejection> {
        let CreateAsset { code, scale, evidence } = command;
        match self.asset(&code) {
            Some(asset) if asset.scale != scale => Err(AssetRejection::ExistsWithDifferentScale),
            Some(asset) => Ok(Decision::Answer(Reply::Asset(asset.clone()))),
            None => {
                let reply = Reply::Asset(Asset { code: code.clone(), scale });
                Ok(Decision::Commit(Event::AssetCreated { code, scale, evidence }, reply))
            }
        }
    }

    fn open(&self, command: OpenAccount) -> Result<Decision, AccountRejection> {
        if let Some(existing) = self.existing(&command)? {
            let account = self.account_at(existing);
            let asset = self.asset_of(account);
            if asset.code != command.asset {
                return Err(AccountRejection::ExistsWithDifferentAsset);
            }
            if account.normal_side != command.normal_side {
                return Err(AccountRejection::ExistsWithDifferentNormalSide);
            }
            if account.floor != command.floor {
                return Err(AccountRejection::ExistsWithDifferentFloor);
            }
            return Ok(Decision::Answer(Reply::Account(account.clone(), asset.clone())));
        }
        let (index, asset) =
            self.indexed_asset(&command.asset).ok_or(AccountRejection::AssetNotFound)?;
        if !self.has_room_for_account() {
            return Err(AccountRejection::TooManyAccounts);
        }
        let OpenAccount { identity, path, asset: code, normal_side, floor, evidence } = command;
        let (AccountIdentity::Chosen(id) | AccountIdentity::Fresh(id)) = identity;
        let totals = Totals::default();
        let account = Account { id, path: path.clone(), asset: index, normal_side, floor, totals };
        let reply = Reply::Account(account, asset.clone());
        let event = Event::AccountOpened { id, path, asset: code, normal_side, floor, evidence };
        Ok(Decision::Commit(event, reply))
    }

    /// The account that the command means, where it is open already.
    fn existing(&self, command: &OpenAccount) -> Result<Option<AccountIndex>, AccountRejection> {
        let by_path = self.find_path(&command.path);
        let AccountIdentity::Chosen(id) = command.identity else {
            return Ok(by_path);
        };
        match (self.find_id(id), by_path) {
            (None, None) => Ok(None),
            (Some(by_id), Some(by_path)) if by_id == by_path => Ok(Some(by_id)),
            (Some(_), _) => Err(AccountRejection::ExistsWithDifferentPath),
            (None, Some(_)) => Err(AccountRejection::PathTaken),
        }
    }

    fn create_transfer(
        &self,
        command: CreateTransfer,
        now: Timestamp,
    ) -> Result<Decision, TransferRejection> {
        let debit = self.find(&command.debit_account);
        let credit = self.find(&command.credit_account);
        if let Some(spent) = self.find_spent(command.id) {
            self.compare(spent, &command, debit, credit)?;
            return Ok(Decision::Answer(Reply::Transfer(self.first_answer(spent))));
        }
        if command.debit_account == command.credit_account || debit.is_some() && debit == credit {
            return Err(TransferRejection::AccountsMustBeDifferent);
        }
        if command.amount.is_zero() {
            return Err(TransferRejection::AmountMustNotBeZero);
        }
        let debit = self.account_at(debit.ok_or(TransferRejection::DebitAccountNotFound)?);
        let credit = self.account_at(credit.ok_or(TransferRejection::CreditAccountNotFound)?);
        if debit.asset != credit.asset {
            return Err(TransferRejection::AccountsMustHaveTheSameAsset);
        }
        if self.asset_of(debit).code != command.asset {
            return Err(TransferRejection::TransferMustHaveTheSameAssetAsAccounts);
        }
        if !self.has_room_for_transfer() {
            return Err(TransferRejection::TooManyTransfers);
        }
        let CreateTransfer {
            id,
            asset,
            amount,
            user_data,
            code,
            effective_at,
            metadata,
            evidence,
            ..
        } = command;
        let (debit_account, credit_account) = (debit.id, credit.id);
        let transfer =
            Transfer { id, debit_account, credit_account, amount, user_data, code, effective_at };
        let (outcome, event) = match check(debit, credit, amount) {
            Ok(()) => (Outcome::Posted, Event::TransferPosted { transfer, metadata, evidence }),
            Err(refusal) => (
                Outcome::Refused(refusal),
                Event::TransferRefused { transfer, refusal, metadata, evidence },
            ),
        };
        let reply = TransferReply {
            transfer,
            asset,
            debit_path: debit.path.clone(),
            credit_path: credit.path.clone(),
            outcome,
            recorded_at: now,
            first_position: None,
        };
        Ok(Decision::Commit(event, Reply::Transfer(reply)))
    }

    /// Whether the command is a retry of what its id was spent on.
    fn compare(
        &self,
        spent: &Spent,
        command: &CreateTransfer,
        debit: Option<AccountIndex>,
        credit: Option<AccountIndex>,
    ) -> Result<(), TransferRejection> {
        use TransferRejection as R;
        let asset = &self.asset_of(self.account_at(spent.debit)).code;
        let (first, again) = (&spent.user_data, &command.user_data);
        let differences = [
            (debit != Some(spent.debit), R::ExistsWithDifferentDebitAccountId),
            (credit != Some(spent.credit), R::ExistsWithDifferentCreditAccountId),
            (command.amount != spent.amount, R::ExistsWithDifferentAmount),
            (again.data_128 != first.data_128, R::ExistsWithDifferentUserData128),
            (again.data_64 != first.data_64, R::ExistsWithDifferentUserData64),
            (again.data_32 != first.data_32, R::ExistsWithDifferentUserData32),
            (command.asset != *asset, R::ExistsWithDifferentAsset),
            (command.code != spent.code, R::ExistsWithDifferentCode),
            (command.effective_at != spent.effective_at, R::ExistsWithDifferentEffectiveAt),
            (fingerprint(&command.metadata) != spent.metadata, R::ExistsWithDifferentMetadata),
        ];
        match differences.into_iter().find(|(differs, _)| *differs) {
            Some((_, rejection)) => Err(rejection),
            None => Ok(()),
        }
    }

    fn first_answer(&self, spent: &Spent) -> TransferReply {
        let (debit, credit) = (self.account_at(spent.debit), self.account_at(spent.credit));
        TransferReply {
            transfer: Transfer {
                id: spent.id,
                debit_account: debit.id,
                credit_account: credit.id,
                amount: spent.amount,
                user_data: spent.user_data,
                code: spent.code,
                effective_at: spent.effective_at,
            },
            asset: self.asset_of(debit).code.clone(),
            debit_path: debit.path.clone(),
            credit_path: credit.path.clone(),
            outcome: spent.outcome,
            recorded_at: spent.recorded.time,
            first_position: Some(spent.recorded.position),
        }
    }
}

/// Whether the balances of the moment allow the amount to move.
fn check(debit: &Account, credit: &Account, amount: Amount) -> Result<(), TransferRefusal> {
    let amount = amount.minor_units();
    let (mut debited, mut credited) = (debit.totals, credit.totals);
    debited.debits_posted =
        debited.debits_posted.checked_add(amount).ok_or(TransferRefusal::OverflowsDebitsPosted)?;
    credited.credits_posted = credited
        .credits_posted
        .checked_add(amount)
        .ok_or(TransferRefusal::OverflowsCreditsPosted)?;
    if debited.debits_posted.checked_add(debited.debits_pending).is_none() {
        return Err(TransferRefusal::OverflowsDebits);
    }
    if credited.credits_posted.checked_add(credited.credits_pending).is_none() {
        return Err(TransferRefusal::OverflowsCredits);
    }
    if debit.normal_side == NormalSide::Credit && !debit.allows(&debited) {
        return Err(TransferRefusal::ExceedsCredits);
    }
    if credit.normal_side == NormalSide::Debit && !credit.allows(&credited) {
        return Err(TransferRefusal::ExceedsDebits);
    }
    Ok(())
}
