//! The authorization server's limits, each with its unit.

use std::{collections::BTreeMap, iter, path::PathBuf, time::Duration};

use lombard_auth_core::{Client, Lives, Telling, signing_keys::Schedule};
use lombard_engine::{Limits, SnapshotPolicy};
use lombard_master_key::MasterKeyPlaces;
use lombard_token::{Algorithm, DetailType, Payment, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::{mtls::MtlsConfig, throttle::ThrottleLimits};

/// How the authorization server is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long an access token is good.
    pub access_token_seconds: u64,
    /// Longest form that the token endpoint reads.
    pub form_bytes_max: usize,
    /// Longest body of an administrative request.
    pub body_bytes_max: usize,
    /// Clients there may be.
    pub clients_max: usize,
    /// Items of a page, at most.
    pub page_items_max: usize,
    /// Assertions remembered against replay; when it is full, assertions are refused for a moment.
    pub assertions_max: usize,
    /// Revocations that are kept until their tokens have expired; when it is full, more are refused.
    pub revocations_max: usize,
    /// Verifiers that may wait for revocations; more are answered at once.
    pub revocation_waiters_max: usize,
    /// Persons who may log in.
    pub users_max: usize,
    /// Groups of persons.
    pub groups_max: usize,
    /// Fewest characters of a password.
    pub password_characters_min: usize,
    /// Longest password, in bytes.
    pub password_bytes_max: usize,
    /// Memory that hashing one password takes, in KiB (Argon2id `m`).
    pub password_memory_kib: u32,
    /// How often hashing a password goes over that memory (Argon2id `t`).
    pub password_passes: u32,
    /// Passwords that are hashed at once.
    pub password_hashes_max: usize,
    /// Passwords that may wait for it; more are refused for a moment.
    pub password_queue_max: usize,
    /// How long a login lasts.
    pub session_seconds: u64,
    /// Logins that last.
    pub sessions_max: usize,
    /// Logins of one person that last; with more, the oldest ends.
    pub sessions_per_user_max: usize,
    /// Failed logins of one account, from browsers that are not known, and of one known browser,
    pub login_failures_per_account_max: u32,
    /// and from one address,
    pub login_failures_per_address_max: u32,
    /// that are let pass in this time.
    pub login_failure_seconds: u64,
    /// Wrong codes of one person's second factor, from browsers that are not known, and from one known browser, that are let
    /// pass in this time.
    pub second_factor_failures_max: u32,
    /// Accounts, browsers and addresses whose failed logins are counted; when it is full, nobody may try.
    pub login_failures_max: usize,
    /// Recovery codes that come with a second factor.
    pub recovery_codes: usize,
    /// Passkeys of one person.
    pub passkeys_per_user_max: usize,
    /// Whether a person who has no second factor or passkey sets one up when a client asks for it; else only
    /// administrators give second factors.
    pub second_factor_enrolment: bool,
    /// How long a client is told again and again that a person has left, until it has heard.
    pub backchannel_logout_seconds: u64,
    /// Logouts that wait until their clients have heard; of more, clients are not told.
    pub backchannel_logouts_max: usize,
    /// How long a client may take to hear of a logout.
    pub backchannel_timeout_ms: u64,
    /// Certificates (PEM) of the authorities that vouch for clients' servers; without, clients hear of logouts on loopback
    /// addresses only.
    pub backchannel_ca_file: Option<PathBuf>,
    /// Authorization requests that are under way; more are refused for a moment.
    pub authorization_requests_max: usize,
    /// How long a pushed request waits for its browser.
    pub pushed_request_seconds: u64,
    /// How long a person has to log in and decide.
    pub authorization_request_seconds: u64,
    /// How long an authorization code is good.
    pub authorization_code_seconds: u64,
    /// Devices that wait for a person; more are refused for a moment.
    pub device_requests_max: usize,
    /// How long a device waits.
    pub device_code_seconds: u64,
    /// How long it waits between two questions.
    pub device_poll_seconds: u64,
    /// How long a client may go on while the person is away.
    pub refresh_token_seconds: u64,
    /// How long a refresh token that was used gets the same successor again,
    pub refresh_grace_seconds: u64,
    /// and that of a public client, which anybody could use who has it.
    pub refresh_grace_public_seconds: u64,
    /// What persons have allowed.
    pub grants_max: usize,
    /// Opaque access tokens that have not expired; more are refused for a moment.
    pub opaque_tokens_max: usize,
    /// What one person has allowed.
    pub grants_per_user_max: usize,
    /// How far a client's clock may differ from ours.
    pub clock_skew_seconds: u64,
    /// Whether each token that is issued is in the audit; everything else always is, and so is what was refused.
    pub audit_issued_tokens: bool,
    /// Refusals that have an entry each; of more in a second the audit says how many.
    pub audit_refusals_per_second_max: u32,
    /// Records of the log that are looked at for one page of the audit.
    pub audit_examined_max: usize,
    /// How long a signing key is published before it is used, so that every verifier knows it by then. Key sets may be
    /// cached for half of that, but no longer than 5 minutes.
    pub signing_key_prepublish_seconds: u64,
    /// How long a signing key is used before the next one takes over.
    pub signing_key_active_seconds: u64,
    /// What access tokens for a resource are signed with, whatever their client says: `ES256`, `EdDSA` or `PS256` by the resource's path,
    /// such as `/v1/ledger`. Without: as the client says, or ES256.
    pub access_token_algorithms: BTreeMap<String, String>,
    /// The file of the 32 bytes that seal the private signing keys. Where no place is said for them, they are in a file
    /// beside those keys, which is made at the first start.
    pub signing_master_key_file: Option<PathBuf>,
    /// The environment variable that has them instead.
    pub signing_master_key_variable: Option<String>,
    /// The program, with its arguments, that prints them instead, such as that of a KMS.
    pub signing_master_key_command: Vec<String>,
    /// How long that program may take.
    pub signing_master_key_command_ms_max: u64,
    /// Types of authorization details that the platform's services understand, beside `payment`, which the ledger does.
    pub authorization_details_types: Vec<String>,
    /// The widest scope of clients that register themselves with an initial access token (RFC 7591); nobody can where it is empty.
    pub registration_scope: String,
    /// Where clients show certificates.
    pub mtls: MtlsConfig,
    /// How long a write waits before its outcome is reported as unknown.
    pub submit_ms_max: u64,
    /// A snapshot of the state is made after this many records,
    pub snapshot_records: u64,
    /// or after this many bytes of records, whichever comes first.
    pub snapshot_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            access_token_seconds: 300,
            form_bytes_max: 16 << 10,
            body_bytes_max: 16 << 10,
            clients_max: 100_000,
            page_items_max: 1000,
            assertions_max: 100_000,
            revocations_max: 1_000_000,
            revocation_waiters_max: 1000,
            users_max: 1_000_000,
            groups_max: 1000,
            password_characters_min: 12,
            password_bytes_max: 256,
            password_memory_kib: 19 << 10,
            password_passes: 2,
            password_hashes_max: 1,
            password_queue_max: 64,
            session_seconds: 8 * 3600,
            sessions_max: 1_000_000,
            sessions_per_user_max: 20,
            login_failures_per_account_max: 10,
            login_failures_per_address_max: 100,
            login_failure_seconds: 900,
            second_factor_failures_max: 5,
            login_failures_max: 100_000,
            recovery_codes: 10,
            passkeys_per_user_max: 10,
            backchannel_logout_seconds: 3600,
            backchannel_logouts_max: 100_000,
            backchannel_timeout_ms: 5000,
            backchannel_ca_file: None,
            second_factor_enrolment: true,
            authorization_requests_max: 100_000,
            pushed_request_seconds: 90,
            authorization_request_seconds: 600,
            authorization_code_seconds: 60,
            device_requests_max: 10_000,
            device_code_seconds: 600,
            device_poll_seconds: 5,
            refresh_token_seconds: 30 * 24 * 3600,
            refresh_grace_seconds: 30,
            refresh_grace_public_seconds: 5,
            grants_max: 2_000_000,
            opaque_tokens_max: 1_000_000,
            grants_per_user_max: 1000,
            clock_skew_seconds: 10,
            audit_issued_tokens: true,
            audit_refusals_per_second_max: 200,
            audit_examined_max: 20_000,
            signing_key_prepublish_seconds: 600,
            signing_key_active_seconds: 30 * 24 * 3600,
            access_token_algorithms: BTreeMap::new(),
            signing_master_key_file: None,
            signing_master_key_variable: None,
            signing_master_key_command: Vec::new(),
            signing_master_key_command_ms_max: 30_000,
            authorization_details_types: Vec::new(),
            registration_scope: String::new(),
            mtls: MtlsConfig::default(),
            submit_ms_max: 10_000,
            snapshot_records: SnapshotPolicy::default().records,
            snapshot_bytes: SnapshotPolicy::default().bytes,
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
        let is_short = (30..=3600).contains(&self.access_token_seconds);
        expect(is_short, "access_token_seconds is not between 30 and 3600");
        expect(self.form_bytes_max >= 1024, "form_bytes_max is below 1024");
        expect(self.body_bytes_max >= 1024, "body_bytes_max is below 1024");
        expect(self.clients_max > 0, "clients_max is 0");
        expect(self.page_items_max > 0, "page_items_max is 0");
        expect(self.assertions_max > 0, "assertions_max is 0");
        expect(self.revocations_max > 0, "revocations_max is 0");
        expect(self.revocation_waiters_max > 0, "revocation_waiters_max is 0");
        expect(self.users_max > 0, "users_max is 0");
        expect(self.groups_max > 0, "groups_max is 0");
        expect(self.password_characters_min >= 8, "password_characters_min is below 8");
        let is_long = self.password_bytes_max >= self.password_characters_min.max(64);
        expect(is_long, "password_bytes_max is below 64, or below password_characters_min");
        let has_memory = (64..=4 << 20).contains(&self.password_memory_kib);
        expect(has_memory, "password_memory_kib is not between 64 and 4194304");
        expect((1..=100).contains(&self.password_passes), "password_passes is not 1 to 100");
        expect(self.password_hashes_max > 0, "password_hashes_max is 0");
        expect(self.password_queue_max > 0, "password_queue_max is 0");
        let limits = [
            (self.passkeys_per_user_max, "passkeys_per_user_max is 0"),
            (self.backchannel_logouts_max, "backchannel_logouts_max is 0"),
            (self.sessions_max, "sessions_max is 0"),
            (self.sessions_per_user_max, "sessions_per_user_max is 0"),
            (self.login_failures_max, "login_failures_max is 0"),
            (self.authorization_requests_max, "authorization_requests_max is 0"),
            (self.audit_examined_max, "audit_examined_max is 0"),
            (self.device_requests_max, "device_requests_max is 0"),
            (self.grants_max, "grants_max is 0"),
            (self.opaque_tokens_max, "opaque_tokens_max is 0"),
            (self.grants_per_user_max, "grants_per_user_max is 0"),
        ];
        limits.into_iter().for_each(|(limit, mistake)| expect(limit > 0, mistake));
        let failures_max =
            self.login_failures_per_account_max.min(self.login_failures_per_address_max);
        expect(
            failures_max > 0,
            "login_failures_per_account_max or login_failures_per_address_max is 0",
        );
        let has_tries = (1..=20).contains(&self.second_factor_failures_max);
        expect(has_tries, "second_factor_failures_max is not 1 to 20");
        expect((1..=50).contains(&self.recovery_codes), "recovery_codes is not 1 to 50");
        let week = 7 * 24 * 3600;
        let times = [
            (self.session_seconds, 60, 30 * 24 * 3600, "session_seconds is not 60 to 2592000"),
            (self.login_failure_seconds, 10, week, "login_failure_seconds is not 10 to 604800"),
            // FAPI 2.0 Security Profile section 5.3.2.2: less than ten minutes, and at most one.
            (self.pushed_request_seconds, 5, 599, "pushed_request_seconds is not 5 to 599"),
            (
                self.authorization_request_seconds,
                30,
                3600,
                "authorization_request_seconds is not 30 to 3600",
            ),
            (self.authorization_code_seconds, 5, 60, "authorization_code_seconds is not 5 to 60"),
            (self.device_code_seconds, 60, 1800, "device_code_seconds is not 60 to 1800"),
            (self.device_poll_seconds, 1, 60, "device_poll_seconds is not 1 to 60"),
            (
                self.refresh_token_seconds,
                60,
                366 * 24 * 3600,
                "refresh_token_seconds is not 60 to 31622400",
            ),
            // The platform's own verifiers fetch the keys every minute.
            (
                self.signing_key_prepublish_seconds,
                120,
                week,
                "signing_key_prepublish_seconds is not 120 to 604800",
            ),
            (
                self.signing_key_active_seconds,
                3600,
                366 * 24 * 3600,
                "signing_key_active_seconds is not 3600 to 31622400",
            ),
            (
                self.backchannel_logout_seconds,
                10,
                week,
                "backchannel_logout_seconds is not 10 to 604800",
            ),
            (
                self.backchannel_timeout_ms,
                100,
                60_000,
                "backchannel_timeout_ms is not 100 to 60000",
            ),
            (self.refresh_grace_seconds, 0, 300, "refresh_grace_seconds is over 300"),
            (self.refresh_grace_public_seconds, 0, 10, "refresh_grace_public_seconds is over 10"),
        ];
        for (seconds, min, max, mistake) in times {
            expect((min..=max).contains(&seconds), mistake);
        }
        expect(self.audit_refusals_per_second_max > 0, "audit_refusals_per_second_max is 0");
        expect(
            self.signing_master_key().are_unambiguous(),
            "more than one of signing_master_key_file, signing_master_key_variable and signing_master_key_command is said",
        );
        expect(self.clock_skew_seconds <= 60, "clock_skew_seconds is over 60");
        for name in &self.authorization_details_types {
            let is_type = name.parse::<DetailType>().is_ok() && name != Payment::TYPE;
            expect(is_type, "authorization_details_types has a name that is none, or payment");
        }
        let scope = &self.registration_scope;
        expect(
            scope.is_empty() || scope.parse::<ScopeSet>().is_ok(),
            "registration_scope is no scope",
        );
        for (resource, name) in &self.access_token_algorithms {
            expect(
                resource.starts_with('/') && Algorithm::from_name(name).is_some(),
                "access_token_algorithms is not of resources' paths, and for each one of ES256, EdDSA and PS256",
            );
        }
        self.mtls.mistakes().into_iter().for_each(|mistake| expect(false, mistake));
        expect(self.submit_ms_max > 0, "submit_ms_max is 0");
        expect(self.snapshot_records > 0, "snapshot_records is 0");
        expect(self.snapshot_bytes > 0, "snapshot_bytes is 0");
        mistakes
    }

    /// All types of authorization details that can be asked for.
    pub(crate) fn details_types(&self) -> impl Iterator<Item = &str> {
        iter::once(Payment::TYPE).chain(self.authorization_details_types.iter().map(String::as_str))
    }

    /// What a client's access tokens for the resource at this path are signed with.
    pub(crate) fn access_token_algorithm(&self, client: &Client, resource: &str) -> Algorithm {
        let of_resource = self.access_token_algorithms.get(resource);
        let of_resource = of_resource.and_then(|name| Algorithm::from_name(name));
        of_resource.or(client.options.access_token_algorithm).unwrap_or_default()
    }

    /// All that are said for resources.
    pub(crate) fn algorithms_of_resources(&self) -> impl Iterator<Item = Algorithm> {
        self.access_token_algorithms.values().filter_map(|name| Algorithm::from_name(name))
    }

    pub(crate) fn access_token_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds)
    }

    pub(crate) fn throttle_limits(&self) -> ThrottleLimits {
        ThrottleLimits {
            per_account: self.login_failures_per_account_max,
            per_address: self.login_failures_per_address_max,
            per_second_factor: self.second_factor_failures_max,
            window: Duration::from_secs(self.login_failure_seconds),
            buckets_max: self.login_failures_max,
        }
    }

    pub(crate) fn session_life(&self) -> Duration {
        Duration::from_secs(self.session_seconds)
    }

    pub(crate) fn pushed_request_life(&self) -> Duration {
        Duration::from_secs(self.pushed_request_seconds)
    }

    pub(crate) fn authorization_request_life(&self) -> Duration {
        Duration::from_secs(self.authorization_request_seconds)
    }

    pub(crate) fn code_life(&self) -> Duration {
        Duration::from_secs(self.authorization_code_seconds)
    }

    pub(crate) fn device_code_life(&self) -> Duration {
        Duration::from_secs(self.device_code_seconds)
    }

    pub(crate) fn device_poll_interval(&self) -> Duration {
        Duration::from_secs(self.device_poll_seconds)
    }

    pub(crate) fn refresh_token_life(&self) -> Duration {
        Duration::from_secs(self.refresh_token_seconds)
    }

    /// How long a refresh token of this client gets the same successor again.
    pub(crate) fn refresh_grace(&self, client: &Client) -> Duration {
        Duration::from_secs(if client.is_confidential() {
            self.refresh_grace_seconds
        } else {
            self.refresh_grace_public_seconds
        })
    }

    /// How long tokens live that a change may take back.
    pub(crate) fn lives(&self) -> Lives {
        let telling = Telling {
            patience: Duration::from_secs(self.backchannel_logout_seconds),
            logouts_max: self.backchannel_logouts_max,
        };
        Lives { access_token: self.access_token_life() + self.revocation_margin(), telling }
    }

    /// A key stays published until no access token of it is good, and no session goes on whose ID tokens, which clients
    /// show at the logout, it signed.
    pub(crate) fn key_schedule(&self) -> Schedule {
        Schedule {
            prepublish: Duration::from_secs(self.signing_key_prepublish_seconds),
            active: Duration::from_secs(self.signing_key_active_seconds),
            retire: self.lives().access_token.max(self.session_life()),
        }
    }

    /// How long verifiers may keep a key set: a new key is published longer than this before it is used.
    pub(crate) fn key_set_seconds(&self) -> u64 {
        (self.signing_key_prepublish_seconds / 2).min(300)
    }

    pub(crate) fn signing_master_key(&self) -> MasterKeyPlaces<'_> {
        MasterKeyPlaces {
            file: self.signing_master_key_file.as_deref(),
            variable: self.signing_master_key_variable.as_deref(),
            command: &self.signing_master_key_command,
            patience: Duration::from_millis(self.signing_master_key_command_ms_max),
        }
    }

    pub(crate) fn clock_skew(&self) -> Duration {
        Duration::from_secs(self.clock_skew_seconds)
    }

    /// How long a revocation is kept beyond the life of its tokens: verifiers' clocks may be behind by 30 s.
    pub(crate) fn revocation_margin(&self) -> Duration {
        Duration::from_secs(60)
    }

    pub(crate) fn submit_timeout(&self) -> Duration {
        Duration::from_millis(self.submit_ms_max)
    }

    pub(crate) const fn snapshot_policy(&self) -> SnapshotPolicy {
        SnapshotPolicy { records: self.snapshot_records, bytes: self.snapshot_bytes }
    }

    pub(crate) fn engine_limits(&self) -> Limits {
        Limits {
            record_bytes_max: 64 << 10,
            submit_timeout: self.submit_timeout(),
            ..Limits::default()
        }
    }
}
