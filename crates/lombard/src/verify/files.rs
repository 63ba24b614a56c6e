//! Logs on disk: of a data directory, of a backup, or a single one. Whether the platform runs makes no difference.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use lombard_log::{
    checkpoint::{CHECKPOINT_FILE, CHECKPOINT_KEY_FILE, VerifyingKey},
    maintain::{self, MaintainError},
};

use super::{Results, Trusted, Verified};
use crate::{exit::CheckFailed, progress::with_progress, role::Role};

pub(super) fn run(target: &Path, trusted: &Trusted) -> anyhow::Result<Results> {
    let mut logs = logs_in(target)?;
    if let Some(origin) = trusted.origin()? {
        let is_it = |path: &Path| -> anyhow::Result<bool> {
            let id = maintain::log_id(path)?;
            Ok(id.is_some_and(|id| origin.ends_with(&format!("/{id}"))))
        };
        let mut kept = Vec::new();
        for (name, path) in logs {
            if is_it(&path)? {
                kept.push((name, path));
            }
        }
        if kept.is_empty() {
            let fault = format!("no log in {} is {origin}", target.display());
            return Err(CheckFailed(fault).into());
        }
        logs = kept;
    }
    logs.into_iter()
        .map(|(name, path)| Ok((name.clone(), verify(&name, &path, trusted)?)))
        .collect()
}

/// Where logs are: in the directory itself, or where a data directory or a backup has them.
fn logs_in(target: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    ensure!(target.is_dir(), "there is no directory {}", target.display());
    if maintain::log_id(target)?.is_some() {
        return Ok(vec![("log".to_owned(), target.to_owned())]);
    }
    let mut logs = Vec::new();
    for role in Role::WITH_LOG {
        let places = [target.join(role.name()).join("log"), target.join(role.name())];
        if let Some(path) = places.into_iter().find(|path| path.is_dir()) {
            logs.push((role.name().to_owned(), path));
        }
    }
    ensure!(!logs.is_empty(), "there is no log in {}", target.display());
    Ok(logs)
}

fn verify(
    name: &str,
    path: &Path,
    trusted: &Trusted,
) -> anyhow::Result<Result<Verified, CheckFailed>> {
    // Before the records: what was signed over them is among them.
    let own = read_text(&path.join(CHECKPOINT_FILE))?;
    let own_key = read_text(&path.join(CHECKPOINT_KEY_FILE))?;
    let own_key = own_key.and_then(|text| VerifyingKey::parse(text.trim_end()).ok());
    let key = trusted.key.clone().or(own_key);
    let note = trusted.checkpoint.clone().or_else(|| own.clone().map(String::into_bytes));
    let records = match (note, &key) {
        (Some(note), Some(key)) => {
            let work = |bar: &mut dyn FnMut(_)| maintain::verify(path, &note, key, bar);
            with_progress(name, work).map(|report| report.records)
        }
        (Some(_), None) => {
            anyhow::bail!("{name}: there is no key beside the log: say it with --key")
        }
        (None, _) => with_progress(name, |bar| maintain::check(path, bar)).and_then(|report| {
            match report.damage {
                Some(damage) => Err(damage.into()),
                None => Ok(report.records),
            }
        }),
    };
    let records = match records {
        Ok(records) => records,
        Err(error) => return fault(error).map(Err).with_context(|| name.to_owned()),
    };
    let proved = trusted.checkpoint.as_ref().and_then(|note| {
        lombard_log::checkpoint::Checkpoint::parse_unverified(note).ok().map(|kept| kept.size)
    });
    Ok(Ok(Verified { records, proved, newest: own.zip(key) }))
}

/// What is wrong with the log; an error where it could not be looked at.
fn fault(error: MaintainError) -> anyhow::Result<CheckFailed> {
    match error {
        MaintainError::Damaged(_)
        | MaintainError::TooShort { .. }
        | MaintainError::Rewritten { .. }
        | MaintainError::RewrittenSomewhere { .. } => Ok(CheckFailed(error.to_string())),
        MaintainError::Checkpoint(cause) => Ok(CheckFailed(format!("{error}: {cause}"))),
        other => Err(other.into()),
    }
}

fn read_text(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}
