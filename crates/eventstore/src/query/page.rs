//! Reads the events of a page from the log.

use lombard_engine::DecodeError;
use lombard_eventstore_core::{EventPosition, NewEvent, StreamAppended};
use lombard_log::{Log, ReadError, Record};
use lombard_types::Position;

use super::Located;
use crate::{
    cloud_event::{self, Stored},
    codec::{self, StoredRecord},
};

/// Records read at a time where a page needs several in a row.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// Events in their JSON batch form.
#[derive(Debug)]
pub(crate) struct EventPage {
    /// A JSON array.
    pub(crate) json: String,
    /// How many of the wanted events it holds, from the first on.
    pub(crate) count: usize,
}

/// A page could not be read. All of these are for the log of the role, not for the caller.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("failed to read events from the log")]
    Log(#[from] ReadError),
    #[error("failed to decode record {record}")]
    Decode { record: Position, source: DecodeError },
    #[error("record {record} is not where the index has it, or lacks the event at {position}")]
    Missing { record: Position, position: EventPosition },
}

/// Reads these events, in this order. Ends early when the page has reached `bytes_max`, but not before the first event.
pub(crate) async fn read_page(
    log: &dyn Log,
    events: &[Located],
    bytes_max: usize,
) -> Result<EventPage, PageError> {
    let mut json = "[".to_owned();
    let mut count = 0;
    let mut reader = RecordReader { log, ahead: Vec::new().into_iter(), current: None };
    for (index, located) in events.iter().enumerate() {
        // Whether the next record is wanted too, so that several are worth reading at once.
        let rest = events.get(index..).unwrap_or_default();
        let after = rest.iter().find(|other| other.record != located.record);
        let is_run = after.is_some_and(|after| after.record == located.record.next());
        let record = reader.record(*located, is_run).await?;
        let stored = find(record, *located)?;
        let content = codec::decode_content(&stored.event.content)
            .map_err(|source| PageError::Decode { record: located.record, source })?;
        let length = json.len();
        if count > 0 {
            json.push(',');
        }
        cloud_event::write(stored, &content, &mut json);
        if json.len() > bytes_max && count > 0 {
            json.truncate(length);
            break;
        }
        count += 1;
    }
    json.push(']');
    Ok(EventPage { json, count })
}

/// Reads records one after the other, and ahead where they follow each other.
struct RecordReader<'a> {
    log: &'a dyn Log,
    ahead: std::vec::IntoIter<Record>,
    current: Option<StoredRecord>,
}

impl RecordReader<'_> {
    async fn record(&mut self, wanted: Located, is_run: bool) -> Result<&StoredRecord, PageError> {
        let Located { record: position, position: event } = wanted;
        let is_there = self.current.as_ref().is_some_and(|r| r.recorded.position == position);
        if !is_there {
            let missing = PageError::Missing { record: position, position: event };
            let record = match self.ahead.next().filter(|record| record.position == position) {
                Some(record) => record,
                None => {
                    let bytes_max = if is_run { READ_AHEAD_BYTES } else { 1 };
                    self.ahead = self.log.read(position, bytes_max).await?.into_iter();
                    self.ahead.next().filter(|record| record.position == position).ok_or(missing)?
                }
            };
            let decoded = codec::decode_record(&record)
                .map_err(|source| PageError::Decode { record: position, source })?;
            self.current = Some(decoded);
        }
        let missing = PageError::Missing { record: position, position: event };
        self.current.as_ref().ok_or(missing)
    }
}

/// The event at a position within the record that holds it.
fn find(record: &StoredRecord, wanted: Located) -> Result<Stored<'_>, PageError> {
    let recorded = record.recorded;
    let missing = PageError::Missing { record: wanted.record, position: wanted.position };
    for appended in &record.appends {
        let mut first = appended.first_position;
        for part in &appended.streams {
            if let Some((steps, event)) = nth(part, first, wanted.position) {
                return Ok(Stored {
                    stream: &part.stream,
                    revision: part.first_revision.plus(steps),
                    position: wanted.position,
                    recorded,
                    evidence: &appended.evidence,
                    event,
                });
            }
            first = first.plus(u64::try_from(part.events.len()).unwrap_or(u64::MAX));
        }
    }
    Err(missing)
}

fn nth(
    part: &StreamAppended,
    first: EventPosition,
    wanted: EventPosition,
) -> Option<(u64, &NewEvent)> {
    let steps = wanted.get().checked_sub(first.get())?;
    Some((steps, part.events.get(usize::try_from(steps).ok()?)?))
}
