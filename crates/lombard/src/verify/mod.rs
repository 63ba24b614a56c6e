//! `lombard verify`: whether logs are what their checkpoints say, and whether those fit the one that somebody kept.
//!
//! [`files`] reads logs and backups on disk, [`feed`] and [`remote`] a running platform's. Both recompute everything
//! from the records; nothing that the target says of itself is taken over.

mod feed;
mod files;
mod remote;

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use lombard_log::checkpoint::{Checkpoint, VerifyingKey};

use crate::{
    cli::{CommonArguments, VerifyArguments},
    exit::CheckFailed,
};

/// What the caller trusts: nothing of it comes from the target.
#[derive(Clone, Debug, Default)]
struct Trusted {
    checkpoint: Option<Vec<u8>>,
    key: Option<VerifyingKey>,
}

/// A log whose records fit.
#[derive(Clone, Debug)]
struct Verified {
    records: u64,
    /// How many of them the trusted checkpoint was made over, and that they are the same.
    proved: Option<u64>,
    /// The newest checkpoint, as the target says it, and the key that verifies it.
    newest: Option<(String, VerifyingKey)>,
}

pub(crate) fn run(common: &CommonArguments, arguments: &VerifyArguments) -> anyhow::Result<()> {
    let trusted = Trusted::read(arguments)?;
    let is_url = ["http://", "https://"].iter().any(|scheme| arguments.target.starts_with(scheme));
    let results = if is_url {
        crate::block_on(remote::run(common, &arguments.target, &trusted))?
    } else {
        files::run(Path::new(&arguments.target), &trusted)?
    };
    let mut failed = 0;
    for (name, result) in &results {
        match result {
            Ok(verified) => print(name, verified, &trusted),
            Err(CheckFailed(fault)) => {
                failed += 1;
                println!("{name:<10} FAILED: {fault}");
            }
        }
    }
    if failed > 0 {
        return Err(CheckFailed(format!("{failed} log(s) are not what they should be")).into());
    }
    if let Some(path) = &arguments.save {
        save(path, &results)?;
    }
    Ok(())
}

type Results = Vec<(String, Result<Verified, CheckFailed>)>;

impl Trusted {
    fn read(arguments: &VerifyArguments) -> anyhow::Result<Self> {
        let read = |path: &std::path::PathBuf| {
            fs::read(path).with_context(|| format!("failed to read {}", path.display()))
        };
        let checkpoint = arguments.checkpoint.as_ref().map(read).transpose()?;
        Ok(Self { checkpoint, key: arguments.key.clone() })
    }

    /// The only log that is meant, where the caller said something that is of one log.
    fn origin(&self) -> anyhow::Result<Option<String>> {
        if let Some(note) = &self.checkpoint {
            let checkpoint =
                Checkpoint::parse_unverified(note).context("--checkpoint is not a checkpoint")?;
            return Ok(Some(checkpoint.origin));
        }
        Ok(self.key.as_ref().map(|key| key.name().to_owned()))
    }
}

/// Says what was proved, and what was not.
fn print(name: &str, verified: &Verified, trusted: &Trusted) {
    let Verified { records, proved, newest } = verified;
    println!("{name:<10} {records} records are readable and fit");
    if let Some(size) = proved {
        println!(
            "  Proved: the first {size} are exactly those that the checkpoint you kept was made over."
        );
        return;
    }
    let Some((note, key)) = newest else {
        println!(
            "  Not proved: that they are what was written. There is no checkpoint to compare them with."
        );
        return;
    };
    if trusted.key.is_some() {
        println!(
            "  Proved: whoever has the key you gave signed them so. Not proved: that this was the only thing signed."
        );
    } else {
        println!(
            "  Not proved: that nobody rewrote the records and signed them anew. Nothing that you kept was compared."
        );
    }
    println!(
        "  Keep this checkpoint and its key where nobody who can write the log can change them:\n"
    );
    println!("{note}\n  key {key}\n");
}

fn save(path: &Path, results: &Results) -> anyhow::Result<()> {
    let notes: Vec<_> =
        results.iter().filter_map(|(_, result)| result.as_ref().ok()?.newest.as_ref()).collect();
    ensure!(notes.len() == 1, "--save is for one log: name it, such as .../v1/ledger");
    for (note, _) in notes {
        fs::write(path, note).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}
