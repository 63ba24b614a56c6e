//! Opening: what is in memory is made again from the maps, and from the log where the maps only say where it stands.

use std::path::Path;

use lombard_engine::Codec;
use lombard_index::{Opening, ReadError};
use lombard_ledger_core::{Event, Recorded};
use lombard_log::SharedLog;
use lombard_types::{Position, Timestamp};

use super::LedgerIndex;
use crate::{
    books::Books,
    history::{History, HistoryError},
    place::Place,
    store::Store,
};

/// The index cannot be used, nor made again.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its files.
    #[error(transparent)]
    Files(#[from] lombard_index::OpenError),
    /// A file is damaged.
    #[error("the index is damaged")]
    Damaged(#[from] ReadError),
    /// The log under it.
    #[error("failed to read the log under the index")]
    Log(#[from] HistoryError),
    /// It was made from another log, or from a part of this log that is gone.
    #[error("the index was not made from this log, or the log lost its end")]
    OtherLog,
}

impl LedgerIndex {
    /// Opens the index of a log in a directory, and says from where on the log must be applied to it. One that does not
    /// fit the log is thrown away: the log is the truth. It is handed to be sealed after every `freeze_transfers`.
    pub async fn open<C>(
        directory: &Path,
        log: &SharedLog,
        codec: &C,
        freeze_transfers: u64,
    ) -> Result<(Self, Position), OpenError>
    where
        C: Codec<Event = Event> + Clone,
    {
        match Self::open_as_it_is(directory, log, codec, freeze_transfers).await {
            Ok(opened) => return Ok(opened),
            Err(reason) => {
                let cause = std::error::Error::source(&reason).map(ToString::to_string);
                tracing::warn!(%reason, cause, "the ledger's index is made again from the log");
            }
        }
        Opening::discard(directory)?;
        Self::open_as_it_is(directory, log, codec, freeze_transfers).await
    }

    async fn open_as_it_is<C>(
        directory: &Path,
        log: &SharedLog,
        codec: &C,
        freeze_transfers: u64,
    ) -> Result<(Self, Position), OpenError>
    where
        C: Codec<Event = Event> + Clone,
    {
        let (store, position, mark) = Store::open(directory, log)?;
        let history = History::new(std::sync::Arc::clone(log), codec.clone());
        let mut index = Self {
            books: Books::new(),
            store,
            record: position,
            next_ordinal: 0,
            last_time: Timestamp::EPOCH,
            unsealed_transfers: 0,
            freeze_transfers,
            loading: None,
            failure: None,
        };
        if let Some(last) = position.previous() {
            let record = history.record(last).await?.ok_or(OpenError::OtherLog)?;
            if record.time.unix_nanos() != mark {
                return Err(OpenError::OtherLog);
            }
            index.last_time = record.time;
            index.restore(&history, last).await?;
        }
        index.load_until(*log.durable().borrow());
        Ok((index, position))
    }

    async fn restore<C>(&mut self, history: &History<C>, last: Position) -> Result<(), OpenError>
    where
        C: Codec<Event = Event>,
    {
        self.restore_assets(history).await?;
        self.restore_accounts(history, last).await?;
        for number in (0..).take(self.books.assets.len()) {
            let number = crate::place::AssetNumber(number);
            self.books.asset_mut(number).sums = self.store.sums(number, last)?;
        }
        self.books.codes = self.store.codes(last)?.into_iter().collect();
        let open: Result<Vec<_>, _> = self
            .store
            .pendings_from(Place::FIRST)
            .filter(|found| found.as_ref().is_ok_and(|(_, pending)| pending.ended.is_none()))
            .collect();
        for (place, pending) in open? {
            self.books.open.insert(place, pending);
        }
        Ok(())
    }

    async fn restore_assets<C>(&mut self, history: &History<C>) -> Result<(), OpenError>
    where
        C: Codec<Event = Event>,
    {
        let assets: Result<Vec<_>, _> = self.store.assets().collect();
        for (_, place) in assets? {
            let record = history.record(place.position).await?.ok_or(OpenError::OtherLog)?;
            let Some(Event::AssetCreated { code, scale, .. }) = record.event(place) else {
                return Err(OpenError::OtherLog);
            };
            self.books.add_asset(code.clone(), *scale, Some(place));
        }
        Ok(())
    }

    async fn restore_accounts<C>(
        &mut self,
        history: &History<C>,
        last: Position,
    ) -> Result<(), OpenError>
    where
        C: Codec<Event = Event>,
    {
        let accounts: Result<Vec<_>, _> = self.store.accounts().collect();
        let until = Place::last_before(last.next()).unwrap_or(Place::FIRST);
        for opened in accounts? {
            let place = opened.place;
            let record = history.record(place.position).await?.ok_or(OpenError::OtherLog)?;
            let recorded = Recorded { position: place.position, time: record.time };
            let row =
                record.event(place).and_then(|event| self.account_row(event, place, recorded));
            let mut row = row.ok_or(OpenError::OtherLog)?;
            row.is_closed = opened.is_closed;
            if let Some((entry, totals)) = self.store.last_entry(row.number, until)? {
                (row.version, row.totals) = (entry.version, totals);
            }
            self.books.add_account(row);
        }
        Ok(())
    }
}
