//! What is asked of a request on a route, and what is done with it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use lombard_gateway_core::{
    Captures, NormalPath, Priority, Quota, Rate, RequiredScope, Rewrite, Split,
};
use lombard_token::{Algorithm, AuthorizationDetail, Claims, DetailType, Verifier};
use lombard_types::Timestamp;

use crate::{
    api_key::ApiKey, cluster::Cluster, contract::Contract, metrics::RouteCounters,
    settings::LimitBy,
};

/// A route of the configuration, or the one for what has none.
#[derive(Debug)]
pub(crate) struct Policy {
    /// Its name in metrics and logs.
    pub(crate) name: Arc<str>,
    /// None where the path says where the request goes.
    pub(crate) targets: Vec<Arc<Cluster>>,
    /// Where there are several targets.
    pub(crate) split: Option<Split>,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) timeout: Duration,
    pub(crate) body_bytes_max: u64,
    pub(crate) access: Access,
    pub(crate) identity: Identity,
    pub(crate) retry: Retry,
    pub(crate) priority: Priority,
    pub(crate) limits: Vec<Limit>,
    pub(crate) allow: Vec<Network>,
    pub(crate) cors: Option<Cors>,
    /// Whether the gateway sees to it that a request is done once for each Idempotency-Key.
    pub(crate) keeps_idempotency: bool,
    /// What requests must fit.
    pub(crate) contract: Option<Contract>,
    pub(crate) says_timing: bool,
    pub(crate) counters: RouteCounters,
}

/// A copy of some requests.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) target: Arc<Cluster>,
    pub(crate) percent: u32,
}

/// What a request must show.
#[derive(Debug)]
pub(crate) enum Access {
    /// Nothing.
    Public,
    /// A token of one of these issuers.
    Token {
        verifiers: Vec<Verifier>,
        /// All that are safe where there is none.
        algorithms: Vec<Algorithm>,
        scopes: Vec<RequiredScope>,
        details: Vec<DetailRule>,
        login: RequiredLogin,
        /// Keys that are taken beside tokens.
        api_keys: Vec<Arc<ApiKey>>,
    },
    /// What the path says: a role or a service.
    ByPath,
}

/// How, and how lately, the person behind a token must have logged in (RFC 9470). A token with nobody behind it does not do
/// where anything is asked.
#[derive(Debug, Default)]
pub(crate) struct RequiredLogin {
    /// Any of these (`acr`); all where there is none.
    pub(crate) acr_values: Vec<Box<str>>,
    pub(crate) max_age: Option<Duration>,
}

impl RequiredLogin {
    pub(crate) fn is_met_by(&self, claims: &Claims, now: Timestamp) -> bool {
        if self.acr_values.is_empty() && self.max_age.is_none() {
            return true;
        }
        claims.grant.as_ref().is_some_and(|grant| {
            let is_known = self.acr_values.is_empty() || self.acr_values.contains(&grant.acr);
            let is_fresh = |max_age| grant.authenticated_at.plus(max_age) >= now;
            is_known && self.max_age.is_none_or(is_fresh)
        })
    }
}

/// An authorization detail that a token must carry.
#[derive(Debug)]
pub(crate) struct DetailRule {
    pub(crate) detail_type: DetailType,
    /// Members that must have this value, as text with parameters of the path.
    pub(crate) members: Vec<(Box<str>, RequiredText)>,
}

/// A text with parameters of the path, or the whole of one.
pub(crate) type RequiredText = lombard_gateway_core::PathText;

impl DetailRule {
    pub(crate) fn is_met_by(
        &self,
        claims: &Claims,
        path: &NormalPath,
        captures: &Captures,
    ) -> bool {
        claims.authorization_details.iter().any(|detail| {
            if detail.detail_type() != self.detail_type {
                return false;
            }
            let AuthorizationDetail::Opaque(detail) = detail else {
                return self.members.is_empty();
            };
            self.members.iter().all(|(name, wanted)| {
                let value = detail.get(name).and_then(serde_json::Value::as_str);
                value.is_some_and(|value| value == wanted.fill(path, captures))
            })
        })
    }
}

/// What an upstream is told of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Headers,
    Token,
    None,
}

/// When a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) tries_max: usize,
    /// How long one instance may take before another one is asked.
    pub(crate) try_timeout: Option<Duration>,
    pub(crate) statuses: Vec<u16>,
}

/// How much is let through.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Its name in `RateLimit` headers.
    pub(crate) name: Box<str>,
    pub(crate) by: LimitBy,
    pub(crate) kind: LimitKind,
    /// Told apart from all others, also over a reload where nothing about it changed.
    pub(crate) id: u64,
    /// The `RateLimit-Policy` header's item.
    pub(crate) header: Option<HeaderValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKind {
    Rate(Rate),
    Quota(Quota),
    Concurrent(u32),
}

/// Some addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(ipnet::IpNet);

impl Network {
    /// `10.0.0.0/8`, or one address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let single = || text.parse::<IpAddr>().ok().map(ipnet::IpNet::from);
        text.parse().ok().or_else(single).map(Self)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Which pages of other origins may call.
#[derive(Debug)]
pub(crate) struct Cors {
    /// None: all of them.
    pub(crate) origins: Option<Vec<Box<str>>>,
    pub(crate) methods: HeaderValue,
    pub(crate) headers: Option<HeaderValue>,
    pub(crate) exposed_headers: Option<HeaderValue>,
    pub(crate) has_credentials: bool,
    pub(crate) max_age: HeaderValue,
}
