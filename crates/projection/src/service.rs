//! All projections of a process: made from a configuration and what they depend on, then run until they are told to stop.

use std::{fmt, path::PathBuf, sync::Arc, thread::JoinHandle};

use axum::{Extension, Router};
use lombard_chassis::{CancellationToken, Metrics};
use lombard_engine::Codec;
use lombard_ledger_core::Event;
use lombard_log::SharedLog;
use lombard_token::Verifier;
use tokio::sync::{mpsc, watch};

use crate::{
    Config, Progress, Settings, metrics,
    postgres::Database,
    rest::{self, Api},
    sqlite::File,
    worker::{self, Log, Opener, Request, SharedStatus, Status, Worker},
};

/// What projections are given.
pub struct Deps<C> {
    /// The ledger's log, or a copy of it.
    pub log: SharedLog,
    /// How its events are stored.
    pub codec: C,
    /// The log's name in its checkpoints, as soon as it is known: tables are of one log.
    pub origin: watch::Receiver<Option<Arc<str>>>,
    /// How many records the ledger has, as soon as that is known; a copy may have fewer for a while.
    pub records: watch::Receiver<Option<u64>>,
    /// What paths of files begin at.
    pub directory: PathBuf,
    /// Verifies tokens that are issued for the ledger.
    pub verifier: Verifier,
    /// Where they count.
    pub metrics: Metrics,
}

impl<C> fmt::Debug for Deps<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The projections did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of projections has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The system refused a thread.
    #[error("failed to start the projection {name}")]
    Thread {
        /// Its name.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// One projection, for whoever asks about it.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) status: SharedStatus,
    pub(crate) requests: mpsc::Sender<Request>,
}

/// The projections that run.
pub struct Projections {
    api: Api,
    verifier: Verifier,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projections").finish_non_exhaustive()
    }
}

impl Projections {
    /// Starts a thread for each projection. No database is waited for: one that is away is tried again and again.
    pub fn start<C>(config: Config, deps: Deps<C>) -> Result<Self, NewError>
    where
        C: Codec<Event = Event> + Clone,
    {
        let mut mistakes = config.mistakes();
        let mut openers = Vec::new();
        for (name, settings) in config.0 {
            match opener(&settings, &deps.directory) {
                Ok(opener) => openers.push((name, settings, opener)),
                Err(mistake) => mistakes.push(format!("{name}: {mistake}")),
            }
        }
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { log, codec, origin, records, verifier, metrics, .. } = deps;
        let log = Log { log, codec, origin, records };
        let stop = CancellationToken::new();
        let (mut projections, mut threads) = (Vec::new(), Vec::new());
        for (name, settings, opener) in openers {
            let (requests, asked) = mpsc::channel(1);
            let (status, kind) = (Status::shared(), opener.kind());
            let worker = Worker {
                name: name.clone(),
                opener,
                settings,
                log: log.clone(),
                status: Arc::clone(&status),
                requests: asked,
                stop: stop.clone(),
            };
            threads.push(spawn(&name, worker)?);
            projections.push(Projection { name, kind, status, requests });
        }
        let api = Api { projections: projections.into(), log: log.log };
        metrics::register(&metrics, api.clone());
        Ok(Self { api, verifier, stop, threads })
    }

    /// The routes, below `/v1/ledger`.
    pub fn router(&self) -> Router {
        rest::router(self.api.clone()).layer(Extension(self.verifier.clone()))
    }

    /// How far a projection is, for callers in the same process; `None` where there is none of the name.
    pub fn progress(&self, name: &str) -> Option<Progress> {
        self.api.find(name).map(|projection| self.api.progress(projection))
    }

    /// Asks for a projection's tables to be built anew, for callers in the same process. Answers whether there is one of
    /// the name, and it was taken on.
    pub fn rebuild(&self, name: &str) -> bool {
        self.api.find(name).is_some_and(Projection::ask_rebuild)
    }

    /// Tells all of them to stop, and waits until each has ended its transaction.
    pub async fn stop(self) {
        self.stop.cancel();
        let join = move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    tracing::error!("the thread of a projection panicked");
                }
            }
        };
        if tokio::task::spawn_blocking(join).await.is_err() {
            tracing::error!("projections were not waited for");
        }
    }
}

fn opener(settings: &Settings, directory: &std::path::Path) -> Result<Opener, String> {
    match (&settings.path, &settings.url) {
        (Some(path), None) => {
            Ok(Opener::Sqlite(File::new(directory.join(path), settings.cache_bytes)))
        }
        (None, Some(url)) => {
            let database = Database {
                url: url.clone(),
                tls_ca_file: settings.tls_ca_file.clone(),
                clear_text: settings.clear_text,
                schema: settings.schema.clone(),
                readers: settings.readers.clone(),
            };
            database.check().map_err(|error| error.to_string())?;
            Ok(Opener::Postgres(database))
        }
        // Said by the settings themselves.
        _ => Err("nowhere to write to".to_owned()),
    }
}

fn spawn<C>(name: &str, worker: Worker<C>) -> Result<JoinHandle<()>, NewError>
where
    C: Codec<Event = Event> + Clone,
{
    let failed = |source| NewError::Thread { name: name.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(failed)?;
    let thread = std::thread::Builder::new().name(format!("projection-{name}"));
    thread.spawn(move || worker::run(worker, &runtime)).map_err(failed)
}
