//! `[[gateway.route]]`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Which requests, where to, and under which conditions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteSettings {
    pub(crate) name: String,
    pub(crate) host: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) prefix: Option<String>,
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) upstream: Option<String>,
    #[serde(default)]
    pub(crate) split: Vec<Share>,
    pub(crate) mirror: Option<MirrorSettings>,
    pub(crate) rewrite: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) body_bytes_max: Option<u64>,
    #[serde(default)]
    pub(crate) auth: AuthSettings,
    pub(crate) audience: Option<String>,
    #[serde(default)]
    pub(crate) issuers: Vec<String>,
    #[serde(default)]
    pub(crate) api_keys: Vec<String>,
    #[serde(default)]
    pub(crate) algorithms: Vec<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) authorization_details: Vec<DetailSettings>,
    #[serde(default)]
    pub(crate) acr_values: Vec<String>,
    pub(crate) max_age_seconds: Option<u64>,
    #[serde(default)]
    pub(crate) identity: IdentitySettings,
    pub(crate) retry: Option<RetrySettings>,
    #[serde(default)]
    pub(crate) priority: PrioritySettings,
    #[serde(default)]
    pub(crate) limits: Vec<LimitSettings>,
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    pub(crate) cors: Option<CorsSettings>,
    #[serde(default)]
    pub(crate) idempotency: IdempotencySettings,
    pub(crate) openapi_file: Option<std::path::PathBuf>,
    #[serde(default)]
    pub(crate) server_timing: bool,
}

/// Who sees to it that a request is done once for each Idempotency-Key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdempotencySettings {
    /// The upstream, where it does.
    #[default]
    Upstream,
    /// The gateway.
    Gateway,
}

/// An upstream and its share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    pub(crate) upstream: String,
    pub(crate) weight: u32,
}

/// A copy of some requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MirrorSettings {
    pub(crate) upstream: String,
    pub(crate) percent: u32,
}

/// What a request must show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthSettings {
    /// An access token.
    #[default]
    Token,
    /// Nothing.
    None,
}

/// An authorization detail (RFC 9396) that a token must carry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetailSettings {
    #[serde(rename = "type")]
    pub(crate) detail_type: String,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, String>,
}

/// What an upstream is told of the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentitySettings {
    /// Headers: client, subject, scope.
    #[default]
    Headers,
    /// A short-lived token of the gateway's own, too.
    Token,
    /// Nothing but the caller's token.
    None,
}

/// When a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetrySettings {
    pub(crate) tries_max: Option<u32>,
    pub(crate) try_timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) statuses: Vec<u16>,
}

/// Who is refused first when there is too much to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PrioritySettings {
    Low,
    #[default]
    Normal,
    High,
}

/// How much is let through: exactly one of `requests` with `per`, `quota` with `per`, and `concurrent`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSettings {
    pub(crate) by: LimitBy,
    pub(crate) requests: Option<u32>,
    pub(crate) burst: Option<u32>,
    pub(crate) quota: Option<u64>,
    pub(crate) concurrent: Option<u32>,
    pub(crate) per: Option<PeriodSettings>,
}

/// Who is counted on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitBy {
    /// Each client of the authorization server.
    Client,
    /// Each address.
    Address,
    /// Nobody: all requests of the route together.
    Route,
}

/// A period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodSettings {
    Second,
    Minute,
    Hour,
    Day,
}

impl PeriodSettings {
    pub(crate) const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        })
    }
}

/// Which pages of other origins may call (the Fetch standard's CORS protocol).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorsSettings {
    pub(crate) origins: Vec<String>,
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    #[serde(default)]
    pub(crate) exposed_headers: Vec<String>,
    #[serde(default)]
    pub(crate) credentials: bool,
    pub(crate) max_age_seconds: Option<u32>,
}
