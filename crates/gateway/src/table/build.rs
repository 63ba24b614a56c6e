//! From settings to a table. All mistakes are collected; a table is only made where there is none.

mod access;
mod api_key;
mod cors;
mod limit;
mod nowhere;
mod route;
mod upstream;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use lombard_gateway_core::{Priority, RouteIndex, Rule};
use lombard_token::Verifier;

pub(crate) use nowhere::Nowhere;

pub(super) use access::PLATFORM;

use super::{Access, Identity, Network, Policy, Retry, Table, kept::Kept};
use crate::{
    Config,
    api_key::ApiKey,
    cluster::{Address, Cluster, ClusterRules, Source, Transport},
    metrics::RouteCounters,
    settings::{
        self, ApiKeySettings, CertificateSettings, IssuerSettings, RouteSettings, UpstreamSettings,
    },
    tls,
};

/// What a table refers to beyond its configuration.
pub(crate) trait Surroundings {
    /// A role of the platform, by name.
    fn role(&self, name: &str) -> Option<Arc<Cluster>>;
    /// An upstream with these settings: one that is in use already, or a new one.
    fn cluster(
        &self,
        name: &str,
        source: Source,
        rules: ClusterRules,
        transport: Transport,
        fixed: &[Address],
    ) -> Arc<Cluster>;
    /// Verifies tokens of the platform, or of another issuer, for this audience.
    fn verifier(&self, issuer: Option<&IssuerSettings>, audience: &str)
    -> Result<Verifier, String>;
    /// The platform's public URL.
    fn issuer(&self) -> &str;
    /// Counts the requests of a route.
    fn counters(&self, route: &str) -> RouteCounters;
}

const ROLES: [&str; 6] = ["ledger", "query", "registry", "auth", "eventstore", "console"];
/// What the gateway answers itself.
const OWN_PREFIXES: [&str; 4] = ["/livez", "/readyz", "/metrics", "/v1/gateway"];
/// Most routes.
const ROUTES_MAX: usize = 100_000;

/// Everything that is wrong with the upstreams, routes and issuers of a configuration.
pub(crate) fn mistakes(config: &Config) -> Vec<String> {
    build(Arc::new(config.clone()), &Nowhere, None).err().unwrap_or_default()
}

/// Makes the table of a configuration, or says everything that is wrong with it. `before`: the table in use, whose routes are
/// kept where nothing about them has changed.
pub(crate) fn build(
    whole: Arc<Config>,
    surroundings: &impl Surroundings,
    before: Option<&Table>,
) -> Result<Table, Vec<String>> {
    let config = &*whole;
    let mut mistakes = Vec::new();
    let upstreams: Vec<UpstreamSettings> =
        settings::read("upstream", &config.upstream, &mut mistakes);
    let issuers: Vec<IssuerSettings> = settings::read("issuer", &config.issuer, &mut mistakes);
    let api_keys: Vec<ApiKeySettings> = settings::read("api_key", &config.api_key, &mut mistakes);
    let mut builder = Builder {
        config,
        surroundings,
        clusters: HashMap::new(),
        known: upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
        issuers: issuers.into_iter().map(|issuer| (issuer.name.clone(), issuer)).collect(),
        mistakes,
        place: String::new(),
        api_keys: HashMap::new(),
    };
    for api_key in &api_keys {
        builder.api_key(api_key);
    }
    for upstream in &upstreams {
        builder.upstream(upstream);
    }
    let (rules, policies) = builder.routes(before);
    builder.place = "trusted_proxies".to_owned();
    let trusted_proxies = builder.networks(&config.trusted_proxies);
    let fallback = Arc::new(builder.fallback());
    let tls = builder.tls();
    let Builder { clusters, mut mistakes, .. } = builder;
    let index = RouteIndex::new(rules).unwrap_or_else(|too_many| {
        for number in too_many {
            let name = policies.get(number).map(|policy| &*policy.name).unwrap_or_default();
            let count = RouteIndex::ALIKE_MAX;
            mistakes.push(format!("route {name}: more than {count} have the same host and path"));
        }
        RouteIndex::default()
    });
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let numbered = policies.iter().enumerate();
    let limits = numbered
        .flat_map(|(number, policy)| {
            policy.limits.iter().enumerate().map(move |limit| (number, limit))
        })
        .map(|(number, (place, limit))| (limit.id, (number, place)))
        .collect();
    let (exposes_services, adds_security_headers) =
        (config.expose_services, config.security_headers);
    Ok(Table {
        config: whole,
        limits,
        index,
        policies,
        fallback,
        clusters,
        trusted_proxies,
        tls,
        exposes_services,
        adds_security_headers,
    })
}

