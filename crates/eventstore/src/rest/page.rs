//! A page of events in their JSON batch form.

use std::ops::ControlFlow;

use crate::{cloud_event, query::Stored, showing::Showing, subjects::OpenError};

/// Events as they are read.
#[derive(Debug)]
pub(super) struct Page {
    showing: Showing,
    json: String,
    count: usize,
    limit: usize,
    bytes_max: usize,
    failed: Option<OpenError>,
}

impl Page {
    /// Takes up to `limit` events; ends early when it has `bytes_max`, but not before the first event.
    pub(super) fn new(showing: Showing, limit: usize, bytes_max: usize) -> Self {
        Self { showing, json: "[".to_owned(), count: 0, limit, bytes_max, failed: None }
    }

    pub(super) fn add(&mut self, stored: Stored<'_>) -> ControlFlow<()> {
        if self.count == self.limit {
            return ControlFlow::Break(());
        }
        let length = self.json.len();
        if self.count > 0 {
            self.json.push(',');
        }
        match self.showing.show(stored) {
            Ok(shown) => cloud_event::write(&shown, &mut self.json),
            Err(error) => {
                self.failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        if self.json.len() > self.bytes_max && self.count > 0 {
            self.json.truncate(length);
            return ControlFlow::Break(());
        }
        self.count += 1;
        ControlFlow::Continue(())
    }

    /// How many events it has.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// A JSON array.
    pub(super) fn into_json(mut self) -> Result<String, OpenError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.json.push(']');
        Ok(self.json)
    }
}
