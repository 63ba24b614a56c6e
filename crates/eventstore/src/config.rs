//! The event store's limits, each with its unit.

use std::time::Duration;

use lombard_engine::Limits;
use lombard_eventstore_core as core;
use serde::{Deserialize, Serialize};

/// How the event store is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest body of a request.
    pub body_bytes_max: usize,
    /// Largest event, as it is stored: its attributes and data without JSON's punctuation.
    pub event_bytes_max: usize,
    /// Events of one append.
    pub batch_events_max: usize,
    /// Streams of one append.
    pub append_streams_max: usize,
    /// Tags of one event.
    pub event_tags_max: usize,
    /// Longest snapshot or metadata of a stream, and longest schema.
    pub document_bytes_max: usize,
    /// Extension attributes of one event.
    pub event_extensions_max: usize,
    /// Longest value of one attribute.
    pub attribute_bytes_max: usize,
    /// Items of a page where the request does not say.
    pub page_events_default: usize,
    /// Items of a page, at most.
    pub page_events_max: usize,
    /// After this much a page of events ends early, with a link to the next; at least one event is always in it.
    pub page_bytes_max: usize,
    /// Events after which what the index has in memory is sealed: about 200 bytes of memory each, and what a restart
    /// reads again.
    pub index_memory_events: u64,
    /// Events that are looked at for a page of those that a filter lets through.
    pub page_examined_max: usize,
    /// Subscriptions at once; one more is refused as overloaded.
    pub subscriptions_max: usize,
    /// How long a read with `at_least` waits for the read side.
    pub wait_ms_max: u64,
    /// How long a write waits before its outcome is reported as unknown.
    pub submit_ms_max: u64,
    /// Commands that may wait for the writer; one more is refused as overloaded.
    pub queue_commands_max: usize,
    /// Commands decided before their records are handed to the log together.
    pub group_commands_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: 2 << 20,
            event_bytes_max: 256 << 10,
            batch_events_max: 1000,
            append_streams_max: 100,
            event_tags_max: 32,
            document_bytes_max: 1 << 20,
            event_extensions_max: 32,
            attribute_bytes_max: 2048,
            page_events_default: 100,
            page_events_max: 1000,
            page_bytes_max: 4 << 20,
            index_memory_events: 128 << 10,
            page_examined_max: 100_000,
            subscriptions_max: 2000,
            wait_ms_max: 2000,
            submit_ms_max: 10_000,
            queue_commands_max: 8192,
            group_commands_max: 1024,
        }
    }
}

/// What a record holds beside the events: evidence, names and framing. An event itself is never longer stored than in
/// JSON.
const RECORD_MARGIN_BYTES: usize = 16 << 10;

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |is_right: bool, mistake: &str| {
            if !is_right {
                mistakes.push(mistake.to_owned());
            }
        };
        let record_bytes_max = Limits::default().record_bytes_max;
        expect(self.body_bytes_max >= 1024, "body_bytes_max is below 1024");
        expect(
            self.body_bytes_max <= record_bytes_max.saturating_sub(RECORD_MARGIN_BYTES),
            &format!(
                "body_bytes_max is over {}: an append must fit in one record of the log",
                record_bytes_max.saturating_sub(RECORD_MARGIN_BYTES)
            ),
        );
        expect(self.event_bytes_max >= 256, "event_bytes_max is below 256");
        expect(
            self.event_bytes_max <= self.body_bytes_max,
            "event_bytes_max is over body_bytes_max",
        );
        expect(self.batch_events_max > 0, "batch_events_max is 0");
        expect(
            self.document_bytes_max <= self.body_bytes_max,
            "document_bytes_max is over body_bytes_max",
        );
        expect(self.index_memory_events > 0, "index_memory_events is 0");
        expect(self.append_streams_max > 0, "append_streams_max is 0");
        expect(
            self.page_examined_max >= self.page_events_max,
            "page_examined_max is below page_events_max",
        );
        expect(self.attribute_bytes_max > 0, "attribute_bytes_max is 0");
        expect(self.page_events_default > 0, "page_events_default is 0");
        expect(
            self.page_events_default <= self.page_events_max,
            "page_events_default is over page_events_max",
        );
        expect(self.submit_ms_max > 0, "submit_ms_max is 0");
        expect(self.queue_commands_max > 0, "queue_commands_max is 0");
        expect(self.group_commands_max > 0, "group_commands_max is 0");
        mistakes
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms_max)
    }

    pub(crate) fn store_limits(&self) -> core::Limits {
        core::Limits {
            append_streams_max: self.append_streams_max,
            append_events_max: self.batch_events_max,
        }
    }

    pub(crate) fn engine_limits(&self) -> Limits {
        Limits {
            queue_commands_max: self.queue_commands_max,
            group_commands_max: self.group_commands_max,
            submit_timeout: Duration::from_millis(self.submit_ms_max),
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Config::default().mistakes(), Vec::<String>::new());
        let config = Config {
            body_bytes_max: 1 << 30,
            page_events_default: 5,
            page_events_max: 4,
            ..Config::default()
        };
        assert_eq!(config.mistakes().len(), 2);
    }
}