struct Builder<'a, S> {
    config: &'a Config,
    surroundings: &'a S,
    clusters: HashMap<Box<str>, Arc<Cluster>>,
    known: BTreeSet<String>,
    issuers: HashMap<String, IssuerSettings>,
    /// Those without mistakes; `None` for the others.
    api_keys: HashMap<String, Option<Arc<ApiKey>>>,
    mistakes: Vec<String>,
    /// What is read right now, for the mistakes.
    place: String,
}

impl<S: Surroundings> Builder<'_, S> {
    fn mistake(&mut self, text: impl std::fmt::Display) {
        self.mistakes.push(format!("{}: {text}", self.place));
    }

    /// The value, or a mistake about a key.
    fn expect<T, E: std::fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.mistake(format_args!("{key}: {error}"))).ok()
    }

    fn check(&mut self, is_right: bool, text: &str) {
        if !is_right {
            self.mistake(text);
        }
    }

    /// The routes of the configuration. As many as it has, where there are no mistakes.
    fn routes(&mut self, before: Option<&Table>) -> (Vec<Arc<Rule>>, Vec<Arc<Policy>>) {
        let entries = &self.config.route;
        if entries.len() > ROUTES_MAX {
            self.mistakes.push(format!("route: there are more than {ROUTES_MAX}"));
        }
        let kept = before.and_then(|before| Kept::of(before, self.config));
        let mut names = HashSet::with_capacity(entries.len());
        let (mut rules, mut policies) =
            (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for (index, entry) in entries.iter().enumerate() {
            let name = entry.get("name").and_then(serde_json::Value::as_str);
            let is_new = name.is_none_or(|name| names.insert(name));
            let same = kept.as_ref().and_then(|kept| kept.find(index, name?, entry));
            let made = match same.filter(|(_, policy)| self.has_targets_of(policy)) {
                Some(same) => Some(same),
                None => self.read_route(index, entry),
            };
            if !is_new {
                self.place = format!("route {}", name.unwrap_or_default());
                self.mistake("there is another one with this name");
            }
            if let Some((rule, policy)) = made {
                rules.push(rule);
                policies.push(policy);
            }
        }
        (rules, policies)
    }

    fn read_route(
        &mut self,
        index: usize,
        entry: &serde_json::Value,
    ) -> Option<(Arc<Rule>, Arc<Policy>)> {
        match settings::read_one::<RouteSettings>("route", index, entry) {
            Ok(route) => {
                self.place = format!("route {}", route.name);
                let (rule, policy) = self.route(&route)?;
                Some((Arc::new(rule), Arc::new(policy)))
            }
            Err(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }

    /// Whether a route of the table before leads to the upstreams of this one.
    fn has_targets_of(&mut self, policy: &Policy) -> bool {
        let mirror = policy.mirror.iter().map(|mirror| &mirror.target);
        policy.targets.iter().chain(mirror).all(|target| {
            self.find_target(&target.name).is_some_and(|now| Arc::ptr_eq(&now, target))
        })
    }

    fn networks(&mut self, texts: &[String]) -> Vec<Network> {
        let mut networks = Vec::new();
        for text in texts {
            match Network::parse(text) {
                Some(network) => networks.push(network),
                None => self.mistake(format_args!("{text} is not a network such as 10.0.0.0/8")),
            }
        }
        networks
    }

    fn tls(&mut self) -> Option<Arc<rustls::ServerConfig>> {
        let mut mistakes = Vec::new();
        let certificates: Vec<CertificateSettings> =
            settings::read("certificate", &self.config.certificate, &mut mistakes);
        let is_used = self.config.tls_listen.is_some() || !self.config.certificate.is_empty();
        if mistakes.is_empty() && is_used {
            let ca_file = self.config.client_ca_file.as_deref();
            match tls::server(&certificates, self.config.client_auth, ca_file) {
                Ok(config) => return Some(config),
                Err(mut more) => mistakes.append(&mut more),
            }
        }
        self.mistakes.append(&mut mistakes);
        None
    }

    fn fallback(&self) -> Policy {
        Policy {
            name: "".into(),
            targets: Vec::new(),
            split: None,
            mirror: None,
            rewrite: None,
            timeout: self.config.response_timeout(),
            body_bytes_max: self.config.request_body_bytes_max,
            access: Access::ByPath,
            identity: Identity::None,
            retry: Retry { tries_max: 3, try_timeout: None, statuses: Vec::new() },
            priority: Priority::High,
            limits: Vec::new(),
            allow: Vec::new(),
            cors: None,
            keeps_idempotency: false,
            contract: None,
            says_timing: false,
            counters: RouteCounters::default(),
        }
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests;
