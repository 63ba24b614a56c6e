//! A page of events in their JSON batch form.

use std::ops::ControlFlow;

use lombard_engine::DecodeError;

use crate::{cloud_event, query::Stored};

/// Events as they are read.
#[derive(Debug)]
pub(super) struct Page {
    json: String,
    count: usize,
    limit: usize,
    bytes_max: usize,
    failed: Option<DecodeError>,
}

impl Default for Page {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl Page {
    /// Takes up to `limit` events; ends early when it has `bytes_max`, but not before the first event.
    pub(super) fn new(limit: usize, bytes_max: usize) -> Self {
        Self { json: "[".to_owned(), count: 0, limit, bytes_max, failed: None }
    }

    pub(super) fn add(&mut self, stored: Stored<'_>) -> ControlFlow<()> {
        if self.count == self.limit {
            return ControlFlow::Break(());
        }
        let length = self.json.len();
        if self.count > 0 {
            self.json.push(',');
        }
        if let Err(error) = cloud_event::write(stored, &mut self.json) {
            self.failed = Some(error);
            return ControlFlow::Break(());
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
    pub(super) fn into_json(mut self) -> Result<String, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.json.push(']');
        Ok(self.json)
    }
}
