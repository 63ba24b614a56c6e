//! `[[gateway.upstream]]`, `[[gateway.issuer]]` and `[[gateway.api_key]]`.

use std::path::PathBuf;

use serde::Deserialize;

/// Where requests can be sent, and how carefully.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamSettings {
    pub(crate) name: String,
    pub(crate) service: Option<String>,
    #[serde(default)]
    pub(crate) addresses: Vec<AddressSettings>,
    pub(crate) dns: Option<String>,
    pub(crate) dns_refresh_ms: Option<u64>,
    pub(crate) in_flight_max: Option<usize>,
    pub(crate) slow_start_ms: Option<u64>,
    pub(crate) spill_over_in_flight: Option<u32>,
    pub(crate) ejection_failures: Option<u32>,
    pub(crate) ejection_ms: Option<u64>,
    pub(crate) ejection_ms_max: Option<u64>,
    pub(crate) ejected_percent_max: Option<u32>,
    pub(crate) breaker_failure_percent: Option<u32>,
    pub(crate) breaker_requests_min: Option<u32>,
    pub(crate) breaker_window_ms: Option<u64>,
    pub(crate) breaker_open_ms: Option<u64>,
    pub(crate) retry_percent: Option<u32>,
    #[serde(default)]
    pub(crate) protocol: ProtocolSettings,
    pub(crate) tls: Option<UpstreamTlsSettings>,
}

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProtocolSettings {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, without being asked first: what gRPC takes.
    Http2,
}

/// TLS to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamTlsSettings {
    pub(crate) ca_file: PathBuf,
    pub(crate) server_name: Option<String>,
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
}

/// What clients are shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateSettings {
    pub(crate) names: Vec<String>,
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthSettings {
    /// They are not asked.
    #[default]
    None,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// `"10.0.0.7:8080"`, or with the zone where it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum AddressSettings {
    Plain(String),
    InZone(AddressInZone),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressInZone {
    pub(crate) address: String,
    pub(crate) zone: String,
}

/// Another authorization server whose tokens routes may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerSettings {
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) jwks_file: std::path::PathBuf,
}

/// A key that stands for a token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeySettings {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) client: Option<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    pub(crate) expires: Option<String>,
}
