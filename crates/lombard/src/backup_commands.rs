//! `lombard backup` and `lombard restore`: copies of the roles' logs.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use lombard_log::maintain::{self, CheckReport};

use crate::{
    cli::{BackupArguments, CommonArguments, Whose},
    data_directory::DataDirectory,
    groups_backup,
    progress::with_progress,
    role::Role,
};

/// Copies the logs as they are; the platform may be running.
pub(crate) fn backup(common: &CommonArguments, arguments: &BackupArguments) -> anyhow::Result<()> {
    let directory = DataDirectory::open(&common.data_dir)?;
    let target = &arguments.to;
    let logs = logs(&directory, arguments.whose)?;
    ensure!(!target.exists(), "{} is already there; nothing is overwritten", target.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(target)
        .with_context(|| format!("failed to create {}", target.display()))?;
    // Before the events: so no group has read more than there is in the backup.
    if arguments.whose.is(Role::Eventstore)
        && let Some(copied) = groups_backup::backup(&directory, target)
            .context("failed to back up the consumer groups")?
    {
        print_groups(&copied, &target.join(groups_backup::FOLDER));
    }
    for (role, from) in logs {
        let to = target.join(role.name());
        let copied = with_progress(role.name(), |bar| maintain::backup(&from, &to, bar));
        print(role, &to, &copied.with_context(|| format!("failed to back up {role}"))?);
    }
    println!(
        "\nCompare it with a checkpoint that you kept: lombard verify {} --checkpoint FILE --key KEY\n\
         Keys are not in the backup: keep {} and the roles' *.key files safe too,\n\
         and apart from it the keys of data subjects (eventstore/subjects), no longer than erasures may take.",
        target.display(),
        directory.path().join("identity").display()
    );
    Ok(())
}

/// Copies the logs of a backup back. The platform must be stopped.
pub(crate) fn restore(common: &CommonArguments, backup: &Path) -> anyhow::Result<()> {
    let directory = DataDirectory::open_or_create(&common.data_dir)?;
    // Held to the end, so that no platform starts on a log that is being written.
    let _lock = directory.lock().context("restoring needs the platform stopped")?;
    let found: Vec<_> = Role::WITH_LOG
        .into_iter()
        .map(|role| (role, backup.join(role.name()), directory.log(role)))
        .filter(|(_, from, _)| from.is_dir())
        .collect();
    ensure!(!found.is_empty(), "there is no backup in {}", backup.display());
    for (role, _, to) in &found {
        ensure!(
            !to.exists(),
            "{role} has a log in {}: move it away first, nothing is overwritten",
            to.display()
        );
    }
    for (role, from, to) in found {
        let copied = with_progress(role.name(), |bar| maintain::restore(&from, &to, bar));
        print(role, &to, &copied.with_context(|| format!("failed to restore {role}"))?);
    }
    let restored = groups_backup::restore(backup, &directory);
    if let Some(copied) = restored.context("failed to restore the consumer groups")? {
        print_groups(&copied, &directory.groups());
    } else if directory.groups().exists() {
        println!("{:<10} stay as they are in {}", "groups", directory.groups().display());
    }
    Ok(())
}

/// The logs that are there: a role that never ran has none.
pub(crate) fn logs(
    directory: &DataDirectory,
    whose: Whose,
) -> anyhow::Result<Vec<(Role, PathBuf)>> {
    let logs: Vec<_> = Role::WITH_LOG
        .into_iter()
        .filter(|role| whose.is(*role))
        .map(|role| (role, directory.log(role)))
        .filter(|(_, path)| path.is_dir())
        .collect();
    ensure!(!logs.is_empty(), "there is no log of {whose} in {}", directory.path().display());
    Ok(logs)
}

fn print_groups(copied: &CheckReport, to: &Path) {
    println!("{:<10} {:>10} records  {}", "groups", copied.records, to.display());
}

fn print(role: Role, to: &Path, copied: &CheckReport) {
    println!("{role:<10} {:>10} records  root {}  {}", copied.records, copied.root, to.display());
}
