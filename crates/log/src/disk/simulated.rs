//! A disk in memory that fails as disks fail, driven by a seed.
//!
//! A write is seen by readers at once and durable after a sync. [`Simulated::crash`] cuts the power: of every write
//! that was not synced, each sector survives or is lost on its own, in any order; names that were not synced keep a
//! prefix of their changes; files opened before the crash answer errors for ever. What survives follows from the seed,
//! the number of the crash, the file's name and the sector alone, so that threads working on different files do not
//! disturb each other's fate.
//!
//! A sync that fails behaves as Linux does: some sectors became durable, the others are forgotten by the disk although
//! readers still see them, and the next sync succeeds without them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest;
use parking_lot::{Condvar, Mutex};

use super::{Disk, File, Lock, SharedFile};

/// What is written whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug)]
pub struct Simulated {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    seed: u64,
    /// How often the power was cut: files of earlier lives are dead.
    life: u64,
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since the last sync of their directory, in order.
    renames: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    bytes_max: u64,
    randoms: u64,
    is_sync_failing: bool,
    is_write_failing: bool,
    is_lying: bool,
    /// Changes that may still be made before the power goes, where it is to go at all.
    changes_left: Option<u64>,
    is_off: bool,
    /// Data syncs that may pass before they wait, where they wait at all.
    held: Option<u64>,
    waiting: u64,
}

#[derive(Debug, Default)]
struct Node {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Written and not yet synced, in order.
    pending: Vec<Pending>,
    /// How many failed syncs it has seen: each has a fate of its own.
    failed_syncs: u64,
}

#[derive(Debug)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
struct NameChange {
    path: PathBuf,
    node: Option<u64>,
}

#[derive(Debug)]
struct SimulatedFile {
    disk: Simulated,
    life: u64,
    node: u64,
    path: PathBuf,
}

