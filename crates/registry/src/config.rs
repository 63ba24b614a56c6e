//! The registry's limits, each with its unit.

use std::time::Duration;

use lombard_engine::{Limits, SnapshotPolicy};
use lombard_registry_core::{self as core, AttributeLimits, Falls, LeasePolicy, ProbePolicy, Ttl};
use serde::{Deserialize, Serialize};

use crate::{ChecksConfig, DnsConfig, XdsConfig};

/// How the registry is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Services that may be registered at the same time.
    pub services_max: usize,
    /// Instances of one service.
    pub instances_max: usize,
    /// Tags of one instance; at most 1024.
    pub tags_max: usize,
    /// Bytes of all metadata keys and values of one instance together; at most 65536.
    pub metadata_bytes_max: usize,
    /// The shortest lease that may be asked for; at least 1.
    pub ttl_seconds_min: u64,
    /// The longest lease that may be asked for; at most 3600.
    pub ttl_seconds_max: u64,
    /// How much longer than its own time a lease lives, unconfirmed, after the registry was restarted.
    pub restart_grace_seconds: u64,
    /// When at least this share of a service's instances, in percent, and at least two, fall silent at once, they are kept
    /// as `unknown` for a while instead of being taken for dead; the same where streams break. 0 keeps none.
    pub preserve_percent: u8,
    /// So many times its own time a lease lives at most since it was last renewed, where it is kept like that; and so many
    /// times the failures it takes otherwise a checked instance is silent before it is critical.
    pub preserve_ttls: u32,
    /// How long an instance whose stream broke may take to come back.
    pub stream_grace_ms: u64,
    /// The longest that may be asked for an instance to stay after its lease has run out.
    pub deregister_after_seconds_max: u32,
    /// An instance that has become unable to serve so often within `flap_window_seconds` gets traffic only after it has
    /// been steady for `damping_seconds`; at most 16, and 0 for never.
    pub flaps_max: usize,
    /// See there.
    pub flap_window_seconds: u64,
    /// See there.
    pub damping_seconds: u64,
    /// How many of a service's instances, in percent, may be without traffic because the gateway says that they fail; never
    /// all that have some, and 0 for none. Each is tried again after `damping_seconds`.
    pub suspects_percent_max: u8,
    /// Instances that one request may say this of.
    pub suspicions_max: usize,
    /// Requests that may wait for a change, and streams that hold leases, at the same time.
    pub waiters_max: usize,
    /// How long a request waits for a change where it does not say.
    pub wait_seconds_default: u64,
    /// The longest wait that may be asked for.
    pub wait_seconds_max: u64,
    /// Changes that are kept at hand for `history`, of all services together: about 300 bytes each.
    pub history_max: usize,
    /// Changes of a service that one answer shows.
    pub history_page_max: usize,
    /// Longest body of a request.
    pub body_bytes_max: usize,
    /// How long a request waits for the read side to show what it needs to show.
    pub reach_ms_max: u64,
    /// How long a write waits before its outcome is reported as unknown.
    pub submit_ms_max: u64,
    /// Commands that may wait for the writer; one more is refused as overloaded.
    pub queue_commands_max: usize,
    /// Commands decided before their records are handed to the log together.
    pub group_commands_max: usize,
    /// A snapshot of the state is made after this many records,
    pub snapshot_records: u64,
    /// or after this many bytes of records, whichever comes first.
    pub snapshot_bytes: u64,
    /// What other protocols' ports permit.
    pub compatibility: Compatibility,
    /// How services are answered for by DNS.
    pub dns: DnsConfig,
    /// The checks that the registry makes itself.
    pub checks: ChecksConfig,
    /// What is pushed to clients of gRPC and to Envoy.
    pub xds: XdsConfig,
}

/// What the ports permit that speak the protocols of other registries: `[registry.compatibility]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Compatibility {
    /// Whether programs on this machine may read without a token.
    pub anonymous_reads: bool,
}

