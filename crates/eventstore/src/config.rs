//! The event store's limits, each with its unit.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use lombard_engine::Limits;
use lombard_eventstore_core as core;
use lombard_master_key::{MasterKeyPlaces, MasterKeySource};
use serde::{Deserialize, Serialize};

use crate::schema::DefinitionLimits;

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
    /// Event types that may have a schema.
    pub schemas_max: usize,
    /// Versions of one type's schema.
    pub schema_versions_max: usize,
    /// Longest version of a schema, with its upcaster.
    pub schema_bytes_max: usize,
    /// All versions of all schemas together, which are in memory.
    pub schemas_bytes_max: usize,
    /// Subschemas of one schema, each `$ref` counted as what it refers to: bounds what checking an event costs.
    pub schema_nodes_max: usize,
    /// Steps of one version's upcaster.
    pub upcast_steps_max: usize,
    /// Compiled schemas that are kept in memory.
    pub schema_validators_max: usize,
    /// Data subjects that ever had a key: 128 bytes on disk and up to 21 bytes of memory each.
    pub subjects_max: usize,
    /// Keys of data subjects that are kept in memory, ready for use.
    pub subject_keys_cached_max: usize,
    /// The file of the 32 bytes that wrap the keys of data subjects. Where no place is said for them, they are in a file
    /// that is made beside those keys.
    pub subject_master_key_file: Option<PathBuf>,
    /// The environment variable that has them instead, in hexadecimal or Base64.
    pub subject_master_key_variable: Option<String>,
    /// The program that prints them instead, and its arguments: how a KMS is asked.
    pub subject_master_key_command: Vec<String>,
    /// How long that program may take.
    pub subject_master_key_command_ms_max: u64,
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
    /// Consumer groups.
    pub groups_max: usize,
    /// Consumers with deliveries, of one group.
    pub group_consumers_max: usize,
    /// Events of one group that were read and are not settled: about 250 bytes of memory each.
    pub group_window_events_max: usize,
    /// Events of one group that its consumers may have, at most; a group may be made with less.
    pub group_in_flight_max: u32,
    /// Dead letters of one group. Where there are as many, events are tried again instead of being given up.
    pub group_dead_letters_max: usize,
    /// Events of one pull. So many times `event_bytes_max` is the largest answer.
    pub group_deliveries_max: u32,
    /// Receipts of one acknowledgement, and dead letters of one replay.
    pub group_receipts_max: usize,
    /// Events that are read ahead into a group's window at once.
    pub group_read_ahead_events: usize,
    /// Consumers that wait for events at once; one more is refused as overloaded.
    pub group_waits_max: usize,
    /// How long a pull waits for events, at most.
    pub group_wait_ms_max: u64,
    /// How long a consumer may keep a delivery without asking for more time, at most.
    pub group_visibility_ms_max: u64,
    /// Longest delay between two attempts.
    pub group_delay_ms_max: u64,
    /// Attempts of one event, at most; a group may be made with less.
    pub group_attempts_max: u32,
    /// Records of the groups' log after which there is a snapshot and the log is trimmed.
    pub group_snapshot_records: u64,
    /// How long a read with `at_least` waits for the read side.
    pub wait_ms_max: u64,
    /// How long a write waits before its outcome is reported as unknown.
    pub submit_ms_max: u64,
    /// Commands that may wait for the writer; one more is refused as overloaded.
    pub queue_commands_max: usize,
    /// Commands decided before their records are handed to the log together.
    pub group_commands_max: usize,
    /// Appends of one gRPC session that wait for their answers; the session takes no more in until one is answered.
    pub session_appends_max: usize,
    /// Limits of the gRPC server.
    pub grpc: lombard_grpc::Limits,
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
            schemas_max: 1000,
            schema_versions_max: 100,
            schema_bytes_max: 64 << 10,
            schemas_bytes_max: 32 << 20,
            schema_nodes_max: 1000,
            upcast_steps_max: 64,
            schema_validators_max: 256,
            subjects_max: 1_000_000,
            subject_keys_cached_max: 10_000,
            subject_master_key_file: None,
            subject_master_key_variable: None,
            subject_master_key_command: Vec::new(),
            subject_master_key_command_ms_max: 30_000,
            event_extensions_max: 32,
            attribute_bytes_max: 2048,
            page_events_default: 100,
            page_events_max: 1000,
            page_bytes_max: 4 << 20,
            index_memory_events: 128 << 10,
            page_examined_max: 100_000,
            subscriptions_max: 2000,
            groups_max: 100,
            group_consumers_max: 100,
            group_window_events_max: 4096,
            group_in_flight_max: 2048,
            group_dead_letters_max: 10_000,
            group_deliveries_max: 100,
            group_receipts_max: 1000,
            group_read_ahead_events: 512,
            group_waits_max: 1000,
            group_wait_ms_max: 20_000,
            group_visibility_ms_max: 12 * 3_600_000,
            group_delay_ms_max: 24 * 3_600_000,
            group_attempts_max: 1000,
            group_snapshot_records: 100_000,
            wait_ms_max: 2000,
            submit_ms_max: 10_000,
            queue_commands_max: 8192,
            group_commands_max: 1024,
            session_appends_max: 1024,
            grpc: lombard_grpc::Limits::default(),
        }
    }
}

