//! `lombard log ...`: what an operator does with the roles' logs while the platform is stopped.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use lombard_log::maintain::{self, CheckReport, Progress};
use lombard_types::Position;

use crate::{
    cli::{CommonArguments, LogCommand},
    data_directory::DataDirectory,
    exit::CheckFailed,
    role::Role,
    table,
};

/// The roles that keep a log.
const WITH_LOG: [Role; 4] = [Role::Registry, Role::Auth, Role::Eventstore, Role::Ledger];

pub(crate) fn run(common: &CommonArguments, command: LogCommand) -> anyhow::Result<()> {
    let directory = DataDirectory::open(&common.data_dir)?;
    // Held to the end, so that no platform starts on a log that is being copied or cut.
    let _lock = directory.lock().context("these commands need the platform stopped")?;
    match command {
        LogCommand::Check { role } => check(&directory, role),
        LogCommand::Repair { role, truncate_at, yes } => repair(&directory, role, truncate_at, yes),
        LogCommand::Backup { target } => backup(&directory, &target),
        LogCommand::Restore { backup } => restore(&directory, &backup),
    }
}

fn log_of(directory: &DataDirectory, role: Role) -> PathBuf {
    directory.role(role).join("log")
}

/// The logs that are there: a role that never ran has none.
fn logs(directory: &DataDirectory, role: Option<Role>) -> anyhow::Result<Vec<(Role, PathBuf)>> {
    let wanted: Vec<Role> = role.map_or_else(|| WITH_LOG.to_vec(), |role| vec![role]);
    let logs: Vec<_> = wanted
        .into_iter()
        .map(|role| (role, log_of(directory, role)))
        .filter(|(_, path)| path.is_dir())
        .collect();
    ensure!(!logs.is_empty(), "there is no log in {}", directory.path().display());
    Ok(logs)
}

fn check(directory: &DataDirectory, role: Option<Role>) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut damages = Vec::new();
    for (role, path) in logs(directory, role)? {
        let report = with_progress(role, |progress| maintain::check(&path, progress))
            .with_context(|| format!("failed to check the log of {role}"))?;
        rows.push(row(role, &report));
        damages.extend(report.damage.map(|damage| (role, damage)));
    }
    let header = ["ROLE", "SEGMENTS", "RECORDS", "BYTES", "TORN BYTES", "MERKLE ROOT", "RESULT"];
    println!("{}", table::plain(header, rows, &[1, 2, 3, 4]));
    if damages.is_empty() {
        return Ok(());
    }
    for (role, damage) in &damages {
        println!("\n{role}: {damage}");
        println!("  Restore the log from a backup: lombard log restore BACKUP");
        println!(
            "  Or, if there is none, cut it off there and lose what follows: \
             lombard log repair {role} --truncate-at {}",
            damage.position
        );
    }
    Err(CheckFailed(format!("{} log(s) are damaged", damages.len())).into())
}

fn row(role: Role, report: &CheckReport) -> [String; 7] {
    [
        role.to_string(),
        report.segments.to_string(),
        report.records.to_string(),
        report.payload_bytes.to_string(),
        report.torn_bytes.to_string(),
        report.root.to_string(),
        if report.damage.is_some() { "DAMAGED" } else { "ok" }.to_owned(),
    ]
}

fn repair(
    directory: &DataDirectory,
    role: Role,
    truncate_at: u64,
    is_agreed: bool,
) -> anyhow::Result<()> {
    let path = log_of(directory, role);
    let before = maintain::check(&path, &mut |_| {})
        .with_context(|| format!("failed to check the log of {role}"))?;
    println!(
        "The log of {role} has {} readable records. Cutting it off at {truncate_at} loses every record from there on, \
         acknowledged ones too.",
        before.records
    );
    ensure!(is_agreed || agrees()?, "nothing was changed");
    let truncate_at = Position::new(truncate_at);
    let report = with_progress(role, |progress| maintain::repair(&path, truncate_at, progress))
        .with_context(|| format!("failed to repair the log of {role}"))?;
    println!("The next record of {role} is {}. What was cut off is kept:", report.tail);
    for file in report.kept {
        println!("  {}", file.display());
    }
    Ok(())
}

/// Asks on the terminal; where there is none, nobody can agree.
fn agrees() -> anyhow::Result<bool> {
    ensure!(io::stdin().is_terminal(), "this loses data: say --yes to do it without being asked");
    print!("Type yes to do it: ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn backup(directory: &DataDirectory, target: &Path) -> anyhow::Result<()> {
    ensure!(!target.exists(), "{} is already there; nothing is overwritten", target.display());
    for (role, path) in logs(directory, None)? {
        copy(role, &path, &target.join(role.name())).context("failed to back up")?;
    }
    println!(
        "\nKeys are not in the backup: keep {} safe too.",
        directory.path().join("identity").display()
    );
    Ok(())
}

fn restore(directory: &DataDirectory, backup: &Path) -> anyhow::Result<()> {
    let found: Vec<_> = WITH_LOG
        .into_iter()
        .map(|role| (role, backup.join(role.name()), log_of(directory, role)))
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
        copy(role, &from, &to).context("failed to restore")?;
    }
    Ok(())
}

/// Copies a log and reads the copy back.
fn copy(role: Role, from: &Path, to: &Path) -> anyhow::Result<()> {
    let report = with_progress(role, |progress| maintain::restore(from, to, progress))
        .with_context(|| format!("{role}: {} to {}", from.display(), to.display()))?;
    let check = report.check;
    println!("{role:<10} {:>10} records  root {}  {}", check.records, check.root, to.display());
    Ok(())
}

/// Shows a bar on a terminal while `work` goes on.
fn with_progress<T>(role: Role, work: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{prefix:<10} {bar:40} {percent:>3} %  {elapsed}")
    {
        bar.set_style(style);
    }
    bar.set_prefix(role.name());
    let result = work(&mut |at: Progress| {
        bar.set_length(at.total);
        bar.set_position(at.done);
    });
    bar.finish_and_clear();
    result
}
