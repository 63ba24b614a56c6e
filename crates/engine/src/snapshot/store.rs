//! The directory of snapshots: which there are, and which can be used.
//!
//! ```text
//!  snapshot-<position, 16 hexadecimal digits>        whole
//!  snapshot-<position, 16 hexadecimal digits>.new    being written, or left by a crash
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use lombard_log::{ReadError, SharedLog, disk::SharedDisk};
use lombard_types::{Position, Timestamp};

use super::{
    Snapshot, SnapshotInfo,
    file::{self, Header, Unusable},
};
use crate::{Codec, StartError, StateAt, replay::Replay};

/// Whole snapshots that are kept; at least 1.
const KEPT: usize = 2;
const PREFIX: &str = "snapshot-";
const UNFINISHED: &str = ".new";

/// A machine from a snapshot.
pub(crate) struct Opened<M> {
    pub(crate) state: StateAt<M>,
    pub(crate) info: SnapshotInfo,
}

/// The snapshots of one machine.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotStore {
    name: &'static str,
    disk: SharedDisk,
    directory: PathBuf,
}

impl SnapshotStore {
    pub(crate) fn new(name: &'static str, disk: SharedDisk, directory: PathBuf) -> Self {
        Self { name, disk, directory }
    }

    /// The machine from the newest snapshot that belongs to `log` and can be used; `None` where there is none. `empty`
    /// makes the machine that the state is given to.
    pub(crate) async fn newest<M, C>(
        &self,
        log: &SharedLog,
        codec: &C,
        empty: &impl Fn() -> M,
    ) -> Option<Opened<M>>
    where
        M: Snapshot,
        C: Codec<Event = M::Event>,
    {
        // Whoever made it is gone: there is one process on a log, and in it one thread that makes snapshots.
        for left in self.paths().iter().filter(|path| is_unfinished(path)) {
            self.remove(left);
        }
        self.first_usable(log, codec, empty, |path, cause| self.set_aside(path, cause)).await
    }

    /// The same for a reader beside the one that makes snapshots: it takes nothing away, not even what is being written. One that
    /// goes away meanwhile has a newer one beside it.
    pub(crate) async fn newest_for_reader<M, C>(
        &self,
        log: &SharedLog,
        codec: &C,
        empty: &impl Fn() -> M,
    ) -> Option<Opened<M>>
    where
        M: Snapshot,
        C: Codec<Event = M::Event>,
    {
        self.first_usable(log, codec, empty, |_, _| ()).await
    }

    /// From the newest to the oldest. What becomes of those that cannot be used is told by `unusable`.
    async fn first_usable<M, C>(
        &self,
        log: &SharedLog,
        codec: &C,
        empty: &impl Fn() -> M,
        unusable: impl Fn(&Path, &Unusable),
    ) -> Option<Opened<M>>
    where
        M: Snapshot,
        C: Codec<Event = M::Event>,
    {
        for (position, path) in self.list() {
            match self.open(log, codec, (position, &path), empty).await {
                Ok(opened) => return Some(opened),
                Err(cause) => {
                    let snapshot = path.display();
                    tracing::warn!(machine = self.name, %snapshot, %cause, "left a snapshot aside");
                    unusable(&path, &cause);
                }
            }
        }
        None
    }

    async fn open<M, C>(
        &self,
        log: &SharedLog,
        codec: &C,
        (position, path): (Position, &Path),
        empty: &impl Fn() -> M,
    ) -> Result<Opened<M>, Unusable>
    where
        M: Snapshot,
        C: Codec<Event = M::Event>,
    {
        let started = Instant::now();
        if position > *log.durable().borrow() {
            return Err(Unusable::OtherLog("the log ends before it"));
        }
        let file = self.disk.open_read(path)?;
        let header = file::check(&file)?;
        if header.position != position {
            return Err(Unusable::Damaged("its name is not that of its position"));
        }
        // Times strictly increase over a log, so that the time of its last record tells one history from another.
        let replay = Replay { name: self.name, log, codec };
        match replay.time_before(position).await {
            Ok(time) if time != header.last_time => {
                return Err(Unusable::OtherLog("the record before it was written at another time"));
            }
            // A log that begins at the snapshot, or whose fault replaying the tail will tell.
            Ok(_) | Err(StartError::Read { source: ReadError::Trimmed { .. }, .. }) => {}
            Err(_) => return Err(Unusable::OtherLog("the record before it cannot be read")),
        }
        let machine = file::read(&file, &header, empty())?;
        let state = StateAt { machine, position, last_time: Some(header.last_time) };
        Ok(Opened { state, info: header.info(started.elapsed()) })
    }

    /// What can never be used again goes away, so that it cannot be mistaken for the state of another history later.
    fn set_aside(&self, path: &Path, cause: &Unusable) {
        if matches!(cause, Unusable::Damaged(_) | Unusable::OtherLog(_)) {
            self.remove(path);
        }
    }

    /// Writes a snapshot; it is there when this returns, and two are left.
    pub(crate) fn write<M: Snapshot>(
        &self,
        machine: &M,
        at: (Position, Timestamp),
        may_go_on: &dyn Fn() -> bool,
    ) -> io::Result<Header> {
        self.disk.create_directory(&self.directory)?;
        let path = self.directory.join(format!("{PREFIX}{:016x}", at.0.get()));
        let unfinished = path.with_extension("new");
        let written = self
            .disk
            .create(&unfinished)
            .and_then(|file| file::write(&*file, machine, at, may_go_on))
            .and_then(|header| self.disk.rename(&unfinished, &path).map(|()| header));
        if written.is_err() {
            self.remove(&unfinished);
        }
        let header = written?;
        self.disk.sync_directory(&self.directory)?;
        for (_, old) in self.list().iter().skip(KEPT) {
            self.remove(old);
        }
        Ok(header)
    }

    /// Where the oldest snapshot stands that a start may fall back to; `None` where there are not yet as many as are kept.
    pub(crate) fn oldest_needed(&self) -> Option<Position> {
        self.list().get(KEPT - 1).map(|(position, _)| *position)
    }

    /// All whole snapshots, the newest first.
    pub(super) fn list(&self) -> Vec<(Position, PathBuf)> {
        let mut found: Vec<_> =
            self.paths().into_iter().filter_map(|path| Some((position_of(&path)?, path))).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.disk.list(&self.directory).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(machine = self.name, %error, "failed to list the snapshots");
            }
            Vec::new()
        })
    }

    /// A file too many does no harm: it is tried again with the next snapshot.
    fn remove(&self, path: &Path) {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = path.display();
                tracing::warn!(machine = self.name, %path, %error, "failed to remove a snapshot");
            }
            _ => {}
        }
    }
}

fn position_of(path: &Path) -> Option<Position> {
    let digits = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_ours = digits.len() == 16 && digits.bytes().all(is_digit);
    u64::from_str_radix(digits, 16).ok().filter(|_| is_ours).map(Position::new)
}

fn is_unfinished(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(UNFINISHED))
}
