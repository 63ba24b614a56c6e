//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_engine::{Engine, Handle, StartError, StateAt, StoppedError};
use lombard_log::{SharedLog, disk::SharedDisk};
use lombard_master_key::MasterKeyError;
use lombard_token::Verifier;
use tokio::sync::Semaphore;

use crate::{
    Config,
    api::Api,
    codec::EventCodec,
    documents::{self, DocumentsError},
    groups::{ConsumerGroups, GroupsLog, Parts},
    grpc,
    index::{EventIndex, OpenError},
    live,
    machine::EventStoreMachine,
    metrics::EventStoreMetrics,
    prepare::Preparing,
    query::Reader,
    rest,
    schema::Schemas,
    showing::Showing,
    subjects::{KeyFileError, SubjectKeys},
};

/// What the role is given.
pub struct Deps {
    /// The store's log; nobody else writes to it.
    pub log: SharedLog,
    /// Where the role keeps its index of the log. It can be deleted while the role does not run.
    pub index_directory: PathBuf,
    /// Where the role keeps the keys of data subjects. What is sealed with them is lost without it.
    pub subjects_directory: PathBuf,
    /// The disk that directory is on.
    pub disk: SharedDisk,
    /// Where the role keeps its consumer groups.
    pub groups: GroupsLog,
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

/// The event store role.
#[derive(Debug)]
pub struct EventStore {
    api: Api,
    engine: Engine,
    groups_engine: Engine,
    verifier: Verifier,
    health: Health,
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the event store has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The index cannot be used, and could not be made again.
    #[error("failed to open the index of the event store")]
    Index(#[from] OpenError),
    /// What is kept beside the events could not be read.
    #[error("failed to read the documents of the event store")]
    Documents(#[from] DocumentsError),
    /// The keys of data subjects cannot be used.
    #[error("failed to open the keys of data subjects")]
    SubjectKeys(#[from] KeyFileError),
    /// The key that wraps them cannot be used.
    #[error("failed to open the master key of the event store")]
    MasterKey(#[from] MasterKeyError),
    /// The log could not be replayed.
    #[error("failed to start the event store")]
    Start(#[from] StartError),
}

/// The role must end: only a restart recovers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RunError {
    /// A writer stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// What is durable of the keys of data subjects is not known.
    #[error("a key of a data subject could not be written")]
    SubjectKeys,
}

impl EventStore {
    /// Opens the index and reads into it what it lacks of the log. Blocks while it does.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { log, index_directory, subjects_directory, disk, .. } = deps;
        let Deps { groups, verifier, health, metrics, .. } = deps;
        let (index, position) =
            EventIndex::open(&index_directory, &log, config.index_memory_events)?;
        let schemas = Schemas::new(log.durable(), config.schema_validators_max);
        documents::learn_schemas(&schemas, &index, &log)?;
        let machine = EventStoreMachine::new(index.clone(), schemas.clone(), config.store_limits());
        let state = StateAt::new(machine, position);
        let (writer, engine) = Engine::start(
            "eventstore",
            Arc::clone(&log),
            state,
            EventCodec,
            config.engine_limits(),
        )?;
        // All of the log is in the index now.
        let keys = open_keys(&config, disk, &subjects_directory)?;
        documents::erase_subjects(&keys, &index, &log)?;
        let registry = metrics;
        let metrics =
            EventStoreMetrics::register(&registry, writer.clone(), index.clone(), keys.clone());
        let feed = live::start(Arc::clone(&log))?;
        let reader = Reader { index, log };
        let subscriptions = Arc::new(Semaphore::new(config.subscriptions_max));
        let drain = CancellationToken::new();
        let preparing = Preparing::new(&config, schemas.clone(), keys.clone());
        let showing = Showing::new(schemas.clone(), keys.clone());
        let config = Arc::new(config);
        let parts = Parts {
            writer: writer.clone(),
            reader: reader.clone(),
            showing: showing.clone(),
            drain: drain.clone(),
            metrics: registry,
            config: Arc::clone(&config),
        };
        let (groups, groups_engine) = ConsumerGroups::start(groups, parts)?;
        let api = Api {
            writer,
            reader,
            schemas,
            keys,
            preparing,
            showing,
            feed,
            subscriptions,
            drain,
            metrics,
            config,
            groups,
        };
        Ok(Self { api, engine, groups_engine, verifier, health })
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        rest::router(self.api.clone(), self.verifier.clone())
    }

    /// The gRPC interface.
    pub fn grpc_routes(&self) -> lombard_grpc::Routes {
        grpc::routes(self.api.clone())
    }

    /// Limits of the gRPC server.
    pub fn grpc_limits(&self) -> lombard_grpc::Limits {
        self.api.config.grpc.clone()
    }

    /// The writer, for callers in the same process.
    pub fn handle(&self) -> Handle<EventStoreMachine> {
        self.api.writer.clone()
    }

    /// Serves until `drain` is cancelled. It is ready at once: everything was read before.
    ///
    /// An error means that the process must end.
    pub async fn run(self, drain: CancellationToken) -> Result<(), RunError> {
        let Self { api, engine, groups_engine, health, .. } = self;
        health.ready();
        let watch = watch_index(api.reader.index.clone(), health);
        let sweep = api.groups.clone().sweep();
        let keys = api.keys.clone();
        // Subscriptions have no end of their own.
        let _end_subscriptions = api.drain.clone().drop_guard();
        // The writer stops when nobody can ask it any more.
        drop(api);
        tokio::select! {
            stopped = engine.stopped() => Ok(stopped?),
            stopped = groups_engine.stopped() => Ok(stopped?),
            () = keys.poisoned() => Err(RunError::SubjectKeys),
            () = watch => Ok(()),
            () = sweep => Ok(()),
            () = drain.cancelled() => Ok(()),
        }
    }
}

/// Opens the keys of data subjects in a directory. Blocks.
fn open_keys(config: &Config, disk: SharedDisk, directory: &Path) -> Result<SubjectKeys, NewError> {
    disk.create_directory(directory).map_err(KeyFileError::from)?;
    let may_make = !SubjectKeys::are_in(&disk, directory)?;
    let master = config.master_key(directory).read(may_make)?;
    let limits = (config.subjects_max, config.subject_keys_cached_max);
    Ok(SubjectKeys::open(disk, directory, master, limits)?)
}

/// Tells what is in the way of the index. Never ends: without it, the index grows in memory.
async fn watch_index(index: EventIndex, health: Health) {
    const WHAT: &str = "index";
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        match index.obstacle() {
            Some(cause) => health.obstacle(WHAT, &*cause),
            None => health.clear(WHAT),
        }
    }
}
