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
            Ok(verified) => print(name, verified),
            Err(CheckFailed(fault)) => {
                failed += 1;
                println!("{name:<10} FAILED: {fault}");
            }
        }
    }
    print_what_to_keep(&results, &trusted);
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

fn print(name: &str, verified: &Verified) {
    let Verified { records, proved, newest } = verified;
    println!("{name:<10} {records} records are readable and fit");
    if let Some(size) = proved {
        println!(
            "  Proved: the first {size} are exactly those that the checkpoint you kept was made over."
        );
    } else if newest.is_none() {
        println!(
            "  Not proved: that they are what was written. There is no checkpoint to compare them with."
        );
    }
}

/// Where nothing that was kept was compared: what that means, and what to keep.
fn print_what_to_keep(results: &Results, trusted: &Trusted) {
    let verified = results.iter().filter_map(|(_, result)| result.as_ref().ok());
    let newest: Vec<_> = verified
        .filter(|verified| verified.proved.is_none())
        .filter_map(|verified| verified.newest.as_ref())
        .collect();
    if newest.is_empty() {
        return;
    }
    if trusted.key.is_some() {
        println!(
            "\nProved: whoever has the key that you gave signed these records. Not proved: that nothing else was signed."
        );
    } else {
        println!(
            "\nNot proved: that nobody rewrote the records and signed them anew. Nothing that you kept was compared."
        );
    }
    println!("Keep what follows where nobody who can write the logs can change it:\n");
    for (note, key) in newest {
        println!("{note}\nkey {key}\n");
    }
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