impl Simulated {
    /// An empty disk of unlimited size.
    pub fn new(seed: u64) -> Self {
        let state = State {
            seed,
            life: 0,
            nodes: BTreeMap::new(),
            next_node: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            locks: BTreeSet::new(),
            bytes_max: u64::MAX,
            randoms: 0,
            is_sync_failing: false,
            is_write_failing: false,
            is_lying: false,
            changes_left: None,
            is_off: false,
            held: None,
            waiting: 0,
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Cuts the power and restores it. What was not synced survives in part; faults are lifted and locks released.
    pub fn crash(&self) {
        self.shared.state.lock().crash();
        self.shared.changed.notify_all();
    }

    /// Cuts the power at the change of a file or a name that follows on the next `changes` ones: wherever its user is then.
    /// Everything fails until [`Simulated::restore_power`].
    pub fn cut_power_after(&self, changes: u64) {
        self.shared.state.lock().changes_left = Some(changes);
    }

    /// Ends what [`Simulated::cut_power_after`] began. Whether the power had gone.
    pub fn restore_power(&self) -> bool {
        let mut state = self.shared.state.lock();
        state.changes_left = None;
        std::mem::take(&mut state.is_off)
    }

    /// From now on syncs of files are answered and not done, or done again: what a disk must never do. Shows that a
    /// simulation would notice.
    pub fn lie_about_syncs(&self, is_lying: bool) {
        self.shared.state.lock().is_lying = is_lying;
    }

    /// Kills whoever uses the disk, which itself goes on: nothing that was written is lost, and nothing that was not
    /// synced becomes durable.
    pub fn kill(&self) {
        let mut state = self.shared.state.lock();
        state.life += 1;
        state.revive();
        self.shared.changed.notify_all();
    }

    /// From now on writes and syncs of files fail, or no longer do.
    pub fn fail_writes(&self, is_failing: bool) {
        self.shared.state.lock().is_write_failing = is_failing;
    }

    /// From now on syncs of data fail, or no longer do.
    pub fn fail_syncs(&self, is_failing: bool) {
        self.shared.state.lock().is_sync_failing = is_failing;
    }

    /// All files together may take this many bytes.
    pub fn set_bytes_max(&self, bytes_max: u64) {
        self.shared.state.lock().bytes_max = bytes_max;
    }

    /// Bytes of all files.
    pub fn bytes_used(&self) -> u64 {
        self.shared.state.lock().bytes_used()
    }

    /// Data syncs wait from now on, except for the next `passing` ones.
    pub fn hold_syncs(&self, passing: u64) {
        self.shared.state.lock().held = Some(passing);
        self.shared.changed.notify_all();
    }

    /// Data syncs wait no longer.
    pub fn release_syncs(&self) {
        self.shared.state.lock().held = None;
        self.shared.changed.notify_all();
    }

    /// Blocks until a data sync waits and none that may pass is left.
    pub fn wait_until_held(&self) {
        let mut state = self.shared.state.lock();
        while !(state.waiting > 0 && state.held == Some(0)) {
            self.shared.changed.wait(&mut state);
        }
    }

    /// Turns one bit of a file around, durably, as a failing medium does.
    pub fn flip(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let id = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let node = state.nodes.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let at = to_usize(bit / 8)?;
        for bytes in [&mut node.now, &mut node.durable] {
            *bytes.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)? ^= 1 << (bit % 8);
        }
        Ok(())
    }

    /// What a file holds now.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.shared.state.lock();
        let id = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.nodes.get(id).ok_or(io::ErrorKind::NotFound)?.now.clone())
    }

    /// SHA-256 of all names and contents: equal for equal disks.
    pub fn digest(&self) -> [u8; 32] {
        let state = self.shared.state.lock();
        let mut context = digest::Context::new(&digest::SHA256);
        for (path, id) in &state.names {
            let node = state.nodes.get(id);
            let bytes = node.map_or(&[][..], |node| &node.now);
            context.update(path.as_os_str().as_encoded_bytes());
            context.update(&[0]);
            context.update(&bytes.len().to_le_bytes());
            context.update(bytes);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

// === impl State ===

impl State {
    fn crash(&mut self) {
        self.life += 1;
        self.revive();
        let kept = self.dice("names", 0) % (to_u64(self.renames.len()) + 1);
        for change in self.renames.drain(..).take(usize::try_from(kept).unwrap_or(0)) {
            change.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
        let names: Vec<_> = self.names.iter().map(|(path, &id)| (path.clone(), id)).collect();
        let mut nodes = std::mem::take(&mut self.nodes);
        for (path, id) in names {
            let Some(mut node) = nodes.remove(&id) else { continue };
            let mut dice = Dice::new(self.dice(&path.to_string_lossy(), 1));
            node.settle(&mut dice);
            node.now.clone_from(&node.durable);
            self.nodes.insert(id, node);
        }
    }

    /// One more change is about to be made, unless the power goes now.
    fn change(&mut self) -> io::Result<()> {
        match self.changes_left {
            Some(0) => {
                self.changes_left = None;
                self.crash();
                self.is_off = true;
            }
            Some(left) => self.changes_left = Some(left - 1),
            None => {}
        }
        self.check_power()
    }

    fn check_power(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the disk has no power")) } else { Ok(()) }
    }

    fn revive(&mut self) {
        self.is_sync_failing = false;
        self.is_write_failing = false;
        self.held = None;
        self.locks.clear();
    }

    /// A number that follows from what is asked for alone.
    fn dice(&self, name: &str, purpose: u64) -> u64 {
        let start = mix(self.seed ^ mix(self.life) ^ mix(purpose).rotate_left(17));
        name.bytes().fold(start, |sum, byte| mix(sum ^ u64::from(byte)))
    }

    fn bytes_used(&self) -> u64 {
        self.nodes.values().map(|node| to_u64(node.now.len())).sum()
    }

    fn rename(&mut self, changes: impl IntoIterator<Item = NameChange>) {
        for change in changes {
            change.apply(&mut self.names);
            self.renames.push(change);
        }
        let still: BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .chain(self.renames.iter().filter_map(|change| change.node))
            .collect();
        // A file without a name holds space until the disk knows that the name is gone; here that is at once.
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        for (id, node) in &mut self.nodes {
            if !named.contains(id) {
                node.now = Vec::new();
            }
        }
        self.nodes.retain(|id, _| still.contains(id));
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self.node {
            Some(node) => names.insert(self.path.clone(), node),
            None => names.remove(&self.path),
        };
    }
}

// === impl Node ===

impl Node {
    /// Some of what is pending becomes durable, sector by sector and in any order; the rest is gone.
    fn settle(&mut self, dice: &mut Dice) {
        let mut sectors = Vec::new();
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Write { offset, bytes } => sectors.extend(split(offset, &bytes)),
                Pending::Length(length) => {
                    if dice.roll(2) == 0 {
                        self.durable.resize(length, 0);
                    }
                }
            }
        }
        // All of it, nothing of it, or each sector on its own: the first two are common and must be met.
        let mode = dice.roll(4);
        while !sectors.is_empty() {
            let index = usize::try_from(dice.roll(to_u64(sectors.len()))).unwrap_or(0);
            let (offset, bytes) = sectors.swap_remove(index);
            let is_kept = mode == 0 || (mode > 1 && dice.roll(2) == 0);
            if is_kept {
                put(&mut self.durable, offset, &bytes);
            }
        }
    }
}

fn split(offset: usize, bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut sectors = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let count = (SECTOR_BYTES - (offset + at) % SECTOR_BYTES).min(rest.len());
        sectors.push((offset + at, rest.iter().take(count).copied().collect()));
        at += count;
    }
    sectors
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    if let Some(place) = file.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

// === impl Disk ===

impl Disk for Simulated {
    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<SharedFile> {
        let mut state = self.shared.state.lock();
        state.change()?;
        let node = state.next_node;
        state.next_node += 1;
        state.nodes.insert(node, Node::default());
        state.rename([NameChange { path: path.to_owned(), node: Some(node) }]);
        Ok(self.file(state.life, node, path))
    }

    fn open(&self, path: &Path) -> io::Result<SharedFile> {
        let state = self.shared.state.lock();
        state.check_power()?;
        let node = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(state.life, node, path))
    }

    fn open_read(&self, path: &Path) -> io::Result<SharedFile> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.change()?;
        let node = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.rename([
            NameChange { path: to.to_owned(), node: Some(node) },
            NameChange { path: from.to_owned(), node: None },
        ]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.change()?;
        state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        state.rename([NameChange { path: path.to_owned(), node: None }]);
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.shared.state.lock();
        state.check_power()?;
        let inside = |path: &&PathBuf| path.parent() == Some(directory);
        Ok(state.names.keys().filter(inside).cloned().collect())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.change()?;
        let (inside, outside): (Vec<_>, Vec<_>) = std::mem::take(&mut state.renames)
            .into_iter()
            .partition(|change| change.path.parent() == Some(directory));
        inside.iter().for_each(|change| change.apply(&mut state.durable_names));
        state.renames = outside;
        state.rename([]);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let mut state = self.shared.state.lock();
        state.check_power()?;
        let (disk, life, path) = (self.clone(), state.life, path.to_owned());
        let is_taken = state.locks.insert(path.clone());
        Ok(is_taken.then(|| -> Lock { Box::new(Held { disk, life, path }) }))
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.randoms += 1;
        let mut dice = Dice::new(mix(state.seed) ^ mix(state.randoms));
        bytes.iter_mut().for_each(|byte| *byte = dice.next().to_le_bytes()[0]);
        Ok(())
    }
}

