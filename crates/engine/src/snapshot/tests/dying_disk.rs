//! A disk whose user dies after some steps: whatever is asked of it from then on fails.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use lombard_log::disk::{Disk, File, Lock, SharedFile, Simulated};

/// The steps that are left; each change of the disk is one.
#[derive(Clone, Debug)]
struct Life(Arc<AtomicI64>);

impl Life {
    fn step(&self) -> io::Result<()> {
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 {
            Ok(())
        } else {
            Err(io::Error::other("dead"))
        }
    }
}

#[derive(Debug)]
pub(super) struct DyingDisk {
    disk: Simulated,
    life: Life,
}

#[derive(Debug)]
struct DyingFile {
    file: SharedFile,
    life: Life,
}

impl DyingDisk {
    pub(super) fn new(disk: Simulated, steps: i64) -> Self {
        Self { disk, life: Life(Arc::new(AtomicI64::new(steps))) }
    }

    fn file(&self, file: SharedFile) -> SharedFile {
        Arc::new(DyingFile { file, life: self.life.clone() })
    }
}

impl Disk for DyingDisk {
    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        self.disk.create_directory(directory)
    }

    fn create(&self, path: &Path) -> io::Result<SharedFile> {
        self.life.step()?;
        self.disk.create(path).map(|file| self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<SharedFile> {
        self.disk.open(path).map(|file| self.file(file))
    }

    fn open_read(&self, path: &Path) -> io::Result<SharedFile> {
        self.disk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.life.step()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.life.step()?;
        self.disk.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(directory)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.life.step()?;
        self.disk.sync_directory(directory)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.disk.lock(path)
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.disk.random(bytes)
    }
}

impl File for DyingFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.life.step()?;
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.life.step()?;
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.life.step()?;
        self.file.sync_all()
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        self.life.step()?;
        self.file.set_bytes(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}
