//! The maps that stand at one position of a log.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use lombard_types::Position;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::{
    Map, MapSpec, ReadError,
    manifest::{Manifest, MapEntry},
    map::{Sealable, file_name},
    run::Run,
    sealer::{Freeze, Sealer},
};

/// Freezes that may wait to be sealed: one more is a table in memory.
const WAITING_MAX: u64 = 4;

/// An index that is being opened: its maps are named one by one, then it is started.
pub struct Opening {
    directory: PathBuf,
    manifest: Manifest,
    maps: Vec<Arc<dyn Sealable>>,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// An index cannot be used. Where it is damaged or of another shape, it is deleted and made again from the log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused, or the manifest is damaged.
    #[error("failed to open the index in {}", directory.display())]
    Io {
        /// The index's directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A sealed file cannot be read.
    #[error("the index is damaged")]
    Damaged(#[from] ReadError),
    /// The map was made with other sizes.
    #[error("the map {name} in {} has other sizes", directory.display())]
    OtherShape {
        /// The index's directory.
        directory: PathBuf,
        /// The map.
        name: &'static str,
    },
}

impl Opening {
    /// Begins with what is there. Nobody else may have the directory open.
    pub fn new(directory: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { directory: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let manifest = Manifest::read(directory).map_err(failed)?.unwrap_or_default();
        Ok(Self { directory: directory.to_owned(), manifest, maps: Vec::new() })
    }

    /// Everything before this position of the log is in the index; the rest has to be inserted again.
    pub fn position(&self) -> Position {
        self.manifest.position
    }

    /// What was given for the position when it was frozen.
    pub fn mark(&self) -> u64 {
        self.manifest.mark
    }

    /// Deletes an index, so that the next opening begins with an empty one.
    pub fn discard(directory: &Path) -> Result<(), OpenError> {
        match fs::remove_dir_all(directory) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(OpenError::Io { directory: directory.to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    /// One map of the index, which is empty where it was not there.
    pub fn map<const K: usize, const V: usize>(
        &mut self,
        spec: MapSpec,
    ) -> Result<Map<K, V>, OpenError> {
        let runs = match self.manifest.maps.iter().find(|map| map.name == spec.name) {
            None => Vec::new(),
            Some(MapEntry { key_bytes, value_bytes, filter_on, runs, .. }) => {
                if (*key_bytes, *value_bytes, *filter_on) != (K, V, spec.filter.number()) {
                    let directory = self.directory.clone();
                    return Err(OpenError::OtherShape { directory, name: spec.name });
                }
                let open = |number: &u64| {
                    let path = self.directory.join(file_name(spec.name, *number));
                    Run::open(&path, *number, spec.filter).map(Arc::new)
                };
                runs.iter().map(open).collect::<Result<_, _>>()?
            }
        };
        let map = Map::new(spec, runs);
        self.maps.push(Arc::new(map.clone()));
        Ok(map)
    }

    /// Starts sealing behind the log, on a thread of its own. `durable` says how far the log is; when it is gone, sealing
    /// ends.
    pub fn start(self, durable: watch::Receiver<Position>) -> Result<Index, OpenError> {
        let directory = self.directory.clone();
        let failed = |source| OpenError::Io { directory: directory.clone(), source };
        let (mut index, sealing) = self.unthreaded(durable)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("index-sealer".to_owned())
            .spawn(move || runtime.block_on(sealing))
            .map_err(failed)?;
        index.thread = Some(thread);
        Ok(index)
    }

    /// [`Opening::start`] without the thread: sealing goes on while the future is polled. For simulations.
    pub fn unthreaded(
        self,
        durable: watch::Receiver<Position>,
    ) -> Result<(Index, impl Future<Output = ()> + Send + 'static), OpenError> {
        let Self { directory, manifest, maps } = self;
        let failed = |source| OpenError::Io { directory: directory.clone(), source };
        remove_orphans(&directory, &manifest).map_err(failed)?;
        let (freezes, freezes_received) = mpsc::unbounded_channel();
        let (alive, alive_received) = watch::channel(());
        let shared = Arc::new(Shared {
            sealed: AtomicU64::new(manifest.position.get()),
            sealed_freezes: AtomicU64::new(0),
            is_loading: AtomicBool::new(false),
            obstacle: Mutex::new(None),
        });
        let sealer = Sealer {
            directory: directory.clone(),
            manifest,
            maps: maps.clone(),
            shared: Arc::clone(&shared),
            durable,
            alive: alive_received,
        };
        let index = Index {
            maps,
            running: Some((freezes, alive)),
            freeze_count: AtomicU64::new(0),
            shared,
            thread: None,
        };
        Ok((index, sealer.run(freezes_received)))
    }
}

/// Files that a crash left behind before a manifest named them, or after none did any more.
fn remove_orphans(directory: &Path, manifest: &Manifest) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| manifest.names(name)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What the index and its sealer share.
pub(crate) struct Shared {
    pub(crate) sealed: AtomicU64,
    /// How many freezes are.
    pub(crate) sealed_freezes: AtomicU64,
    pub(crate) is_loading: AtomicBool,
    pub(crate) obstacle: Mutex<Option<Arc<str>>>,
}

/// A running index. Dropping it ends its thread; what is not sealed is in the log.
pub struct Index {
    maps: Vec<Arc<dyn Sealable>>,
    /// What the sealer is told, and that it is to go on; `None` only while the index is dropped.
    running: Option<(mpsc::UnboundedSender<Freeze>, watch::Sender<()>)>,
    freeze_count: AtomicU64,
    shared: Arc<Shared>,
    /// None where somebody else seals.
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("sealed", &self.sealed()).finish_non_exhaustive()
    }
}

impl Index {
    /// Has what was inserted so far sealed in the background, once everything before `position` is durable in the log.
    /// For the writer, between two records: everything before `position` is inserted, and nothing after it. `mark` is
    /// given back by [`Opening::mark`], to tell whether the log is still the same.
    pub fn freeze(&self, position: Position, mark: u64) {
        let number = self.freeze_count.fetch_add(1, Ordering::Relaxed);
        self.maps.iter().for_each(|map| map.freeze(number));
        if let Some((freezes, _)) = &self.running {
            // The sealer ends only with the index, or with the log.
            freezes.send(Freeze { number, position, mark }).unwrap_or_default();
        }
    }

    /// Says whether much is inserted and hardly anything read, as when the index is made again from the log. What comes is
    /// then kept as it comes, put in order when it is sealed, and merged at the end. A read sees everything nevertheless: it
    /// puts in order what there is, and takes as long as that takes.
    pub fn set_loading(&self, is_loading: bool) {
        self.shared.is_loading.store(is_loading, Ordering::Relaxed);
        self.maps.iter().for_each(|map| map.set_loading(is_loading));
    }

    /// Whether many freezes wait to be sealed, though they can be: loading should wait, or it runs away from the disk.
    pub fn is_behind(&self) -> bool {
        let sealed = self.shared.sealed_freezes.load(Ordering::Relaxed);
        let waiting = self.freeze_count.load(Ordering::Relaxed).saturating_sub(sealed);
        waiting > WAITING_MAX && self.obstacle().is_none()
    }

    /// Everything before this position of the log is sealed.
    pub fn sealed(&self) -> Position {
        Position::new(self.shared.sealed.load(Ordering::Acquire))
    }

    /// Why nothing can be sealed at the moment. Meanwhile what is inserted stays in memory.
    pub fn obstacle(&self) -> Option<Arc<str>> {
        self.shared.obstacle.lock().clone()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sealer of an index panicked");
        }
    }
}
