//! Keys of data subjects: what is sealed with a key that is destroyed is gone, wherever it was copied to.
//!
//! An event that is marked with the extension `datasubject` is [sealed](seal) with that subject's key. The keys are in a
//! [file](file) of their own, wrapped with the master key ([`MasterKey`]), and never in the log: destroying one changes
//! no byte of the log, so all proofs over it still hold. The log says which subjects are erased; a start destroys their
//! keys again, so that an old copy of the key file brings nothing back.

mod cache;
mod file;
mod keys;
mod master;
mod seal;
mod table;

pub use self::{file::KeyFileError, master::MasterKeyError};
pub(crate) use self::{
    keys::{SubjectKey, SubjectKeys, SubjectKeysError, Wanted},
    master::MasterKey,
    seal::{Bound, Opened, open, seal},
};

use aws_lc_rs::digest;

/// The extension attribute that marks an event with its subject.
pub(crate) const DATA_SUBJECT: &str = "datasubject";
/// Set on an event whose subject is erased.
pub(crate) const REDACTED: &str = "lombardredacted";
/// Longest name of a subject.
pub(crate) const SUBJECT_BYTES_MAX: usize = 255;

/// The SHA-256 of a subject's name.
type SubjectHash = [u8; 32];

fn hash(subject: &str) -> SubjectHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, subject.as_bytes()).as_ref());
    hash
}

/// Whether a text can name a subject.
pub(crate) fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= SUBJECT_BYTES_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
