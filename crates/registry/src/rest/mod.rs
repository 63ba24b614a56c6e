//! The HTTP interface, `/v1/registry/...`.
//!
//! Writes go to the writer and are answered when the read side shows them; everything else is read from there. Every
//! answer says in `Lombard-Position` the last record of the log that it includes.

mod answer;
mod authority;
mod body;
mod catalog;
mod check;
mod history;
mod hold;
mod instances;
mod lull;
mod prometheus;
mod services;
mod standing;
mod subscribe;
mod suspicions;
mod wait;

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    routing::{get, post, put},
};
use lombard_chassis::{CancellationToken, Problem};
use lombard_engine::{Follower, Handle};
use lombard_registry_core::Command;
use lombard_types::Position;

use crate::{
    Config, lessor::Lessor, machine::RegistryMachine, metrics::RegistryMetrics, problem,
    view::RegistryView, watch::Watches,
};

/// What the handlers share. Cheap to clone, which every request does several times.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Shared>);

/// The parts of it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) writer: Handle<RegistryMachine>,
    pub(crate) view: Follower<RegistryView>,
    pub(crate) lessor: Lessor,
    pub(crate) watches: Watches,
    pub(crate) metrics: RegistryMetrics,
    pub(crate) config: Arc<Config>,
    /// Before the read side has reached this, it would show less than is registered.
    pub(crate) start_tail: Position,
    /// Nobody may be kept waiting any more.
    pub(crate) draining: CancellationToken,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl From<Shared> for Api {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

/// All routes. Each needs a token for this role; which scope is said in `authority.rs`.
pub(crate) fn router(api: Api) -> Router {
    // Each by its whole path: a router below another would write every request's URI anew.
    Router::new()
        .route("/v1/registry/catalog", get(catalog::get))
        .route("/v1/registry/prometheus-sd", get(prometheus::get))
        .route("/v1/registry/services", get(services::list))
        .route("/v1/registry/suspicions", post(suspicions::report))
        .route("/v1/registry/services/{service}", get(services::get))
        .route("/v1/registry/services/{service}/history", get(history::get))
        .route(INSTANCE, put(instances::register).delete(instances::deregister))
        .route(&of_instance("renew"), post(instances::renew))
        .route(&of_instance("report"), post(standing::report))
        .route(&of_instance("drain"), post(standing::drain))
        .route(&of_instance("maintenance"), put(standing::take_out).delete(standing::put_back))
        .with_state(api)
}

const INSTANCE: &str = "/v1/registry/services/{service}/instances/{instance}";

fn of_instance(what: &str) -> String {
    format!("{INSTANCE}/{what}")
}

impl Api {
    /// Has a command done, and waits until readers see it. Answers the record that holds it.
    pub(crate) async fn submit(&self, command: Command) -> Result<Position, Problem> {
        let committed = self.writer.submit(command).await.map_err(problem::from_submit_error)?;
        self.reach(committed.position.next()).await?;
        Ok(committed.position)
    }

    /// Waits until the read side has applied everything before `end`.
    async fn reach(&self, end: Position) -> Result<(), Problem> {
        let wait = self.config.reach();
        let reached = self.view.wait_for(end, wait).await;
        reached.map_err(|lagging| problem::from_lagging(lagging, wait))
    }

    /// Waits until the read side shows at least what was registered when this process started.
    pub(crate) async fn reach_start(&self) -> Result<(), Problem> {
        if self.view.position() >= self.start_tail {
            return Ok(());
        }
        self.reach(self.start_tail).await
    }

    /// Waits until the read side has applied everything that was answered to anybody before now.
    async fn reach_writer(&self) -> Result<(), Problem> {
        let asked = self.writer.query(|_| ()).await;
        let ((), position) = asked.map_err(problem::from_query_error)?;
        self.reach(position.map(Position::next).unwrap_or_default()).await
    }

    /// Counts how an operation went.
    pub(crate) fn count<T>(&self, operation: &'static str, result: &Result<T, Problem>) {
        let result = result.as_ref().map_or_else(|problem| problem.kind().slug, |_| "ok");
        self.metrics.count(operation, result);
    }
}
