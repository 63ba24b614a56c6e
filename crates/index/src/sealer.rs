//! The background: seals what was frozen, then merges.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lombard_types::Position;
use tokio::sync::{mpsc, watch};

use crate::{
    ReadError,
    index::Shared,
    manifest::Manifest,
    map::{Files, Sealable},
};

/// How long to wait after a failure, such as a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The tables frozen by now hold everything before a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freeze {
    pub(crate) number: u64,
    pub(crate) position: Position,
    pub(crate) mark: u64,
}

pub(crate) struct Sealer {
    pub(crate) directory: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) maps: Vec<Arc<dyn Sealable>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) durable: watch::Receiver<Position>,
    /// Its sender is the index.
    pub(crate) alive: watch::Receiver<()>,
}

impl Sealer {
    pub(crate) async fn run(mut self, mut freezes: mpsc::UnboundedReceiver<Freeze>) {
        while let Some(freeze) = freezes.recv().await {
            tokio::select! {
                biased;
                durable = self.durable.wait_for(|durable| *durable >= freeze.position) => {
                    if durable.is_err() {
                        return;
                    }
                }
                // Nothing is left to wait for when the index is dropped.
                () = gone(&mut self.alive) => return,
            }
            loop {
                match self.seal(freeze) {
                    Ok(()) => {
                        *self.shared.obstacle.lock() = None;
                        break;
                    }
                    Err(error) => self.report(&error),
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(RETRY_AFTER) => {}
                    () = gone(&mut self.alive) => return,
                }
            }
        }
    }

    fn report(&self, error: &ReadError) {
        self.maps.iter().for_each(|map| map.abandon());
        let cause: Arc<str> = error.to_string().into();
        let mut obstacle = self.shared.obstacle.lock();
        if obstacle.as_ref() != Some(&cause) {
            tracing::warn!(%error, "an index cannot be sealed; it grows in memory until it can");
        }
        *obstacle = Some(cause);
    }

    fn seal(&mut self, freeze: Freeze) -> Result<(), ReadError> {
        let mut files = Files { directory: &self.directory, next: &mut self.manifest.next };
        for map in &self.maps {
            map.seal(freeze.number, &mut files)?;
        }
        self.commit(freeze.position, freeze.mark)?;
        self.shared.sealed_freezes.store(freeze.number + 1, Ordering::Relaxed);
        // One merge may lead to the next.
        loop {
            let mut files = Files { directory: &self.directory, next: &mut self.manifest.next };
            let mut is_merged = false;
            let is_loading = self.shared.is_loading.load(Ordering::Relaxed);
            for map in &self.maps {
                is_merged |= map.merge(&mut files, is_loading)?;
            }
            if !is_merged {
                return Ok(());
            }
            self.commit(freeze.position, freeze.mark)?;
        }
    }

    /// Makes what the maps have staged take effect: first in the manifest, then in memory.
    fn commit(&mut self, position: Position, mark: u64) -> Result<(), ReadError> {
        self.manifest.position = position;
        self.manifest.mark = mark;
        self.manifest.maps = self.maps.iter().map(|map| map.entry()).collect();
        self.manifest.write(&self.directory).map_err(|error| ReadError {
            file: self.directory.clone(),
            cause: error.to_string().into(),
        })?;
        for map in &self.maps {
            for unused in map.commit() {
                if let Err(error) = fs::remove_file(&unused) {
                    tracing::warn!(file = %unused.display(), %error, "failed to remove a merged file");
                }
            }
        }
        self.shared.sealed.store(position.get(), Ordering::Release);
        Ok(())
    }
}

/// Resolves when the index is dropped.
async fn gone(alive: &mut watch::Receiver<()>) {
    while alive.changed().await.is_ok() {}
}
