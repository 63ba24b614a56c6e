//! Where records are: the segments, and a few offsets in each.

use lombard_types::Position;

use super::layout::SEGMENT_HEADER_BYTES;
use crate::disk::SharedFile;

/// One known offset for this many bytes: what a read scans at most before its first record.
pub(super) const SPARSE_EVERY_BYTES: u64 = 64 << 10;

/// A place where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) offset: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: SharedFile,
    /// Ascending; the first is the segment's first record.
    places: Vec<Place>,
    /// Where what is written ends; the file's end where that is not known. Nothing behind it need be read.
    end: u64,
}

impl Segment {
    fn first(&self) -> Position {
        self.places.first().map_or(Position::START, |place| place.position)
    }
}

#[derive(Debug, Default)]
pub(super) struct Index {
    segments: Vec<Segment>,
}

/// Where to begin reading.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub(super) number: u64,
    pub(super) file: SharedFile,
    pub(super) place: Place,
    /// Nothing is written in the segment from here on.
    pub(super) end: u64,
}

/// What can be removed.
#[derive(Debug)]
pub(super) struct Going {
    pub(super) numbers: Vec<u64>,
    pub(super) first_kept: Option<Position>,
}

impl Index {
    pub(super) fn add_segment(&mut self, number: u64, first: Position, file: SharedFile) {
        let offset = u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(0);
        let places = vec![Place { position: first, offset }];
        self.segments.push(Segment { number, file, places, end: u64::MAX });
    }

    /// Remembers what was written to the last segment, and up to where.
    pub(super) fn extend(&mut self, number: u64, places: &[Place], end: u64) {
        places.iter().for_each(|place| self.learn(number, *place));
        if let Some(segment) = self.segments.last_mut().filter(|segment| segment.number == number) {
            segment.end = end;
        }
    }

    /// Remembers a place if it is far enough behind the last one that is known of its segment.
    pub(super) fn learn(&mut self, number: u64, place: Place) {
        let Some(segment) = self.segments.iter_mut().rev().find(|segment| segment.number == number)
        else {
            return;
        };
        if segment
            .places
            .last()
            .is_some_and(|last| place.offset >= last.offset + SPARSE_EVERY_BYTES)
        {
            segment.places.push(place);
        }
    }

    /// The segments whose records all stand before `before`, and where the first one behind them begins. A segment goes
    /// only where the one after it has a record before `before` too: with that its header is known to be durable.
    pub(super) fn segments_before(&self, before: Position) -> Going {
        let count = self.segments.iter().skip(1).take_while(|next| next.first() < before).count();
        let numbers = self.segments.iter().take(count).map(|segment| segment.number).collect();
        Going { numbers, first_kept: self.segments.get(count).map(Segment::first) }
    }

    /// No reader begins in this segment from now on.
    pub(super) fn forget(&mut self, number: u64) {
        self.segments.retain(|segment| segment.number != number);
    }

    pub(super) fn first_position(&self) -> Position {
        self.segments.first().map_or(Position::START, Segment::first)
    }

    /// The nearest known place at or before `position`.
    pub(super) fn locate(&self, position: Position) -> Option<Cursor> {
        let after = self.segments.partition_point(|segment| segment.first() <= position);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let after = segment.places.partition_point(|place| place.position <= position);
        let place = *segment.places.get(after.checked_sub(1)?)?;
        let (number, end) = (segment.number, segment.end);
        Some(Cursor { number, file: SharedFile::clone(&segment.file), place, end })
    }
}