impl Default for Compatibility {
    fn default() -> Self {
        Self { anonymous_reads: true }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            services_max: 1000,
            instances_max: 1000,
            tags_max: 32,
            metadata_bytes_max: 4096,
            ttl_seconds_min: 1,
            ttl_seconds_max: 3600,
            restart_grace_seconds: 10,
            preserve_percent: 30,
            preserve_ttls: 3,
            stream_grace_ms: 500,
            deregister_after_seconds_max: 24 * 60 * 60,
            flaps_max: 5,
            flap_window_seconds: 60,
            damping_seconds: 30,
            suspects_percent_max: 50,
            suspicions_max: 100,
            waiters_max: 10_000,
            wait_seconds_default: 30,
            wait_seconds_max: 600,
            history_max: 10_000,
            history_page_max: 1000,
            body_bytes_max: 64 << 10,
            reach_ms_max: 2000,
            submit_ms_max: 10_000,
            queue_commands_max: 8192,
            group_commands_max: 1024,
            snapshot_records: SnapshotPolicy::default().records,
            snapshot_bytes: SnapshotPolicy::default().bytes,
            compatibility: Compatibility::default(),
            dns: DnsConfig::default(),
            checks: ChecksConfig::default(),
            xds: XdsConfig::default(),
        }
    }
}

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |is_right: bool, mistake: &str| {
            if !is_right {
                mistakes.push(mistake.to_owned());
            }
        };
        let most = AttributeLimits::MAX;
        expect(self.services_max > 0, "services_max is 0");
        expect(self.instances_max > 0, "instances_max is 0");
        expect(self.history_max > 0, "history_max is 0");
        expect(self.history_page_max > 0, "history_page_max is 0");
        expect(self.tags_max <= most.tags_max, "tags_max is over 1024");
        expect(
            self.metadata_bytes_max <= most.metadata_bytes_max,
            "metadata_bytes_max is over 65536",
        );
        expect(self.ttl_seconds_min >= u64::from(Ttl::MIN.seconds()), "ttl_seconds_min is below 1");
        expect(
            self.ttl_seconds_max <= u64::from(Ttl::MAX.seconds()),
            "ttl_seconds_max is over 3600",
        );
        expect(
            self.ttl_seconds_min <= self.ttl_seconds_max,
            "ttl_seconds_min is over ttl_seconds_max",
        );
        expect(
            self.wait_seconds_default <= self.wait_seconds_max,
            "wait_seconds_default is over wait_seconds_max",
        );
        expect(self.wait_seconds_max <= 600, "wait_seconds_max is over 600");
        expect(self.preserve_percent <= 100, "preserve_percent is over 100");
        expect((1..=10).contains(&self.preserve_ttls), "preserve_ttls is not 1 to 10");
        expect(self.flaps_max <= Falls::COUNT_MAX, "flaps_max is over 16");
        expect(self.suspects_percent_max <= 100, "suspects_percent_max is over 100");
        expect(self.suspicions_max > 0, "suspicions_max is 0");
        expect(self.body_bytes_max >= 1024, "body_bytes_max is below 1024");
        expect(self.reach_ms_max > 0, "reach_ms_max is 0");
        expect(self.submit_ms_max > 0, "submit_ms_max is 0");
        expect(self.queue_commands_max > 0, "queue_commands_max is 0");
        expect(self.group_commands_max > 0, "group_commands_max is 0");
        expect(self.snapshot_records > 0, "snapshot_records is 0");
        expect(self.snapshot_bytes > 0, "snapshot_bytes is 0");
        let others = self.dns.mistakes().into_iter().chain(self.checks.mistakes());
        mistakes.extend(others.map(ToOwned::to_owned));
        mistakes.extend(self.xds.mistakes());
        mistakes
    }

    pub(crate) fn reach(&self) -> Duration {
        Duration::from_millis(self.reach_ms_max)
    }

    pub(crate) const fn attribute_limits(&self) -> AttributeLimits {
        AttributeLimits { tags_max: self.tags_max, metadata_bytes_max: self.metadata_bytes_max }
    }

    pub(crate) const fn registration_limits(&self) -> core::Limits {
        core::Limits {
            services_max: self.services_max,
            instances_max: self.instances_max,
            flaps_max: self.flaps_max,
            flap_window: Duration::from_secs(self.flap_window_seconds),
            suspects_percent_max: self.suspects_percent_max as usize,
        }
    }

    pub(crate) const fn lease_policy(&self) -> LeasePolicy {
        LeasePolicy {
            restart_grace: Duration::from_secs(self.restart_grace_seconds),
            preserve_percent: self.preserve_percent,
            preserve_ttls: self.preserve_ttls,
            stream_grace: Duration::from_millis(self.stream_grace_ms),
            damping: Duration::from_secs(self.damping_seconds),
        }
    }

    pub(crate) const fn probe_policy(&self) -> ProbePolicy {
        ProbePolicy { preserve_percent: self.preserve_percent, preserve_times: self.preserve_ttls }
    }

    pub(crate) const fn snapshot_policy(&self) -> SnapshotPolicy {
        SnapshotPolicy { records: self.snapshot_records, bytes: self.snapshot_bytes }
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
            services_max: 0,
            instances_max: 0,
            tags_max: 1025,
            metadata_bytes_max: 65_537,
            ttl_seconds_min: 0,
            ttl_seconds_max: 3601,
            wait_seconds_default: 602,
            wait_seconds_max: 601,
            history_max: 0,
            history_page_max: 0,
            body_bytes_max: 1,
            reach_ms_max: 0,
            submit_ms_max: 0,
            queue_commands_max: 0,
            group_commands_max: 0,
            waiters_max: 0,
            snapshot_records: 0,
            snapshot_bytes: 0,
            preserve_percent: 101,
            preserve_ttls: 0,
            flaps_max: 17,
            suspects_percent_max: 101,
            suspicions_max: 0,
            ..Config::default()
        };
        assert_eq!(config.mistakes().len(), 22);
        let config = Config { ttl_seconds_min: 11, ttl_seconds_max: 10, ..Config::default() };
        assert_eq!(config.mistakes(), ["ttl_seconds_min is over ttl_seconds_max"]);
    }
}
