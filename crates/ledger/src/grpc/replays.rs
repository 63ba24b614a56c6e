//! The first answers to sets that are asked for again. A frame that is sent again as a whole was one record mostly, which is
//! read once.

use std::{collections::BTreeMap, sync::Arc};

use lombard_chassis::Problem;
use lombard_ledger_core::{
    NewNote, NewTransfer, Recorded, RecordedSet, RecordedTransfer, Spent, TransferRejection,
    Transfers,
};
use lombard_types::{Position, TransferId};

use crate::rest::{Api, unexpected_reply};

pub(super) struct Replays<'a> {
    api: &'a Api,
    /// The record that was read last.
    last: Option<Record>,
}

struct Record {
    recorded: Recorded,
    transfers: Arc<Transfers>,
    places: BTreeMap<TransferId, Place>,
}

/// Where a set stands in its record.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    end: usize,
    note: Option<usize>,
}

/// The first answer, or what is another than the first time, and in which transfer.
type Compared<'a> = Result<&'a [RecordedTransfer], (u16, TransferRejection)>;

impl<'a> Replays<'a> {
    pub(super) const fn new(api: &'a Api) -> Self {
        Self { api, last: None }
    }

    /// Compares a set that is asked for with the one that spent its id.
    pub(super) async fn compare(
        &mut self,
        asked: &[NewTransfer],
        note: Option<&NewNote>,
        spent: Spent,
    ) -> Result<(Recorded, Compared<'_>), Problem> {
        let id = asked.first().map(|transfer| transfer.id).ok_or_else(unexpected_reply)?;
        let api = self.api;
        let record = self.record(id, spent.position).await?;
        let place = record.places.get(&id).ok_or_else(unexpected_reply)?;
        let first = record.transfers.recorded.get(place.first..place.end).unwrap_or_default();
        let notes = &record.transfers.notes;
        let of_first = place.note.and_then(|place| notes.get(place)).map(|(_, note)| note);
        let set = RecordedSet { recorded: first, note: of_first };
        let compared = api.compare(set, asked, note);
        Ok((record.recorded, compared.map(|()| first)))
    }

    async fn record(&mut self, id: TransferId, position: Position) -> Result<&Record, Problem> {
        let is_last = |record: &Record| record.recorded.position == position;
        if !self.last.as_ref().is_some_and(is_last) {
            let stored = self.api.stored(id, position).await?;
            let (recorded, transfers) = (stored.recorded, stored.transfers);
            self.last = Some(Record { recorded, places: places(&transfers), transfers });
        }
        self.last.as_ref().ok_or_else(unexpected_reply)
    }
}

fn places(transfers: &Transfers) -> BTreeMap<TransferId, Place> {
    let mut places = BTreeMap::new();
    let (mut first, mut notes) = (0, 0);
    for set in transfers.sets() {
        let end = first + set.recorded.len();
        let note = set.note.map(|_| notes);
        notes += usize::from(note.is_some());
        if let Some(recorded) = set.recorded.first() {
            places.insert(recorded.transfer.id, Place { first, end, note });
        }
        first = end;
    }
    places
}
