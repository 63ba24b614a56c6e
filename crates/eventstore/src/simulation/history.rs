//! The model: what was asked for, what was answered, what was seen; and what must therefore be true of the log.

use std::collections::BTreeMap;

use lombard_eventstore_core::{Append, Appended, Condition, Event, NewEvent, Placed, StreamRange};
use lombard_types::{EventId, Position, Revision, StreamName};

use crate::codec::StoredRecord;

/// Event ids of one append follow on each other from a multiple of this, so that an id tells its append.
const IDS_PER_APPEND: u128 = 16;

/// Names an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask(pub(super) usize);

impl Ask {
    fn of(id: EventId) -> Self {
        Self(usize::try_from((id.as_u128() - 1) / IDS_PER_APPEND).unwrap())
    }

    pub(super) fn event_id(self, index: usize) -> EventId {
        EventId::from_u128(self.0 as u128 * IDS_PER_APPEND + index as u128 + 1).unwrap()
    }
}

/// What is known of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has no effect: not asked for yet, refused, or lost with a crash. Only asking again can change that.
    Absent,
    /// It was asked for, and not answered: it may have an effect, or none.
    Unknown,
    /// It was answered, or was found after a restart: it is in this record for ever.
    Present { record: Position, ranges: Vec<StreamRange> },
}

#[derive(Default)]
pub(super) struct History {
    asks: Vec<(Append, Known)>,
    /// The events that anybody was shown, by position.
    seen: BTreeMap<u64, EventId>,
}

impl History {
    pub(super) fn next_ask(&self) -> Ask {
        Ask(self.asks.len())
    }

    pub(super) fn add(&mut self, append: Append) -> Ask {
        self.asks.push((append, Known::Absent));
        Ask(self.asks.len() - 1)
    }

    pub(super) fn append(&self, ask: Ask) -> &Append {
        &self.asks[ask.0].0
    }

    pub(super) fn known(&self, ask: Ask) -> &Known {
        &self.asks[ask.0].1
    }

    pub(super) fn set(&mut self, ask: Ask, known: Known) {
        if let Known::Present { .. } = self.asks[ask.0].1 {
            assert_eq!(self.asks[ask.0].1, known, "{ask:?} was answered otherwise before");
        }
        self.asks[ask.0].1 = known;
    }

    /// The last revision of a stream that is known for certain.
    pub(super) fn last_revision(&self, stream: &StreamName) -> Option<Revision> {
        let present = self.asks.iter().filter_map(|(_, known)| match known {
            Known::Present { ranges, .. } => Some(ranges),
            Known::Absent | Known::Unknown => None,
        });
        let of_stream = present.flatten().filter(|range| range.stream == *stream);
        of_stream.map(|range| range.last_revision).max()
    }

    /// Somebody was shown an event: it is one that was asked for, it stands there for ever, and nowhere else.
    pub(super) fn see(&mut self, placed: &Placed<'_>) {
        let position = placed.position.get();
        let first = *self.seen.entry(position).or_insert(placed.event.id);
        assert_eq!(first, placed.event.id, "position {position} shows another event than before");
        let is_asked = |(append, known): &(Append, Known)| {
            *known != Known::Absent
                && append
                    .streams
                    .iter()
                    .any(|part| part.stream == *placed.stream && part.events.contains(placed.event))
        };
        let ask = self.asks.get(Ask::of(placed.event.id).0);
        assert!(ask.is_some_and(is_asked), "{placed:?} was not asked for, or was refused");
    }

    /// Compares with everything that the log holds after a restart, and takes note of what became of the unknown.
    pub(super) fn check(&mut self, records: &[StoredRecord]) {
        for pair in records.windows(2) {
            assert!(pair[0].recorded.time < pair[1].recorded.time, "time does not increase");
        }
        let mut model = Model::default();
        let mut found = BTreeMap::new();
        for record in records {
            let Event::Appended(appended) = &record.event else { panic!("not an append") };
            let ask = Ask::of(appended.streams[0].events[0].id);
            let position = record.recorded.position;
            assert_eq!(found.insert(ask, position), None, "{ask:?} happened twice");
            model.happen(self.append(ask), appended);
            for placed in appended.events() {
                self.see(&placed);
            }
            self.set(ask, Known::Present { record: position, ranges: appended.ranges() });
        }
        if let Some((last, _)) = self.seen.last_key_value() {
            assert!(*last < model.events.len() as u64, "what was shown at {last} is lost");
        }
        for (number, (_, known)) in self.asks.iter_mut().enumerate() {
            match known {
                Known::Present { .. } => {
                    assert!(found.contains_key(&Ask(number)), "{number}: acknowledged and lost");
                }
                Known::Absent | Known::Unknown => *known = Known::Absent,
            }
        }
    }
}

/// The store, as a list: checks that each append was right when its turn came.
#[derive(Default)]
struct Model {
    events: Vec<NewEvent>,
    counts: BTreeMap<StreamName, u64>,
}

impl Model {
    fn happen(&mut self, append: &Append, appended: &Appended) {
        assert_eq!(appended.first_position.get(), self.events.len() as u64, "a gap in the order");
        assert_eq!(append.streams.len(), appended.streams.len(), "{appended:?} is half done");
        if let Some(Condition { query, after }) = &append.condition {
            let from = after.map_or(0, |after| after.get() as usize + 1);
            let is_meant = |event: &NewEvent| query.is_met_by(&event.event_type, &event.tags);
            let is_met = !self.events.iter().skip(from).any(is_meant);
            assert!(is_met, "{append:?} happened against its condition");
        }
        for (asked, happened) in append.streams.iter().zip(&appended.streams) {
            let count = self.counts.entry(asked.stream.clone()).or_default();
            let actual = Revision::new(*count).previous();
            assert!(asked.expected.is_met(actual), "{asked:?} happened at {actual:?}");
            assert_eq!(happened.first_revision, Revision::new(*count), "a gap in a stream");
            assert_eq!(happened.stream, asked.stream);
            assert_eq!(happened.events, asked.events);
            *count += asked.events.len() as u64;
        }
        self.events.extend(append.events().cloned());
    }
}
