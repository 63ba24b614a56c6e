//! Compares the copy with what its source has signed.

use std::{convert::Infallible, sync::Arc};

use lombard_log::{
    checkpoint::{Checkpoint, VerifyingKey},
    merkle::{MerkleError, TreeHash, verify_consistency},
};

use crate::{MirrorError, Source, SourceError, kept::Kept, mirror::Shared};

/// What stops the copy, and what may pass.
enum Trouble {
    Lasting(MirrorError),
    Passing(SourceError),
}

impl From<MirrorError> for Trouble {
    fn from(error: MirrorError) -> Self {
        Self::Lasting(error)
    }
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Passing(error)
    }
}

impl From<MerkleError> for Trouble {
    fn from(error: MerkleError) -> Self {
        Self::Lasting(error.into())
    }
}

/// Compares for ever. Ends where the copy and its source contradict each other.
pub(crate) async fn run(
    source: &impl Source,
    shared: &Arc<Shared>,
) -> Result<Infallible, MirrorError> {
    let mut failures = 0;
    loop {
        match compare(source, shared).await {
            Ok(()) => {
                failures = 0;
                tokio::time::sleep(shared.config.verify_every()).await;
                wait_for_more(shared).await?;
            }
            Err(Trouble::Lasting(error)) => return Err(error),
            Err(Trouble::Passing(error)) => {
                tracing::debug!(%error, "the copy could not be compared yet");
                failures += 1;
                let pause = shared.config.pause(failures);
                tokio::time::sleep(pause.max(shared.config.verify_every() / 10)).await;
            }
        }
    }
}

/// Waits until the copy has records that no checkpoint has covered.
async fn wait_for_more(shared: &Shared) -> Result<(), MirrorError> {
    let verified = shared.state.lock().verified_records;
    shared.tree.wait_for(verified.saturating_add(1)).await?;
    Ok(())
}

async fn compare(source: &impl Source, shared: &Arc<Shared>) -> Result<(), Trouble> {
    let note = source.checkpoint().await?;
    let key = trusted_key(source, shared).await?;
    let checkpoint = Checkpoint::verify(&note, &key).map_err(MirrorError::from)?;
    is_same_log(shared, &checkpoint)?;
    let verified = shared.state.lock().verified_records;
    if checkpoint.size < verified {
        let (source_records, copied_records) = (checkpoint.size, verified);
        return Err(MirrorError::Shorter { source_records, copied_records }.into());
    }
    let copied = shared.tail().get();
    shared.tree.wait_for(copied.min(checkpoint.size)).await?;
    let size = copied.min(checkpoint.size);
    let root = root(shared, size).await?;
    let fits = if size == checkpoint.size {
        root == checkpoint.root
    } else if size == 0 {
        true
    } else {
        let path = source.consistency(size, checkpoint.size).await?;
        verify_consistency(size, &root, checkpoint.size, &checkpoint.root, &path)
    };
    if !fits {
        return Err(MirrorError::Contradicted { size }.into());
    }
    shared.state.lock().verified_records = size;
    let whole = size == checkpoint.size;
    keep(shared, &checkpoint, &key, whole.then_some(note.as_ref()))?;
    Ok(())
}

/// The key that the configuration says, or the one that was seen first. The source must show the same.
async fn trusted_key(source: &impl Source, shared: &Shared) -> Result<VerifyingKey, Trouble> {
    let kept = shared.kept.lock().as_ref().map(|kept| kept.key.clone());
    let found = source.key().await?;
    match shared.config.key.clone().or(kept) {
        Some(trusted) if trusted != found => Err(MirrorError::OtherKey { trusted, found }.into()),
        _ => Ok(VerifyingKey::parse(&found).map_err(MirrorError::from)?),
    }
}

fn is_same_log(shared: &Shared, checkpoint: &Checkpoint) -> Result<(), MirrorError> {
    match &*shared.kept.lock() {
        Some(kept) if kept.origin != checkpoint.origin => Err(MirrorError::OtherLog {
            kept: kept.origin.clone(),
            found: checkpoint.origin.clone(),
        }),
        _ => Ok(()),
    }
}

/// Remembers the source, and its checkpoint where all of it was compared.
fn keep(
    shared: &Shared,
    checkpoint: &Checkpoint,
    key: &VerifyingKey,
    whole: Option<&[u8]>,
) -> Result<(), MirrorError> {
    let before = shared.kept.lock().clone();
    let note = whole.and_then(|note| std::str::from_utf8(note).ok()).map(str::to_owned);
    let note = note.or_else(|| before.as_ref().and_then(|kept| kept.checkpoint.clone()));
    let now = Kept { origin: checkpoint.origin.clone(), key: key.to_string(), checkpoint: note };
    if before.as_ref() != Some(&now) {
        now.write(&shared.directory)?;
        shared.origin.send_replace(Some(now.origin.as_str().into()));
        *shared.kept.lock() = Some(now);
    }
    Ok(())
}

/// Reads the leaves' file where nobody waits for it.
async fn root(shared: &Arc<Shared>, size: u64) -> Result<TreeHash, MerkleError> {
    let shared = Arc::clone(shared);
    let root = tokio::task::spawn_blocking(move || shared.tree.root(size)).await;
    root.map_err(|_| MerkleError::Closed)?
}
