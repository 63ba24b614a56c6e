//! How far a reader has come in what it reads.

use lombard_eventstore_core::{EventPosition, Placed};
use lombard_types::{Revision, StreamName};

use super::{
    AllReading, Direction, Filter, Horizon, QueryError, Reader, Records, StreamReading, Taking,
};

/// Whose events, and from where on.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// All streams, in their common order.
    All(EventPosition),
    /// One stream.
    Stream(StreamName, Revision),
}

impl Place {
    /// Where an event stands in this order.
    pub(crate) fn id(&self, placed: &Placed<'_>) -> u64 {
        match self {
            Self::All(_) => placed.position.get(),
            Self::Stream(..) => placed.revision.get(),
        }
    }

    /// Whether an event is one of these.
    fn includes(&self, placed: &Placed<'_>) -> bool {
        match self {
            Self::All(from) => placed.position >= *from,
            Self::Stream(stream, from) => placed.stream == stream && placed.revision >= *from,
        }
    }
}

/// A reader's place, what it wants from there on, and how far it may look.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) place: Place,
    pub(crate) direction: Direction,
    pub(crate) filter: Filter,
    pub(crate) horizon: Horizon,
}

impl Cursor {
    /// Reads on, looks at up to `examined_max` events, and answers whether there may be more.
    pub(crate) async fn read(
        &mut self,
        reader: &Reader,
        examined_max: usize,
        take: impl Taking,
    ) -> Result<bool, QueryError> {
        self.read_on(reader, &mut Records::new(reader), examined_max, take).await
    }

    /// [`Self::read`] of a reader that keeps its records.
    pub(crate) async fn read_on(
        &mut self,
        reader: &Reader,
        records: &mut Records<'_>,
        examined_max: usize,
        take: impl Taking,
    ) -> Result<bool, QueryError> {
        let (direction, filter, horizon) = (self.direction, &self.filter, self.horizon);
        match &mut self.place {
            Place::All(from) => {
                let reading = AllReading { from: *from, direction, filter, horizon };
                let next = reader.read_on(records, reading, examined_max, take).await?;
                Ok(next.inspect(|next| *from = *next).is_some())
            }
            Place::Stream(stream, from) => {
                let reading = StreamReading { stream, from: *from, direction, filter, horizon };
                let next = reader.read_stream_on(records, reading, examined_max, take).await?;
                Ok(next.inspect(|next| *from = *next).is_some())
            }
        }
    }

    /// Whether an event that has just happened is wanted.
    pub(crate) fn wants(&self, placed: &Placed<'_>) -> bool {
        self.place.includes(placed) && self.filter.is_met_by(placed)
    }
}
