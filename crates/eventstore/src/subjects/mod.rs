//! Keys of data subjects: what is sealed with a key that is destroyed is gone, wherever it was copied to.
//!
//! An event that is marked with the extension `datasubject` is [sealed](seal) with that subject's key. The keys are in a
//! [file](file) of their own, wrapped with the master key (`lombard_master_key`), and never in the log: destroying one changes
//! no byte of the log, so all proofs over it still hold. The log says which subjects are erased; a start destroys their
//! keys again, so that an old copy of the key file brings nothing back.
//!
//! **Invariant:** an answer that a subject is erased comes after its key is. When a write of the file fails, no key is
//! given out any more, so nothing that is sealed can be read: the role ends, and its restart finds out what is durable.

mod cache;
mod change;
mod file;
mod keys;
mod seal;
mod table;

pub use self::file::KeyFileError;
pub(crate) use self::{
    keys::{SubjectKey, SubjectKeys, SubjectKeysError},
    seal::{Bound, OpenError, Opened, open, seal},
};

use aws_lc_rs::digest;

/// The extension attribute that marks an event with its subject.
pub(crate) const DATA_SUBJECT: &str = "datasubject";
/// Set on an event whose subject is erased.
pub(crate) const REDACTED: &str = "lombardredacted";
/// Longest name of a subject.
const SUBJECT_BYTES_MAX: usize = 255;

/// The SHA-256 of a subject's name.
type SubjectHash = [u8; 32];

fn hash(subject: &str) -> SubjectHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, subject.as_bytes()).as_ref());
    hash
}

/// What a name must be.
pub(crate) const SUBJECT_GRAMMAR: &str =
    "must be 1 to 255 bytes without control characters, /, \\, ; and %, and not . or ..";

/// Whether a text can name a subject: it must also be one segment of a path, encoded in the one way that any proxy passes
/// on, or nobody could erase it.
pub(crate) fn is_subject(text: &str) -> bool {
    let is_good = |it: char| !it.is_control() && !matches!(it, '/' | '\\' | ';' | '%');
    (1..=SUBJECT_BYTES_MAX).contains(&text.len())
        && text.chars().all(is_good)
        && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests;
