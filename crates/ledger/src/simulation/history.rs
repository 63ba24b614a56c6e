//! The model: what was asked for, what was answered; and what must therefore be true of the log.

use std::collections::{BTreeMap, BTreeSet};

use lombard_engine::{
    At, Machine as _, decode_record, state_from_bytes, state_hash, state_to_bytes,
};
use lombard_ledger_core::{
    Book, Command, CreateTransfers, Decision, Event, NewNote, NewTransfer, Outcome,
    RecordedTransfer, TransferKind, Transfers,
};
use lombard_log::Record;
use lombard_simulation::Dice;
use lombard_types::{AccountId, Position, Timestamp, TransferId};

use super::think;
use crate::{
    codec::{
        EventCodec,
        snapshot::tests::{Plain, empty},
    },
    rest::sets::outcome_of,
};

/// A set that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) transfers: Vec<NewTransfer>,
    pub(super) note: NewNote,
    pub(super) known: Known,
}

/// What is known of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has no effect: not asked for yet, rejected, or lost with a crash. Only asking again can change that.
    Absent,
    /// It was asked for, and not answered: it may have an effect, or none.
    Unknown,
    /// It was answered, or was found after a restart: it is in this record, and ended so, for ever.
    Present { record: Position, outcome: Outcome },
}

#[derive(Default)]
pub(super) struct History {
    asks: BTreeMap<TransferId, Ask>,
    /// Accounts whose opening was answered.
    opened: BTreeSet<AccountId>,
}

impl History {
    pub(super) fn next_id(&self) -> TransferId {
        TransferId::from_u128(self.asks.len() as u128 + 1).unwrap()
    }

    pub(super) fn ids(&self) -> Vec<TransferId> {
        self.asks.keys().copied().collect()
    }

    pub(super) fn add(&mut self, id: TransferId, transfers: Vec<NewTransfer>, note: NewNote) {
        self.asks.insert(id, Ask { transfers, note, known: Known::Absent });
    }

    pub(super) fn ask(&self, id: TransferId) -> &Ask {
        &self.asks[&id]
    }

    pub(super) fn set(&mut self, id: TransferId, known: Known) {
        let ask = self.asks.get_mut(&id).unwrap();
        if let Known::Present { .. } = ask.known {
            assert_eq!(ask.known, known, "{id} was answered otherwise before");
        }
        ask.known = known;
    }

    pub(super) fn was_opened(&mut self, account: AccountId) {
        self.opened.insert(account);
    }

    /// Replays everything that the log holds after a restart, and compares; takes note of what became of the unknown.
    /// Answers the book that follows from it.
    pub(super) fn check(&mut self, records: &[Record], dice: &mut Dice) -> Book {
        let mut replay = Replay {
            machine: empty(7),
            found: BTreeMap::new(),
            facts: BTreeMap::new(),
            time: None,
        };
        let cut = dice.roll(records.len() as u64 + 1) as usize;
        let mut snapshot = state_to_bytes(&replay.machine);
        for (number, record) in records.iter().enumerate() {
            replay.record(self, record);
            if number + 1 == cut {
                snapshot = state_to_bytes(&replay.machine);
            }
        }
        let restored = restored(&snapshot, &records[cut..]);
        assert_eq!(state_hash(&restored), state_hash(&replay.machine), "from a snapshot at {cut}");
        for account in &self.opened {
            let named = lombard_ledger_core::AccountRef::Id(*account);
            assert!(replay.machine.book.account(&named).is_some(), "{account} was lost");
        }
        for (id, ask) in &mut self.asks {
            match (ask.known, replay.found.get(id)) {
                (Known::Present { record, outcome }, found) => {
                    assert_eq!(found, Some(&(record, outcome)), "{id}: acknowledged, and lost");
                }
                (_, Some((record, outcome))) => {
                    ask.known = Known::Present { record: *record, outcome: *outcome };
                }
                (_, None) => ask.known = Known::Absent,
            }
        }
        replay.machine.book
    }
}

fn restored(snapshot: &[u8], tail: &[Record]) -> Plain {
    let mut restored = state_from_bytes(empty(8), snapshot).unwrap();
    for record in tail {
        decode_record(&EventCodec, record, |event, at| restored.apply(&event, at)).unwrap();
    }
    restored
}

/// The pure rules on everything that is in the log: each record is what they decide when its turn comes.
struct Replay {
    machine: Plain,
    found: BTreeMap<TransferId, (Position, Outcome)>,
    /// How sets were recorded: to reverse one, it is looked up.
    facts: BTreeMap<TransferId, Vec<RecordedTransfer>>,
    time: Option<Timestamp>,
}

impl Replay {
    fn record(&mut self, history: &History, record: &Record) {
        decode_record(&EventCodec, record, |event, at| {
            assert!(self.time.is_none_or(|before| before < at.time), "time does not increase");
            let command = self.command(history, &event, at);
            let decided = self.machine.book.decide(&self.machine.past, command, at.time);
            match decided {
                Ok(Decision::Commit(decided, _)) => assert_eq!(decided, event, "at {at:?}"),
                other => panic!("{event:?} is in the log, and the rules say {other:?}"),
            }
            self.machine.apply(&event, at);
            if let Event::Transfers(transfers) = &event {
                for set in transfers.sets() {
                    self.facts.insert(set.recorded[0].transfer.id, set.recorded.to_vec());
                }
            }
            for (asset, [debits, credits]) in think::sums(&self.machine.book) {
                assert_eq!(debits, credits, "{asset} after {event:?}");
            }
        })
        .map(|time| self.time = Some(time))
        .unwrap();
    }

    /// What must have been asked for.
    fn command(&mut self, history: &History, event: &Event, at: At) -> Command {
        match event {
            Event::AccountOpened { id, .. } => think::open_command(id.as_u128() as u64),
            Event::PendingsEnded(_) => Command::EndPendings,
            Event::Transfers(transfers) => self.sets(history, transfers, at),
            other => panic!("nobody asks for {other:?}"),
        }
    }

    fn sets(&mut self, history: &History, recorded: &Transfers, at: At) -> Command {
        let (mut transfers, mut notes) = (Vec::new(), Vec::new());
        for (number, set) in (0u32..).zip(recorded.sets()) {
            let id = set.recorded[0].transfer.id;
            let ask = history.asks.get(&id).unwrap_or_else(|| panic!("{id} was not asked for"));
            assert_ne!(ask.known, Known::Absent, "{id} was not asked for, or rejected");
            let found = (at.position, outcome_of(set.recorded));
            assert_eq!(self.found.insert(id, found), None, "{id} happened twice");
            transfers.extend(&ask.transfers);
            let mut note = ask.note.clone();
            if let TransferKind::Reversal { of } = ask.transfers[0].kind {
                note.reversed = self.facts.get(&of).cloned().unwrap_or_default().into();
            }
            if note != NewNote::default() {
                notes.push((number, note));
            }
        }
        Command::CreateTransfers(CreateTransfers { transfers, notes, evidence: think::evidence() })
    }
}