struct Held {
    disk: Simulated,
    life: u64,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.shared.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

// === impl File ===

impl Simulated {
    fn file(&self, life: u64, node: u64, path: &Path) -> SharedFile {
        Arc::new(SimulatedFile { disk: self.clone(), life, node, path: path.to_owned() })
    }
}

impl SimulatedFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.shared.state.lock();
        self.check(&state)?;
        act(&mut state, self.node)
    }

    fn check(&self, state: &State) -> io::Result<()> {
        if state.life == self.life && state.nodes.contains_key(&self.node) {
            Ok(())
        } else {
            Err(io::Error::other("the disk lost power"))
        }
    }

    fn sync(&self, is_data: bool) -> io::Result<()> {
        let mut state = self.disk.shared.state.lock();
        if is_data {
            self.wait_for_turn(&mut state)?;
        }
        self.check(&state)?;
        state.change()?;
        let is_failing = (state.is_sync_failing && is_data) || state.is_write_failing;
        let is_lying = state.is_lying;
        let fate = state.dice(&self.path.to_string_lossy(), 2);
        let node = state.nodes.get_mut(&self.node).ok_or(io::ErrorKind::NotFound)?;
        if is_failing {
            node.failed_syncs += 1;
            let mut dice = Dice::new(fate ^ mix(node.failed_syncs));
            node.settle(&mut dice);
            return Err(io::Error::other("the disk failed to sync"));
        }
        if is_lying {
            return Ok(());
        }
        for pending in node.pending.drain(..) {
            match pending {
                Pending::Write { offset, bytes } => put(&mut node.durable, offset, &bytes),
                Pending::Length(length) => node.durable.resize(length, 0),
            }
        }
        Ok(())
    }

    fn wait_for_turn(&self, state: &mut parking_lot::MutexGuard<'_, State>) -> io::Result<()> {
        state.waiting += 1;
        self.disk.shared.changed.notify_all();
        while state.held == Some(0) && state.life == self.life {
            self.disk.shared.changed.wait(state);
        }
        state.waiting -= 1;
        self.check(state)?;
        state.held = state.held.map(|passing| passing.saturating_sub(1));
        Ok(())
    }
}

impl File for SimulatedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state, id| {
            let now = state.nodes.get(&id).map_or(&[][..], |node| &node.now);
            let rest = now.get(to_usize(offset)?..).unwrap_or_default();
            let count = rest.len().min(bytes.len());
            if let (Some(to), Some(from)) = (bytes.get_mut(..count), rest.get(..count)) {
                to.copy_from_slice(from);
            }
            Ok(count)
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.change()?;
            if state.is_write_failing {
                return Err(io::Error::other("the disk failed to write"));
            }
            let offset = to_usize(offset)?;
            let used = state.bytes_used();
            let bytes_max = state.bytes_max;
            let node = state.nodes.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
            let growth = (offset + bytes.len()).saturating_sub(node.now.len());
            if growth > 0 && used + to_u64(growth) > bytes_max {
                return Err(io::ErrorKind::StorageFull.into());
            }
            put(&mut node.now, offset, bytes);
            node.pending.push(Pending::Write { offset, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(true)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(false)
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.change()?;
            let bytes = to_usize(bytes)?;
            let node = state.nodes.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
            node.now.resize(bytes, 0);
            node.pending.push(Pending::Length(bytes));
            Ok(())
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        self.with(|state, id| Ok(state.nodes.get(&id).map_or(0, |node| to_u64(node.now.len()))))
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Dice {
    state: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// Below `sides`, which is not 0.
    fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

fn to_usize(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
