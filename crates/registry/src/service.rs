//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{Extension, Router};
use lombard_chassis::{CancellationToken, Health, Metrics, extract::BodyLimit};
use lombard_engine::{Engine, Follower, Snapshots, StartError, StoppedError};
use lombard_log::SharedLog;
use lombard_token::Verifier;
use lombard_types::Position;

use crate::{
    Config,
    codec::EventCodec,
    consul,
    dns::Dns,
    eureka, grpc,
    lessor::Lessor,
    machine::RegistryMachine,
    metrics::{RegistryMetrics, Sources},
    prober::{self, Prober},
    rest::{self, Api, Shared},
    verdicts,
    view::RegistryView,
    watch::Watches,
    xds,
};

/// What the role is given.
pub struct Deps {
    /// The registry's log; nobody else writes to it.
    pub log: SharedLog,
    /// Where snapshots of the state are kept; without it every start replays the whole log.
    pub snapshot_directory: Option<PathBuf>,
    /// Verifies tokens that are issued for this role.
    pub verifier: Verifier,
    /// Told when the role is ready, and what is in the way.
    pub health: Health,
    /// Where the role counts.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("log", &self.log).finish_non_exhaustive()
    }
}

/// The registry role.
#[derive(Debug)]
pub struct Registry {
    api: Api,
    engine: Engine,
    verifier: Verifier,
    health: Health,
    prober: Prober,
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the registry has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The log could not be replayed.
    #[error("failed to start the registry")]
    Start(#[from] StartError),
}

impl Registry {
    /// Reads the newest snapshot and replays the log from there. Blocks while it does.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { log, snapshot_directory, verifier, health, metrics } = deps;
        let limits = config.registration_limits();
        let empty = move || RegistryMachine::new(limits);
        let snapshots =
            snapshot_directory.map(|directory| Snapshots::new(directory, config.snapshot_policy()));
        let (writer, engine) = Engine::start_with_snapshots(
            "registry",
            Arc::clone(&log),
            snapshots,
            empty,
            EventCodec,
            config.engine_limits(),
        )?;
        let start_tail = log.tail();
        let (lessor, watches) =
            (Lessor::new(config.lease_policy()), Watches::new(config.waiters_max));
        let prober = Prober::new(config.checks.clone(), config.probe_policy());
        let view = RegistryView::new(
            lessor.clone(),
            prober.clone(),
            watches.clone(),
            config.services_max,
            config.history_max,
            start_tail,
        );
        let view = Follower::start("registry", log, EventCodec, view)?;
        let sources = Sources {
            writer: writer.clone(),
            view: view.clone(),
            lessor: lessor.clone(),
            prober: prober.clone(),
            watches: watches.clone(),
        };
        let metrics = RegistryMetrics::register(&metrics, sources);
        let (config, draining) = (Arc::new(config), CancellationToken::new());
        let api =
            Shared { writer, view, lessor, watches, metrics, config, start_tail, draining }.into();
        Ok(Self { api, engine, verifier, health, prober })
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        self.with_extensions(rest::router(self.api.clone()))
    }

    /// What other registries' clients speak, for a port of its own.
    pub fn compatible_router(&self) -> Router {
        let router = consul::router(self.api.clone()).merge(eureka::router(self.api.clone()));
        self.with_extensions(router)
    }

    /// With what extractors look for. One layer, since each is a box around every route and every request.
    fn with_extensions(&self, router: Router) -> Router {
        let body_limit = BodyLimit(self.api.config.body_bytes_max);
        router.layer((Extension(body_limit), Extension(self.verifier.clone())))
    }

    /// The methods of gRPC: watches, and xDS.
    pub fn grpc_routes(&self) -> lombard_grpc::Routes {
        grpc::routes(xds::routes(self.api.clone()), self.api.clone())
    }

    /// Their limits.
    pub fn grpc_limits(&self) -> lombard_grpc::Limits {
        self.api.config.xds.grpc.clone()
    }

    /// What answers for services by DNS.
    pub fn dns(&self) -> Dns {
        Dns::new(self.api.clone())
    }

    /// Ends leases as they run out, and watches over the writer and the read side, until `drain` is cancelled. Then
    /// those who wait for a change are answered at once. Becomes ready when the read side has caught up with the log.
    ///
    /// An error means that the process must end: the writer stopped, and only a restart recovers.
    pub async fn run(self, drain: CancellationToken) -> Result<(), StoppedError> {
        let Self { api, engine, health, prober, .. } = self;
        let draining = api.draining.clone();
        let follow = follow(api, prober, health);
        let ended = tokio::select! {
            stopped = engine.stopped() => stopped,
            () = follow => Ok(()),
            () = drain.cancelled() => Ok(()),
        };
        draining.cancel();
        ended
    }
}

/// Longer than any process runs.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// Catches up, then ends leases and makes checks. Never ends by itself.
async fn follow(api: Api, prober: Prober, health: Health) {
    let Shared { writer, view, lessor, metrics, start_tail, .. } = &*api;
    if view.wait_for(*start_tail, FOR_EVER).await.is_ok() {
        health.ready();
        verdicts::doubt_unconfirmed(writer, lessor, metrics).await;
    }
    let stopped_following = async {
        // Never reached: the wait ends when the view has stopped following.
        if view.wait_for(Position::new(u64::MAX), FOR_EVER).await.is_err() {
            health.obstacle("read side", "stopped following the log; see the log of the role");
        }
    };
    // Without the read side nobody's renewal is known, nor who is to be asked, so nothing may be ended either.
    tokio::select! {
        () = stopped_following => {}
        () = verdicts::run(writer.clone(), lessor.clone(), metrics.clone()) => {}
        () = prober::run(writer.clone(), prober, metrics.clone()) => {}
    }
    std::future::pending().await
}
