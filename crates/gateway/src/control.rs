//! Changes the configuration of a running gateway: whole, and between two requests.

use std::{sync::Arc, time::Instant};

use lombard_token::Verifier;

use crate::{
    Config,
    cluster::{Address, Cluster, ClusterRules, Source, Transport},
    metrics::RouteCounters,
    settings::{self, IssuerSettings},
    table::{self, Surroundings, Table},
    worker::Shared,
};

/// Reads the configuration anew; else says everything that is wrong with it.
pub(crate) type Reader = Arc<dyn Fn() -> Result<Config, Vec<String>> + Send + Sync>;

/// A configuration was not applied: the one before stays in use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {} mistake(s), the one before stays in use:\n{}", mistakes.len(), mistakes.join("\n"))]
pub struct ApplyError {
    /// One line each.
    pub mistakes: Vec<String>,
}

/// Changes a running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Reads the configuration again and applies it. Requests under way are not disturbed: they end by the routes that they
    /// began with.
    pub fn reload(&self) -> Result<(), ApplyError> {
        self.shared.reload()
    }

    /// Applies the upstreams, routes and issuers of a configuration, and what else of it can change at run time.
    pub fn apply(&self, config: Config) -> Result<(), ApplyError> {
        self.shared.apply(Arc::new(config))
    }
}

impl Shared {
    /// The configuration in use.
    pub(crate) fn current(&self) -> Arc<Config> {
        Arc::clone(&self.table.load().config)
    }

    pub(crate) fn reload(&self) -> Result<(), ApplyError> {
        let start = Instant::now();
        let config = (self.reader)().map_err(|mistakes| ApplyError { mistakes })?;
        self.apply_from(start, Arc::new(config))
    }

    pub(crate) fn apply(&self, config: Arc<Config>) -> Result<(), ApplyError> {
        self.apply_from(Instant::now(), config)
    }

    fn apply_from(&self, start: Instant, config: Arc<Config>) -> Result<(), ApplyError> {
        // One after the other, so that the table and the upstreams that are kept are of the same configuration.
        let applying = self.applying.lock();
        let before = self.table.load_full();
        let table = table_of(self, config, &before).inspect_err(|error| {
            tracing::error!(
                mistakes = error.mistakes.len(),
                "a configuration has mistakes and is not used"
            );
        })?;
        if let Some(tls) = &table.tls {
            self.tls.store(Some(Arc::clone(tls)));
        }
        self.endpoints.configure(table.clusters.clone());
        let routes = table.policies.len();
        for route in table.gone_since(&before) {
            self.metrics.forget_route(route);
        }
        self.table.store(Arc::new(table));
        drop(applying);
        self.reconfigured.notify_one();
        if let Some(log) = &self.access_log {
            log.reopen();
        }
        tracing::info!(
            routes,
            took_ms = start.elapsed().as_millis(),
            "the configuration is in use"
        );
        Ok(())
    }
}

/// The table of a configuration, with the upstreams and routes that are in use already.
fn table_of(shared: &Shared, config: Arc<Config>, before: &Table) -> Result<Table, ApplyError> {
    let mut mistakes = config.own_mistakes();
    match table::build(config, &Live(shared), Some(before)) {
        Ok(table) if mistakes.is_empty() => return Ok(table),
        Ok(_) => {}
        Err(mut more) => mistakes.append(&mut more),
    }
    Err(ApplyError { mistakes })
}

/// What a table refers to, in a running gateway.
struct Live<'a>(&'a Shared);

impl Surroundings for Live<'_> {
    fn role(&self, name: &str) -> Option<Arc<Cluster>> {
        self.0.endpoints.role_by_name(name)
    }

    fn cluster(
        &self,
        name: &str,
        source: Source,
        rules: ClusterRules,
        transport: Transport,
        fixed: &[Address],
    ) -> Arc<Cluster> {
        self.0.endpoints.cluster(name, source, rules, transport, fixed)
    }

    fn verifier(
        &self,
        issuer: Option<&IssuerSettings>,
        audience: &str,
    ) -> Result<Verifier, String> {
        let issuer = issuer.map(|issuer| (issuer.issuer.as_str(), issuer.jwks_file.as_path()));
        self.0.verifiers.of_route(issuer, audience)
    }

    fn issuer(&self) -> &str {
        self.0.verifiers.issuer()
    }

    fn counters(&self, route: &str) -> RouteCounters {
        self.0.metrics.route(route)
    }
}

/// The reference of the configuration (`docs/reference/gateway-config.md`), made from what the program reads.
pub fn reference_page() -> String {
    settings::reference::page()
}
