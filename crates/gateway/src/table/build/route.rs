//! Routes: which requests they take, where to, and what is done on the way.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use lombard_gateway_core::{End, HeaderRule, HostPattern, Pattern, Priority, Rewrite, Rule, Split};
use lombard_types::ServiceName;

use super::{Builder, OWN_PREFIXES, Surroundings, is_name};
use crate::{
    cluster::{Cluster, ClusterRules, Source, Transport},
    contract,
    settings::{
        AuthSettings, IdempotencySettings, IdentitySettings, LimitBy, PrioritySettings,
        RouteSettings,
    },
    table::{Identity, Mirror, Policy, Retry},
};

/// Most tries of a request.
const TRIES_MAX: u32 = 10;

impl<S: Surroundings> Builder<'_, S> {
    pub(super) fn route(&mut self, settings: &RouteSettings) -> Option<(Rule, Policy)> {
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
        let try_timeout = settings.retry.as_ref().and_then(|retry| retry.try_timeout_ms);
        self.check(
            try_timeout.is_none_or(|try_timeout| (1..=timeout).contains(&try_timeout)),
            "retry: try_timeout_ms is not 1 to timeout_ms",
        );
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
        let contract = settings.openapi_file.as_ref().and_then(|file| {
            self.expect(&format!("openapi_file: {}", file.display()), contract::load(file))
        });
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
            retry: Retry {
                tries_max: usize::try_from(tries).unwrap_or(1),
                try_timeout: try_timeout.map(Duration::from_millis),
                statuses,
            },
            priority: match settings.priority {
                PrioritySettings::Low => Priority::Low,
                PrioritySettings::Normal => Priority::Normal,
                PrioritySettings::High => Priority::High,
            },
            limits,
            allow,
            cors,
            keeps_idempotency: settings.idempotency == IdempotencySettings::Gateway,
            contract,
            says_timing: settings.server_timing,
            counters: self.surroundings.counters(&settings.name),
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

    /// What a route calls an upstream: one of the configuration, a role, or a service of the registry.
    fn target(&mut self, key: &str, name: &str) -> Option<Arc<Cluster>> {
        let found = self.find_target(name);
        // One that is there has mistakes of its own.
        if found.is_none() && !self.known.contains(name) {
            self.mistake(format_args!(
                "{key}: {name} is neither an upstream, a role, nor the name of a service"
            ));
        }
        found
    }

    pub(super) fn find_target(&mut self, name: &str) -> Option<Arc<Cluster>> {
        if let Some(cluster) = self.clusters.get(name) {
            return Some(Arc::clone(cluster));
        }
        if self.known.contains(name) {
            return None;
        }
        if let Some(role) = self.surroundings.role(name) {
            return Some(role);
        }
        let source = Source::Service(name.parse::<ServiceName>().ok()?);
        let (rules, transport) = (ClusterRules::default(), Transport::default());
        let cluster = self.surroundings.cluster(name, source, rules, transport, &[]);
        self.clusters.insert(name.into(), Arc::clone(&cluster));
        Some(cluster)
    }
}
