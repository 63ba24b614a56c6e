//! Recomputes a log from what a server says of it, and believes none of it.
//!
//! The server's tree is tied to the trusted checkpoint by a consistency proof. Then, page by page, the tree that is
//! recomputed from the records is tied to the server's tree by another. So the first record that does not fit is found
//! within its page, without keeping anything of the pages before it.

use lombard_log::{
    checkpoint::{Checkpoint, VerifyingKey},
    maintain::Progress,
    merkle::{RootOnly, Tree, TreeHash, verify_consistency},
};
use lombard_types::Position;

use super::{Trusted, Verified};
use crate::exit::CheckFailed;

/// A record as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) position: u64,
    pub(super) payload: Vec<u8>,
}

/// What a server says of a log.
pub(super) trait Feed {
    async fn key(&self) -> anyhow::Result<String>;
    async fn checkpoint(&self) -> anyhow::Result<String>;
    async fn consistency(&self, from: u64, to: u64) -> anyhow::Result<Vec<TreeHash>>;
    /// Some records from `from` on, in order.
    async fn records(&self, from: u64) -> anyhow::Result<Vec<Sent>>;
}

/// Reads the log up to its newest checkpoint. A [`CheckFailed`] says what does not fit.
pub(super) async fn verify(
    feed: &impl Feed,
    trusted: &Trusted,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Verified> {
    let key = match &trusted.key {
        Some(key) => key.clone(),
        None => VerifyingKey::parse(feed.key().await?.trim_end())?,
    };
    // Refused before anything is asked, if it is not what it should be.
    let kept =
        trusted.checkpoint.as_ref().map(|note| signed(note, &key, "the checkpoint you kept"));
    let kept = kept.transpose()?;
    let note = feed.checkpoint().await?;
    let newest = signed(note.as_bytes(), &key, "the newest checkpoint")?;
    if let Some(kept) = &kept {
        continues(feed, kept, &newest).await?;
    }
    let mut tree = Tree::empty_on(RootOnly);
    while tree.size() < newest.size {
        let before = tree.clone();
        let hashes = page(feed, tree.size(), newest.size).await?;
        tree.append(&hashes)?;
        if !is_beginning(feed, &tree, &newest).await? {
            let position = first_that_differs(feed, &before, &hashes, &newest).await?;
            return Err(failed(format!(
                "record {position} is not the one that the checkpoint was made over"
            )));
        }
        progress(Progress { done: tree.size(), total: newest.size });
    }
    if tree.root(newest.size)? != newest.root {
        return Err(failed("the records are not those that the checkpoint was made over"));
    }
    let proved = kept.map(|kept| kept.size);
    Ok(Verified { records: newest.size, proved, newest: Some((note, key)) })
}

fn failed(fault: impl Into<String>) -> anyhow::Error {
    CheckFailed(fault.into()).into()
}

fn signed(note: &[u8], key: &VerifyingKey, what: &str) -> anyhow::Result<Checkpoint> {
    Checkpoint::verify(note, key).map_err(|error| failed(format!("{what}: {error}")))
}

/// The newest checkpoint must be a later state of what the kept one was made over.
async fn continues(feed: &impl Feed, kept: &Checkpoint, newest: &Checkpoint) -> anyhow::Result<()> {
    if kept.origin != newest.origin {
        let fault =
            format!("this is {}, the checkpoint you kept is of {}", newest.origin, kept.origin);
        return Err(failed(fault));
    }
    if newest.size < kept.size {
        return Err(failed(format!(
            "the log has {} records, the checkpoint {}: record {} is missing",
            newest.size, kept.size, newest.size
        )));
    }
    let path = feed.consistency(kept.size, newest.size).await?;
    let (old, new) = ((kept.size, &kept.root), (newest.size, &newest.root));
    if verify_consistency(old.0, old.1, new.0, new.1, &path) {
        Ok(())
    } else {
        let fault =
            format!("the first {} records are not those of the checkpoint you kept", kept.size);
        Err(failed(fault))
    }
}

/// The leaves of the next records; none behind `end`.
async fn page(feed: &impl Feed, from: u64, end: u64) -> anyhow::Result<Vec<TreeHash>> {
    let records = feed.records(from).await?;
    let mut hashes = Vec::with_capacity(records.len());
    for (expected, record) in (from..end).zip(&records) {
        if record.position != expected {
            return Err(failed(format!("record {expected} is missing")));
        }
        hashes.push(TreeHash::of_record(Position::new(expected), &record.payload));
    }
    if hashes.is_empty() {
        return Err(failed(format!("record {from} is missing")));
    }
    Ok(hashes)
}

/// Whether the server can prove that the recomputed tree is a beginning of its own.
async fn is_beginning(
    feed: &impl Feed,
    tree: &Tree<RootOnly>,
    newest: &Checkpoint,
) -> anyhow::Result<bool> {
    let (size, root) = (tree.size(), tree.root(tree.size())?);
    if size == newest.size {
        return Ok(root == newest.root);
    }
    let path = feed.consistency(size, newest.size).await?;
    Ok(verify_consistency(size, &root, newest.size, &newest.root, &path))
}

/// Halves the page until one record is left: `before` fits, and with all of `hashes` it does not.
async fn first_that_differs(
    feed: &impl Feed,
    before: &Tree<RootOnly>,
    hashes: &[TreeHash],
    newest: &Checkpoint,
) -> anyhow::Result<u64> {
    let (mut fits, mut differs) = (0, hashes.len());
    while differs - fits > 1 {
        let middle = fits + (differs - fits) / 2;
        let mut tree = before.clone();
        tree.append(hashes.get(..middle).unwrap_or_default())?;
        if is_beginning(feed, &tree, newest).await? {
            fits = middle;
        } else {
            differs = middle;
        }
    }
    Ok(before.size() + u64::try_from(fits)?)
}

#[cfg(test)]
mod tests;
