//! What never changes of accounts: id, path and asset. Requests name accounts by path, and answers say the path of an id;
//! neither has to ask the writer.

use std::{collections::HashMap, fmt, sync::Arc};

use lombard_engine::At;
use lombard_ledger_core::{AccountRef, Asset, Book, Event, FixedState, HashSeed};
use lombard_types::{AccountId, AccountPath, AssetCode, Position, Scale};
use parking_lot::RwLock;

/// All accounts and assets. Cheap to clone; the writer adds to it, and whoever reads it is told only what is durable.
#[derive(Clone)]
pub(crate) struct Directory {
    names: Arc<RwLock<Names>>,
}

struct Names {
    /// With how many records of the log they depend on.
    assets: HashMap<AssetCode, (Scale, Position)>,
    by_id: HashMap<AccountId, Named, FixedState>,
    by_path: HashMap<AccountPath, AccountId, FixedState>,
}

/// What never changes of an account.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: AccountId,
    pub(crate) path: AccountPath,
    pub(crate) asset: Asset,
    /// How many records of the log it depends on.
    since: Position,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    pub(crate) fn new(seed: HashSeed) -> Self {
        let hasher = FixedState::new(seed);
        let built_in = lombard_ledger_core::built_in();
        let names = Names {
            assets: built_in.map(|asset| (asset.code, (asset.scale, Position::START))).collect(),
            by_id: HashMap::with_hasher(hasher),
            by_path: HashMap::with_hasher(hasher),
        };
        Self { names: Arc::new(RwLock::new(names)) }
    }

    /// Takes over what a snapshot's book knows. All of it is durable, as snapshots are made of what is.
    pub(crate) fn learn_book(&self, book: &Book) {
        let mut names = self.names.write();
        for asset in book.assets() {
            names.assets.insert(asset.code.clone(), (asset.scale, Position::START));
        }
        for account in book.accounts() {
            let (id, path) = (account.id, account.path.clone());
            let asset = book.asset_of(account).clone();
            names.add(Named { id, path, asset, since: Position::START });
        }
    }

    /// Makes an event part of it. Learning one again changes nothing.
    pub(crate) fn learn(&self, event: &Event, at: At) {
        match event {
            Event::AssetCreated { code, scale, .. } => {
                let mut names = self.names.write();
                names.assets.entry(code.clone()).or_insert((*scale, at.position.next())).0 = *scale;
            }
            Event::AccountOpened { id, path, asset, .. } => {
                let mut names = self.names.write();
                // Always there: the rules open no account in an asset that is not.
                let Some((scale, _)) = names.assets.get(asset).copied() else { return };
                let asset = Asset { code: asset.clone(), scale };
                let since = at.position.next();
                names.add(Named { id: *id, path: path.clone(), asset, since });
            }
            _ => {}
        }
    }

    /// The account that is named, if it was opened by what is `durable`.
    pub(crate) fn account(&self, name: &AccountRef, durable: Position) -> Option<Named> {
        let names = self.names.read();
        let id = match name {
            AccountRef::Id(id) => id,
            AccountRef::Path(path) => names.by_path.get(path)?,
        };
        names.by_id.get(id).filter(|named| named.since <= durable).cloned()
    }

    /// The scale of an asset, if it was created by what is `durable`.
    pub(crate) fn scale(&self, code: &AssetCode, durable: Position) -> Option<Scale> {
        let names = self.names.read();
        let (scale, since) = names.assets.get(code)?;
        (*since <= durable).then_some(*scale)
    }
}

impl Names {
    fn add(&mut self, named: Named) {
        if self.by_id.contains_key(&named.id) {
            return;
        }
        self.by_path.insert(named.path.clone(), named.id);
        self.by_id.insert(named.id, named);
    }
}

#[cfg(test)]
mod tests {
    use lombard_ledger_core::{Evidence, NormalSide};
    use lombard_types::Timestamp;

    use super::*;

    #[test]
    fn what_is_not_durable_is_not_told() {
        let directory = Directory::new(HashSeed(1));
        let id = AccountId::from_u128(7).unwrap();
        let path: AccountPath = "customers/7".parse().unwrap();
        let eur: AssetCode = "EUR".parse().unwrap();
        let opened = Event::AccountOpened {
            id,
            path: path.clone(),
            asset: eur.clone(),
            normal_side: NormalSide::Credit,
            floor: None,
            ceiling: None,
            evidence: Arc::new(Evidence {
                command_id: 1,
                client_id: "c".parse().unwrap(),
                subject: "s".into(),
                token_id: "t".into(),
                request_id: "r".parse().unwrap(),
                traceparent: None,
                idempotency_key: None,
            }),
        };
        let at = At { position: Position::new(4), index: 0, time: Timestamp::EPOCH };
        for _ in 0..2 {
            directory.learn(&opened, at);
            for name in [AccountRef::Id(id), AccountRef::Path(path.clone())] {
                assert!(directory.account(&name, Position::new(4)).is_none(), "{name:?}");
                let named = directory.account(&name, Position::new(5)).unwrap();
                assert_eq!((named.id, &named.path, &named.asset.code), (id, &path, &eur));
            }
        }
        assert!(directory.scale(&eur, Position::START).is_some(), "every book knows it");
    }
}