/// What a record holds beside the events: evidence, names and framing. An event itself is never longer stored than in
/// JSON.
const RECORD_MARGIN_BYTES: usize = 16 << 10;

/// What happens to an event of a group takes at most 20 bytes in a record of 4 MiB.
const GROUP_RECORD_EVENTS_MAX: usize = 200_000;

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
        expect(self.schema_nodes_max > 0, "schema_nodes_max is 0");
        expect(self.schema_validators_max > 0, "schema_validators_max is 0");
        expect(self.subjects_max > 0, "subjects_max is 0");
        expect(u32::try_from(self.subjects_max).is_ok(), "subjects_max is over 4294967295");
        expect(self.subject_keys_cached_max > 1, "subject_keys_cached_max is below 2");
        expect(
            self.master_key_places().are_unambiguous(),
            "more than one of subject_master_key_file, subject_master_key_variable and subject_master_key_command is said",
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
        for (name, value) in [
            ("groups_max", self.groups_max),
            ("group_consumers_max", self.group_consumers_max),
            ("group_dead_letters_max", self.group_dead_letters_max),
            ("group_receipts_max", self.group_receipts_max),
            ("group_read_ahead_events", self.group_read_ahead_events),
        ] {
            expect(value > 0, &format!("{name} is 0"));
        }
        for (name, value) in [
            ("group_in_flight_max", self.group_in_flight_max),
            ("group_deliveries_max", self.group_deliveries_max),
            ("group_attempts_max", self.group_attempts_max),
        ] {
            expect(value > 0, &format!("{name} is 0"));
        }
        expect(self.group_snapshot_records > 0, "group_snapshot_records is 0");
        expect(
            u64::from(self.group_in_flight_max)
                <= u64::try_from(self.group_window_events_max).unwrap_or(u64::MAX),
            "group_in_flight_max is over group_window_events_max",
        );
        expect(
            self.group_window_events_max.max(self.group_dead_letters_max)
                <= GROUP_RECORD_EVENTS_MAX,
            &format!(
                "group_window_events_max or group_dead_letters_max is over {GROUP_RECORD_EVENTS_MAX}: what happens to \
                 them must fit in one record of the log"
            ),
        );
        expect(self.submit_ms_max > 0, "submit_ms_max is 0");
        expect(self.queue_commands_max > 0, "queue_commands_max is 0");
        expect(self.group_commands_max > 0, "group_commands_max is 0");
        expect(self.session_appends_max > 0, "session_appends_max is 0");
        mistakes.extend(self.grpc.mistakes().into_iter().map(|mistake| format!("grpc.{mistake}")));
        mistakes
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms_max)
    }

    /// Where the key is that wraps the keys of data subjects, which are in `directory`.
    pub(crate) fn master_key(&self, directory: &Path) -> MasterKeySource {
        self.master_key_places().source(directory)
    }

    fn master_key_places(&self) -> MasterKeyPlaces<'_> {
        MasterKeyPlaces {
            file: self.subject_master_key_file.as_deref(),
            variable: self.subject_master_key_variable.as_deref(),
            command: &self.subject_master_key_command,
            patience: Duration::from_millis(self.subject_master_key_command_ms_max),
        }
    }

    pub(crate) fn definition_limits(&self) -> DefinitionLimits {
        DefinitionLimits { nodes_max: self.schema_nodes_max, steps_max: self.upcast_steps_max }
    }

    pub(crate) fn store_limits(&self) -> core::Limits {
        core::Limits {
            append_streams_max: self.append_streams_max,
            append_events_max: self.batch_events_max,
        }
    }

    pub(crate) fn group_limits(&self) -> core::group::Limits {
        core::group::Limits {
            groups_max: self.groups_max,
            consumers_max: self.group_consumers_max,
            window_max: self.group_window_events_max,
            dead_letters_max: self.group_dead_letters_max,
        }
    }

    pub(crate) fn group_engine_limits(&self) -> Limits {
        self.engine_limits()
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
            subject_master_key_variable: Some("KEY".to_owned()),
            subject_master_key_command: vec!["kms".to_owned()],
            ..Config::default()
        };
        assert_eq!(config.mistakes().len(), 3);
    }
}
