//! Assets and accounts.

use crate::{
    Account, AccountIdentity, AccountRejection, Asset, AssetRejection, Book, ClosingRejection,
    CreateAsset, Event, NameAccount, OpenAccount, Totals, account::AccountIndex,
};

use super::{Decision, Reply};

impl Book {
    pub(super) fn create_asset(&self, command: CreateAsset) -> Result<Decision, AssetRejection> {
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

    pub(super) fn open(&self, command: OpenAccount) -> Result<Decision, AccountRejection> {
        use AccountRejection as R;
        if let Some(existing) = self.existing(&command)? {
            return self.compare_account(existing, &command);
        }
        let (index, asset) = self.indexed_asset(&command.asset).ok_or(R::AssetNotFound)?;
        let OpenAccount { identity, path, asset: code, normal_side, floor, ceiling, evidence } =
            command;
        if floor.zip(ceiling).is_some_and(|(floor, ceiling)| floor > ceiling) {
            return Err(R::FloorAboveCeiling);
        }
        let rule = self.chart_rule(&path);
        if rule.is_some_and(|rule| !rule.allows(&code, normal_side, floor)) {
            return Err(R::ViolatesChartOfAccounts);
        }
        if !self.has_room_for_account() {
            return Err(R::TooManyAccounts);
        }
        let (AccountIdentity::Chosen(id) | AccountIdentity::Fresh(id)) = identity;
        let account = Account {
            id,
            path: path.clone(),
            asset: index,
            normal_side,
            floor,
            ceiling,
            is_closed: false,
            version: 0,
            totals: Totals::default(),
        };
        let reply = Reply::Account(account, asset.clone());
        let event =
            Event::AccountOpened { id, path, asset: code, normal_side, floor, ceiling, evidence };
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

    fn compare_account(
        &self,
        existing: AccountIndex,
        command: &OpenAccount,
    ) -> Result<Decision, AccountRejection> {
        use AccountRejection as R;
        let account = self.account_at(existing);
        let asset = self.asset_of(account);
        let differences = [
            (asset.code != command.asset, R::ExistsWithDifferentAsset),
            (account.normal_side != command.normal_side, R::ExistsWithDifferentNormalSide),
            (account.floor != command.floor, R::ExistsWithDifferentFloor),
            (account.ceiling != command.ceiling, R::ExistsWithDifferentCeiling),
        ];
        match differences.into_iter().find(|(differs, _)| *differs) {
            Some((_, rejection)) => Err(rejection),
            None => Ok(Decision::Answer(Reply::Account(account.clone(), asset.clone()))),
        }
    }

    pub(super) fn close(&self, command: NameAccount) -> Result<Decision, ClosingRejection> {
        let account = self.named(&command)?;
        if account.is_closed {
            return Ok(Decision::Answer(self.account_reply(account.clone())));
        }
        if account.totals.debits_pending != 0 || account.totals.credits_pending != 0 {
            return Err(ClosingRejection::AccountHasPendingTransfers);
        }
        let event = Event::AccountClosed { id: account.id, evidence: command.evidence };
        let reply = self.account_reply(Account { is_closed: true, ..account.clone() });
        Ok(Decision::Commit(event, reply))
    }

    pub(super) fn reopen(&self, command: NameAccount) -> Result<Decision, ClosingRejection> {
        let account = self.named(&command)?;
        if !account.is_closed {
            return Ok(Decision::Answer(self.account_reply(account.clone())));
        }
        let event = Event::AccountReopened { id: account.id, evidence: command.evidence };
        let reply = self.account_reply(Account { is_closed: false, ..account.clone() });
        Ok(Decision::Commit(event, reply))
    }

    fn named(&self, command: &NameAccount) -> Result<&Account, ClosingRejection> {
        self.account(&command.account).ok_or(ClosingRejection::AccountNotFound)
    }

    fn account_reply(&self, account: Account) -> Reply {
        let asset = self.asset_of(&account).clone();
        Reply::Account(account, asset)
    }
}
