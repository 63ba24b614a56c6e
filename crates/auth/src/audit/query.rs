//! Reading the audit: the log itself is what is read, so an entry can be proved by its record.

use std::{fmt, str::FromStr};

use lombard_auth_core::{AuditEntry, Event};
use lombard_engine::{DecodeError, decode_record, decode_record_time};
use lombard_log::{ReadError, SharedLog};
use lombard_types::{Position, Timestamp};

use crate::EventCodec;

/// Bytes of the log that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Which entries.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) client: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) address: Option<String>,
    /// The action, or what it begins with up to a point: `client` is `client.create` too.
    pub(crate) action: Option<String>,
    pub(crate) is_refused: Option<bool>,
}

impl Filter {
    fn takes(&self, entry: &AuditEntry) -> bool {
        let is = |wanted: &Option<String>, said: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == said)
        };
        let is_action = self.action.as_deref().is_none_or(|wanted| {
            let rest = entry.action.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        is_action
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && is(&self.client, &entry.client)
            && is(&self.subject, &entry.subject)
            && is(&self.address, &entry.address)
            && self.is_refused.is_none_or(|is_refused| is_refused == entry.refused.is_some())
    }
}

/// Where an entry is: its record, and which one of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) position: Position,
    index: u8,
}

/// A text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the audit")]
pub(crate) struct ParsePlaceError;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position.get(), self.index)
    }
}

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, ParsePlaceError> {
        let (position, index) = text.split_once('-').ok_or(ParsePlaceError)?;
        let position = Position::new(position.parse().map_err(|_| ParsePlaceError)?);
        Ok(Self { position, index: index.parse().map_err(|_| ParsePlaceError)? })
    }
}

/// An entry and where it is.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) place: Place,
    pub(crate) entry: AuditEntry,
}

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a record of the log is damaged: {0}")]
    Decode(DecodeError),
}

/// Up to `limit` entries after a place, oldest first, and where to go on. Looks at no more than `examined_max` records, so
/// that a page can be short and still have a next one.
pub(crate) async fn page(
    log: &SharedLog,
    filter: &Filter,
    after: Option<Place>,
    (limit, examined_max): (usize, usize),
) -> Result<(Vec<Shown>, Option<Place>), PageError> {
    let end = *log.durable().borrow();
    let first = match filter.since {
        Some(since) => begin(log, since, end).await?,
        None => Position::START,
    };
    let mut position = after.map_or(first, |after| after.position.max(first));
    let (mut shown, mut examined, mut last) = (Vec::new(), 0, after);
    while position < end {
        for record in log.read(position, READ_BYTES).await? {
            if record.position >= end {
                break;
            }
            position = record.position.next();
            for (place, entry) in entries(&record).map_err(PageError::Decode)? {
                if after.is_some_and(|after| place <= after) {
                    continue;
                }
                if shown.len() == limit {
                    return Ok((shown, last));
                }
                last = Some(place);
                if filter.takes(&entry) {
                    shown.push(Shown { place, entry });
                }
            }
            examined += 1;
            if examined == examined_max && position < end {
                // Everything of this record was looked at.
                return Ok((shown, Some(Place { position: record.position, index: u8::MAX })));
            }
        }
    }
    Ok((shown, None))
}

fn entries(record: &lombard_log::Record) -> Result<Vec<(Place, AuditEntry)>, DecodeError> {
    let (position, mut found) = (record.position, Vec::new());
    decode_record(&EventCodec, record, |event, _| {
        if let Event::Audited(entries) = event {
            found.extend(entries);
        }
    })?;
    Ok((0u8..).zip(found).map(|(index, entry)| (Place { position, index }, entry)).collect())
}

/// The first record that may have entries from `since` on: an entry is made before its record.
async fn begin(log: &SharedLog, since: Timestamp, end: Position) -> Result<Position, PageError> {
    let (mut first, mut end) = (0, end.get());
    while first < end {
        let middle = first + (end - first) / 2;
        let records = log.read(Position::new(middle), 1).await?;
        let time =
            records.first().map(decode_record_time).transpose().map_err(PageError::Decode)?;
        if time.is_some_and(|time| time < since) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(Position::new(first))
}
