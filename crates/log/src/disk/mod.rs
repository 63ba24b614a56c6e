//! What a log needs of a disk: the seam at which faults are injected.
//!
//! [`Real`] is the file system. [`Simulated`] is memory that loses, tears and refuses what a real disk may lose, tear
//! and refuse, driven by a seed. Beside bytes, a disk gives the randomness that ends up in files, so that everything
//! a simulated log writes follows from its seed.

use std::{any::Any, fmt, io, path::Path, path::PathBuf, sync::Arc};

mod real;
mod simulated;

pub use real::Real;
pub use simulated::{SECTOR_BYTES, Simulated};

/// A disk that may be shared.
pub type SharedDisk = Arc<dyn Disk>;
/// A file that may be shared; closed with its last clone.
pub type SharedFile = Arc<dyn File>;

/// Held until it is dropped.
pub type Lock = Box<dyn Any + Send + Sync>;

/// Directories and the names in them. All calls block.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Makes the directory and those above it durably, where they are not there.
    fn create_directory(&self, directory: &Path) -> io::Result<()>;

    /// An empty file; what was there under this name is cut off.
    fn create(&self, path: &Path) -> io::Result<SharedFile>;

    /// A file that is there, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<SharedFile>;

    /// A file that is there, for reading only.
    fn open_read(&self, path: &Path) -> io::Result<SharedFile>;

    /// Gives a file, or a directory with all in it, another name, replacing a file that has it. Durable after [`Self::sync_directory`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`Self::sync_directory`].
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The paths of a directory's files, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// Takes the lock of this name, or `None` where somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;

    /// Fills `bytes` with what nobody can guess.
    fn random(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The bytes of a file. All calls block.
pub trait File: Send + Sync + fmt::Debug + 'static {
    /// Reads some bytes; 0 at the end of the file only.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of them, or fails with an unknown part written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable. After a failure it is unknown what is, and a later success says nothing about
    /// it.
    fn sync_data(&self) -> io::Result<()>;

    /// The same, and the file's length.
    fn sync_all(&self) -> io::Result<()>;

    /// Cuts the file off, or extends it with zeros.
    fn set_bytes(&self, bytes: u64) -> io::Result<()>;

    /// How long it is.
    fn bytes(&self) -> io::Result<u64>;
}
