//! From settings to a table. All mistakes are collected; a table is only made where there is none.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use http::HeaderValue;
use lombard_gateway_core::{
    End, HeaderRule, HostPattern, PathText, Pattern, Priority, Quota, Rate, RequiredScope, Rewrite,
    RouteIndex, Rule, Split,
};
use lombard_token::{Algorithm, Verifier};
use lombard_types::ServiceName;

use super::{
    Access, Cors, DetailRule, Identity, Limit, LimitKind, Mirror, Network, Policy, Retry, Table,
};
use crate::{
    Config,
    cluster::{Address, Cluster, ClusterRules, Protocol, Source, Transport},
    metrics::RouteCounters,
    settings::{
        self, AddressSettings, AuthSettings, CertificateSettings, CorsSettings,
        IdempotencySettings, IdentitySettings, IssuerSettings, LimitBy, LimitSettings,
        PeriodSettings, PrioritySettings, ProtocolSettings, RouteSettings, UpstreamSettings,
    },
    tls::{self, UpstreamTls},
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

const PLATFORM: &str = "platform";
const ROLES: [&str; 6] = ["ledger", "query", "registry", "auth", "eventstore", "console"];
/// What the gateway answers itself.
const OWN_PREFIXES: [&str; 4] = ["/livez", "/readyz", "/metrics", "/v1/gateway"];
/// Most routes.
const ROUTES_MAX: usize = 100_000;
/// Most tries of a request.
const TRIES_MAX: u32 = 10;

/// Everything that is wrong with the upstreams, routes and issuers of a configuration.
pub(crate) fn mistakes(config: &Config) -> Vec<String> {
    build(config, &Nowhere).err().unwrap_or_default()
}

/// Makes the table of a configuration, or says everything that is wrong with it.
pub(crate) fn build(
    config: &Config,
    surroundings: &impl Surroundings,
) -> Result<Table, Vec<String>> {
    let mut mistakes = Vec::new();
    let upstreams: Vec<UpstreamSettings> =
        settings::read("upstream", &config.upstream, &mut mistakes);
    let issuers: Vec<IssuerSettings> = settings::read("issuer", &config.issuer, &mut mistakes);
    let mut builder = Builder {
        config,
        surroundings,
        clusters: HashMap::new(),
        known: upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
        issuers: issuers.into_iter().map(|issuer| (issuer.name.clone(), issuer)).collect(),
        mistakes,
        place: String::new(),
    };
    for upstream in &upstreams {
        builder.upstream(upstream);
    }
    let mut rules = Vec::new();
    let mut policies = Vec::new();
    let mut names = HashSet::new();
    if config.route.len() > ROUTES_MAX {
        builder.mistakes.push(format!("route: there are more than {ROUTES_MAX}"));
    }
    let mut read_mistakes = Vec::new();
    let routes: Vec<RouteSettings> = settings::read("route", &config.route, &mut read_mistakes);
    builder.mistakes.append(&mut read_mistakes);
    let shown: HashMap<&str, &serde_json::Value> = config
        .route
        .iter()
        .filter_map(|entry| Some((entry.get("name")?.as_str()?, entry)))
        .collect();
    for route in &routes {
        builder.place = format!("route {}", route.name);
        if !names.insert(route.name.as_str()) {
            builder.mistake("there is another one with this name");
        }
        let shown = shown.get(route.name.as_str()).map(|entry| (*entry).clone());
        if let Some((rule, policy)) = builder.route(route, shown.unwrap_or_default()) {
            rules.push(rule);
            policies.push(Arc::new(policy));
        }
    }
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
    Ok(Table {
        index,
        policies,
        fallback,
        clusters,
        trusted_proxies,
        tls,
        exposes_services: config.expose_services,
        adds_security_headers: config.security_headers,
    })
}

struct Builder<'a, S> {
    config: &'a Config,
    surroundings: &'a S,
    clusters: HashMap<Box<str>, Arc<Cluster>>,
    known: BTreeSet<String>,
    issuers: HashMap<String, IssuerSettings>,
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

    fn upstream(&mut self, settings: &UpstreamSettings) {
        self.place = format!("upstream {}", settings.name);
        let is_name = is_name(&settings.name) && !ROLES.contains(&settings.name.as_str());
        self.check(is_name, "a name is small letters, digits and '-', and not that of a role");
        self.check(
            !self.clusters.contains_key(&*settings.name),
            "there is another one with this name",
        );
        let mut fixed = Vec::new();
        let sources =
            [settings.service.is_some(), !settings.addresses.is_empty(), settings.dns.is_some()];
        let source = match sources {
            [true, false, false] => {
                let service = settings.service.as_deref().unwrap_or_default().parse();
                self.expect("service", service).map(Source::Service)
            }
            [false, true, false] => {
                for address in &settings.addresses {
                    let (address, zone) = match address {
                        AddressSettings::Plain(address) => (address, None),
                        AddressSettings::InZone(both) => (&both.address, Some(&both.zone)),
                    };
                    if host_and_port(address).is_none() {
                        self.mistake(format_args!("addresses: {address} is not host:port"));
                    }
                    let zone = zone.map(|zone| zone.as_str().into());
                    fixed.push(Address { authority: address.as_str().into(), zone });
                }
                Some(Source::Static)
            }
            [false, false, true] => {
                let text = settings.dns.as_deref().unwrap_or_default();
                match host_and_port(text) {
                    Some((host, port)) => {
                        let refresh =
                            Duration::from_millis(settings.dns_refresh_ms.unwrap_or(5000));
                        self.check(
                            refresh >= Duration::from_millis(100),
                            "dns_refresh_ms is below 100",
                        );
                        Some(Source::Dns { host: host.into(), port, refresh })
                    }
                    None => {
                        self.mistake(format_args!("dns: {text} is not host:port"));
                        None
                    }
                }
            }
            _ => {
                self.mistake("exactly one of service, addresses and dns is needed");
                None
            }
        };
        let rules = self.cluster_rules(settings);
        let transport = self.transport(settings);
        if let Some(source) = source {
            let cluster =
                self.surroundings.cluster(&settings.name, source, rules, transport, &fixed);
            self.clusters.insert(settings.name.as_str().into(), cluster);
        }
    }

    fn transport(&mut self, settings: &UpstreamSettings) -> Transport {
        let protocol = match settings.protocol {
            ProtocolSettings::Http1 => Protocol::Http1,
            ProtocolSettings::Http2 => Protocol::Http2,
        };
        let tls = settings
            .tls
            .as_ref()
            .and_then(|tls| self.expect("tls", UpstreamTls::new(tls, protocol == Protocol::Http2)));
        Transport { protocol, tls }
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

    fn cluster_rules(&mut self, settings: &UpstreamSettings) -> ClusterRules {
        let mut rules = ClusterRules::default();
        let set_ms = |value: Option<u64>, to: &mut Duration| {
            if let Some(ms) = value {
                *to = Duration::from_millis(ms);
            }
        };
        set_ms(settings.slow_start_ms, &mut rules.balance.slow_start);
        set_ms(settings.ejection_ms, &mut rules.outliers.ejection);
        set_ms(settings.ejection_ms_max, &mut rules.outliers.ejection_max);
        set_ms(settings.breaker_window_ms, &mut rules.breaker.window);
        set_ms(settings.breaker_open_ms, &mut rules.breaker.open);
        let set = |value: Option<u32>, to: &mut u32| *to = value.unwrap_or(*to);
        set(settings.spill_over_in_flight, &mut rules.balance.spill_over_in_flight);
        set(settings.ejection_failures, &mut rules.outliers.failures);
        set(settings.ejected_percent_max, &mut rules.outliers.ejected_percent_max);
        set(settings.breaker_failure_percent, &mut rules.breaker.failure_percent);
        set(settings.breaker_requests_min, &mut rules.breaker.requests_min);
        set(settings.retry_percent, &mut rules.retry_percent);
        rules.in_flight_max = settings.in_flight_max.unwrap_or(rules.in_flight_max);
        self.check(rules.outliers.failures > 0, "ejection_failures is 0");
        self.check(rules.in_flight_max > 0, "in_flight_max is 0");
        self.check(rules.outliers.ejected_percent_max <= 100, "ejected_percent_max is over 100");
        self.check(
            (1..=100).contains(&rules.breaker.failure_percent),
            "breaker_failure_percent is not 1 to 100",
        );
        self.check(rules.breaker.requests_min > 0, "breaker_requests_min is 0");
        self.check(rules.retry_percent <= 100, "retry_percent is over 100");
        rules
    }

    /// What a route calls an upstream: one of the configuration, a role, or a service of the registry.
    fn target(&mut self, key: &str, name: &str) -> Option<Arc<Cluster>> {
        if let Some(cluster) = self.clusters.get(name) {
            return Some(Arc::clone(cluster));
        }
        if self.known.contains(name) {
            // It is there and has mistakes of its own.
            return None;
        }
        if let Some(role) = self.surroundings.role(name) {
            return Some(role);
        }
        match name.parse::<ServiceName>() {
            Ok(service) => {
                let source = Source::Service(service);
                let cluster = self.surroundings.cluster(
                    name,
                    source,
                    ClusterRules::default(),
                    Transport::default(),
                    &[],
                );
                self.clusters.insert(name.into(), Arc::clone(&cluster));
                Some(cluster)
            }
            Err(_) => {
                self.mistake(format_args!(
                    "{key}: {name} is neither an upstream, a role, nor the name of a service"
                ));
                None
            }
        }
    }

    fn route(
        &mut self,
        settings: &RouteSettings,
        shown: serde_json::Value,
    ) -> Option<(Rule, Policy)> {
        self.check(is_name(&settings.name), "a name is small letters, digits and '-'");
        let rule = self.rule(settings);
        let pattern = rule.as_ref().map(|rule| rule.pattern.clone());
        let (targets, split) = self.targets(settings);
        let mirror = settings.mirror.as_ref().and_then(|mirror| {
            self.check((1..=100).contains(&mirror.percent), "mirror: percent is not 1 to 100");
            let target = self.target("mirror", &mirror.upstream)?;
            Some(Mirror { target, percent: mirror.percent })
        });
        let timeout = settings.timeout_ms.unwrap_or(self.config.response_timeout_ms);
        self.check(timeout > 0, "timeout_ms is 0");
        let tries = settings.retry.as_ref().and_then(|retry| retry.tries_max).unwrap_or(3);
        self.check((1..=TRIES_MAX).contains(&tries), "retry: tries_max is not 1 to 10");
        let statuses =
            settings.retry.as_ref().map(|retry| retry.statuses.clone()).unwrap_or_default();
        let can_retry = statuses.iter().all(|status| matches!(status, 502..=504));
        self.check(can_retry, "retry: statuses can be 502, 503 and 504");
        let cors = settings.cors.as_ref().and_then(|cors| self.cors(cors));
        let allow = self.networks(&settings.allow);
        let limits = settings
            .limits
            .iter()
            .enumerate()
            .filter_map(|(index, limit)| self.limit(&settings.name, index, limit))
            .collect();
        let is_public = settings.auth == AuthSettings::None;
        let by_client = settings.limits.iter().any(|limit| limit.by == LimitBy::Client);
        self.check(!(is_public && by_client), "limits: by client needs tokens, and auth is none");
        let keeps = settings.idempotency == IdempotencySettings::Gateway;
        self.check(
            !(is_public && keeps),
            "idempotency: keys are those of clients, and auth is none",
        );
        // What depends on the pattern is only looked at where there is one.
        let pattern = pattern?;
        let rewrite = settings
            .rewrite
            .as_ref()
            .and_then(|text| self.expect("rewrite", Rewrite::parse(text, &pattern)));
        let access = self.access(settings, &pattern)?;
        let policy = Policy {
            name: settings.name.as_str().into(),
            targets,
            split,
            mirror,
            rewrite,
            timeout: Duration::from_millis(timeout),
            body_bytes_max: settings.body_bytes_max.unwrap_or(self.config.request_body_bytes_max),
            access,
            identity: match settings.identity {
                IdentitySettings::Headers => Identity::Headers,
                IdentitySettings::Token => Identity::Token,
                IdentitySettings::None => Identity::None,
            },
            retry: Retry { tries_max: usize::try_from(tries).unwrap_or(1), statuses },
            priority: match settings.priority {
                PrioritySettings::Low => Priority::Low,
                PrioritySettings::Normal => Priority::Normal,
                PrioritySettings::High => Priority::High,
            },
            limits,
            allow,
            cors,
            keeps_idempotency: settings.idempotency == IdempotencySettings::Gateway,
            says_timing: settings.server_timing,
            counters: self.surroundings.counters(&settings.name),
            shown,
        };
        Some((rule?, policy))
    }

    fn rule(&mut self, settings: &RouteSettings) -> Option<Rule> {
        let host = match &settings.host {
            Some(host) => self.expect("host", host.parse::<HostPattern>()),
            None => Some(HostPattern::Any),
        };
        let pattern = match (&settings.path, &settings.prefix) {
            (Some(path), None) => self.expect("path", Pattern::parse(path, End::Exact)),
            (None, Some(prefix)) => self.expect("prefix", Pattern::parse(prefix, End::Prefix)),
            _ => {
                self.mistake("exactly one of path and prefix is needed");
                None
            }
        };
        let text = settings.path.as_deref().or(settings.prefix.as_deref()).unwrap_or_default();
        let is_own = OWN_PREFIXES.iter().any(|own| {
            text.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        self.check(!is_own, "its path is answered by the gateway itself");
        for method in &settings.methods {
            let is_method = http::Method::from_bytes(method.as_bytes())
                .is_ok_and(|known| !matches!(known, http::Method::CONNECT | http::Method::TRACE))
                && method.bytes().all(|byte| byte.is_ascii_uppercase());
            if !is_method {
                self.mistake(format_args!("methods: {method} is not a method that is passed on"));
            }
        }
        let mut headers = Vec::new();
        for (name, value) in &settings.headers {
            let lower = name.to_ascii_lowercase();
            if http::HeaderName::from_bytes(lower.as_bytes()).is_err()
                || HeaderValue::from_str(value).is_err()
            {
                self.mistake(format_args!("headers: {name} is not a header with a value"));
            }
            let value = (value != "*").then(|| value.as_str().into());
            headers.push(HeaderRule { name: lower.into(), value });
        }
        let methods = settings.methods.iter().map(|method| method.as_str().into()).collect();
        Some(Rule { host: host?, pattern: pattern?, methods, headers })
    }

    fn targets(&mut self, settings: &RouteSettings) -> (Vec<Arc<Cluster>>, Option<Split>) {
        match (&settings.upstream, settings.split.as_slice()) {
            (Some(upstream), []) => (self.target("upstream", upstream).into_iter().collect(), None),
            (None, [_, ..]) => {
                let targets = settings
                    .split
                    .iter()
                    .filter_map(|share| self.target("split", &share.upstream))
                    .collect();
                let weights: Vec<u32> = settings.split.iter().map(|share| share.weight).collect();
                let split = self.expect("split", Split::new(&weights));
                (targets, split)
            }
            _ => {
                self.mistake("exactly one of upstream and split is needed");
                (Vec::new(), None)
            }
        }
    }

    fn access(&mut self, settings: &RouteSettings, pattern: &Pattern) -> Option<Access> {
        let mut scopes = Vec::new();
        for text in &settings.scopes {
            scopes.extend(
                self.expect(&format!("scopes: {text}"), RequiredScope::parse(text, pattern)),
            );
        }
        let mut details = Vec::new();
        for detail in &settings.authorization_details {
            let detail_type = self.expect("authorization_details", detail.detail_type.parse());
            let mut members = Vec::new();
            for (name, text) in &detail.members {
                let text = self.expect(
                    &format!("authorization_details: {name}"),
                    PathText::parse(text, pattern),
                );
                members.extend(text.map(|text| (name.as_str().into(), text)));
            }
            details.extend(detail_type.map(|detail_type| DetailRule { detail_type, members }));
        }
        let mut algorithms = Vec::new();
        for name in &settings.algorithms {
            match Algorithm::from_name(name) {
                Some(algorithm) => algorithms.push(algorithm),
                None => {
                    self.mistake(format_args!("algorithms: {name} is not ES256, EdDSA or PS256"))
                }
            }
        }
        if settings.auth == AuthSettings::None {
            let asks = !settings.scopes.is_empty()
                || !settings.authorization_details.is_empty()
                || !settings.issuers.is_empty()
                || !settings.algorithms.is_empty()
                || settings.audience.is_some();
            self.check(!asks, "auth is none, but something is said of tokens");
            return Some(Access::Public);
        }
        let audience = match settings.audience.as_deref() {
            Some(path) if path.starts_with('/') => format!("{}{path}", self.surroundings.issuer()),
            Some(url) if url.contains("://") => url.to_owned(),
            Some(other) => {
                self.mistake(format_args!("audience: {other} is neither a path nor a URL"));
                return None;
            }
            None => {
                match default_audience(pattern) {
                    Some(path) => format!("{}{path}", self.surroundings.issuer()),
                    None => {
                        self.mistake("audience: it is needed where the path does not begin with a fixed segment");
                        return None;
                    }
                }
            }
        };
        let platform = [PLATFORM.to_owned()];
        let names = if settings.issuers.is_empty() { &platform[..] } else { &settings.issuers };
        let mut verifiers = Vec::new();
        for name in names {
            let issuer = self.issuers.get(name).cloned();
            if issuer.is_none() && name != PLATFORM {
                self.mistake(format_args!("issuers: there is no issuer {name}"));
                continue;
            }
            let verifier = self.surroundings.verifier(issuer.as_ref(), &audience);
            verifiers.extend(self.expect(&format!("issuers: {name}"), verifier));
        }
        Some(Access::Token { verifiers, algorithms, scopes, details })
    }

    fn limit(&mut self, route: &str, index: usize, settings: &LimitSettings) -> Option<Limit> {
        let period = settings.per.map(PeriodSettings::duration);
        let place = format!("limits {}", index + 1);
        let kind = match (settings.requests, settings.quota, settings.concurrent, period) {
            (Some(requests), None, None, Some(period)) => {
                let burst = settings.burst.unwrap_or((requests / 10).max(2));
                let rate = self.expect(&place, Rate::new(requests, period, burst))?;
                LimitKind::Rate(rate)
            }
            (None, Some(requests), None, Some(period)) if settings.burst.is_none() => {
                LimitKind::Quota(Quota { requests, period })
            }
            (None, None, Some(count), None) if settings.burst.is_none() && count > 0 => {
                LimitKind::Concurrent(count)
            }
            _ => {
                self.mistake(format_args!(
                    "{place}: it is requests with per, quota with per, or concurrent"
                ));
                return None;
            }
        };
        let mut hasher = DefaultHasher::new();
        (route, index, settings.by, format!("{kind:?}")).hash(&mut hasher);
        let by = match settings.by {
            LimitBy::Client => "client",
            LimitBy::Address => "address",
            LimitBy::Route => "route",
        };
        let name = format!("{route}-{by}-{}", index + 1);
        let header = match kind {
            LimitKind::Rate(rate) => {
                let (quantity, seconds) = (rate.requests(), rate.period().as_secs());
                HeaderValue::from_str(&format!("\"{name}\";q={quantity};w={seconds}")).ok()
            }
            LimitKind::Quota(quota) => {
                let (quantity, seconds) = (quota.requests, quota.period.as_secs());
                HeaderValue::from_str(&format!("\"{name}\";q={quantity};w={seconds}")).ok()
            }
            LimitKind::Concurrent(_) => None,
        };
        Some(Limit { name: name.into(), by: settings.by, kind, id: hasher.finish(), header })
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

    fn cors(&mut self, settings: &CorsSettings) -> Option<Cors> {
        let is_all = settings.origins == ["*"];
        let is_origin = |origin: &String| {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', '@']))
        };
        let are_origins =
            is_all || (!settings.origins.is_empty() && settings.origins.iter().all(is_origin));
        self.check(are_origins, "cors: origins are such as https://app.example.com, or only \"*\"");
        self.check(
            !(is_all && settings.credentials),
            "cors: all origins with credentials would be no protection",
        );
        let list = |texts: &[String]| HeaderValue::from_str(&texts.join(", "));
        let usual = ["GET", "HEAD", "POST"].map(str::to_owned);
        let methods = if settings.methods.is_empty() { &usual[..] } else { &settings.methods };
        let methods = self.expect("cors: methods", list(methods))?;
        let headers = self.expect("cors: headers", list(&settings.headers))?;
        let exposed = self.expect("cors: exposed_headers", list(&settings.exposed_headers))?;
        Some(Cors {
            origins: (!is_all)
                .then(|| settings.origins.iter().map(|origin| origin.as_str().into()).collect()),
            methods,
            headers: (!settings.headers.is_empty()).then_some(headers),
            exposed_headers: (!settings.exposed_headers.is_empty()).then_some(exposed),
            has_credentials: settings.credentials,
            max_age: settings.max_age_seconds.unwrap_or(600).into(),
        })
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
            retry: Retry { tries_max: 3, statuses: Vec::new() },
            priority: Priority::High,
            limits: Vec::new(),
            allow: Vec::new(),
            cors: None,
            keeps_idempotency: false,
            says_timing: false,
            counters: RouteCounters::default(),
            shown: serde_json::Value::Null,
        }
    }
}

/// `/ledger` of `/ledger/{id}`; `/v1/ledger` below `/v1`, as the platform's own resources are.
fn default_audience(pattern: &Pattern) -> Option<String> {
    let text = pattern.to_string();
    let mut segments = text
        .split('/')
        .skip(1)
        .take_while(|segment| !segment.is_empty() && !segment.contains('{') && *segment != "*");
    match segments.next()? {
        "v1" => Some(format!("/v1/{}", segments.next()?)),
        first => Some(format!("/{first}")),
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(fits)
}

/// `host:port`, the host also an address of version 6 in brackets.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let authority: http::uri::Authority = text.parse().ok()?;
    let port = authority.port_u16()?;
    let host = text.get(..text.rfind(':')?)?;
    let is_plain = !text.contains('@') && !host.is_empty() && port > 0;
    is_plain.then_some((host, port))
}

/// For checking a file without a gateway.
pub(crate) struct Nowhere;

struct NoKeys;

impl lombard_token::KeySource for NoKeys {
    fn fetch(
        &self,
    ) -> futures_util::future::BoxFuture<
        '_,
        Result<lombard_token::Jwks, lombard_token::KeySourceError>,
    > {
        Box::pin(async { Ok(lombard_token::Jwks::default()) })
    }
}

impl Surroundings for Nowhere {
    fn role(&self, name: &str) -> Option<Arc<Cluster>> {
        let cluster = || Arc::new(Cluster::new(name, Source::Role, ClusterRules::default()));
        ROLES.contains(&name).then(cluster)
    }

    fn cluster(
        &self,
        name: &str,
        source: Source,
        rules: ClusterRules,
        _: Transport,
        _: &[Address],
    ) -> Arc<Cluster> {
        Arc::new(Cluster::new(name, source, rules))
    }

    fn verifier(
        &self,
        issuer: Option<&IssuerSettings>,
        audience: &str,
    ) -> Result<Verifier, String> {
        if let Some(issuer) = issuer {
            crate::keys::read_key_file(&issuer.jwks_file)?;
        }
        Ok(Verifier::new("", audience, Arc::new(NoKeys)))
    }

    fn issuer(&self) -> &str {
        "http://localhost"
    }

    fn counters(&self, _: &str) -> RouteCounters {
        RouteCounters::default()
    }
}

#[cfg(test)]
mod tests;
