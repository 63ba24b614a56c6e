//! Tells a retry from an id that is used twice.

use std::collections::BTreeMap;

use crate::{Append, Appended, NewEvent, Placed, Rejection, Reuse, StreamRange, Unreadable};

impl Appended {
    /// The first answer, where `append` asks for the same again: the same events in the same order, whatever is expected
    /// of the streams. `is_same` compares the contents of an event that is recorded and of one that is asked for, which
    /// are equal in everything else.
    ///
    /// `append` has at least one event id in common with this.
    pub fn repeated_by(
        &self,
        append: &Append,
        is_same: impl Fn(&Placed<'_>, &NewEvent) -> bool,
    ) -> Result<Vec<StreamRange>, Rejection> {
        let known: BTreeMap<_, _> = self.events().map(|placed| (placed.event.id, placed)).collect();
        let mut recorded = self.events();
        let mut common = None;
        let mut is_equal = true;
        for part in &append.streams {
            for event in &part.events {
                let Some(known) = known.get(&event.id) else {
                    is_equal = false;
                    continue;
                };
                common = common.or(Some(event.id));
                if known.stream != &part.stream || !is_equal_event(known, event, &is_same) {
                    return Err(Rejection::EventIdReused {
                        id: event.id,
                        how: Reuse::OtherContent,
                    });
                }
                is_equal &= recorded.next().is_some_and(|placed| placed.event.id == event.id);
            }
        }
        is_equal &= recorded.next().is_none();
        match common {
            _ if is_equal => Ok(self.ranges()),
            Some(id) => Err(Rejection::EventIdReused { id, how: Reuse::OtherAppend }),
            None => Err(Rejection::Unreadable(Unreadable::Storage {
                cause: "the record of an event id does not hold it".into(),
            })),
        }
    }
}

fn is_equal_event(
    recorded: &Placed<'_>,
    asked: &NewEvent,
    is_same: impl Fn(&Placed<'_>, &NewEvent) -> bool,
) -> bool {
    recorded.event.event_type == asked.event_type
        && recorded.event.tags == asked.tags
        && is_same(recorded, asked)
}
