//! `lombard log ...`: checking and cutting off the roles' logs.

use anyhow::{Context as _, ensure};
use lombard_log::maintain::{self, CheckReport};
use lombard_types::Position;

use crate::{
    agree::agrees,
    backup_commands::logs,
    cli::{CommonArguments, LogCommand, Whose},
    data_directory::DataDirectory,
    exit::CheckFailed,
    progress::with_progress,
    role::Role,
    table,
};

pub(crate) fn run(common: &CommonArguments, command: LogCommand) -> anyhow::Result<()> {
    let directory = DataDirectory::open(&common.data_dir)?;
    match command {
        LogCommand::Check { whose } => check(&directory, whose),
        LogCommand::Repair { role, truncate_at, yes } => {
            // Held to the end, so that no platform starts on a log that is being cut.
            let _lock = directory.lock().context("repairing needs the platform stopped")?;
            repair(&directory, role, truncate_at, yes)
        }
    }
}

fn check(directory: &DataDirectory, whose: Whose) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut damages = Vec::new();
    for (role, path) in logs(directory, whose)? {
        let report = with_progress(role.name(), |progress| maintain::check(&path, progress))
            .with_context(|| format!("failed to check the log of {role}"))?;
        rows.push(row(role.name(), &report));
        damages.extend(report.damage.map(|damage| (role, damage)));
    }
    let groups = directory.groups().join("log");
    let mut groups_damage = None;
    if whose.is(Role::Eventstore) && groups.is_dir() {
        let report = with_progress("groups", |progress| maintain::check(&groups, progress))
            .context("failed to check the log of the consumer groups")?;
        rows.push(row("groups", &report));
        groups_damage = report.damage;
    }
    let header = ["ROLE", "SEGMENTS", "RECORDS", "BYTES", "TORN BYTES", "MERKLE ROOT", "RESULT"];
    println!("{}", table::plain(header, rows, &[1, 2, 3, 4]));
    if damages.is_empty() && groups_damage.is_none() {
        return Ok(());
    }
    if let Some(damage) = &groups_damage {
        println!("\nconsumer groups: {damage}");
        println!(
            "  Move {} away, and restore it from a backup: lombard restore BACKUP; or make the groups again",
            directory.groups().display()
        );
    }
    for (role, damage) in &damages {
        println!("\n{role}: {damage}");
        println!("  Restore the log from a backup: lombard restore BACKUP");
        println!(
            "  Or, if there is none, cut it off there and lose what follows: \
             lombard log repair {role} --truncate-at {}",
            damage.position
        );
    }
    let count = damages.len() + usize::from(groups_damage.is_some());
    Err(CheckFailed(format!("{count} log(s) are damaged")).into())
}

fn row(name: &str, report: &CheckReport) -> [String; 7] {
    [
        name.to_owned(),
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
    let path = directory.log(role);
    let before = maintain::check(&path, &mut |_| {})
        .with_context(|| format!("failed to check the log of {role}"))?;
    println!(
        "The log of {role} has {} readable records. Cutting it off at {truncate_at} loses every record from there on, \
         acknowledged ones too.",
        before.records
    );
    ensure!(is_agreed || agrees()?, "nothing was changed");
    let truncate_at = Position::new(truncate_at);
    let report =
        with_progress(role.name(), |progress| maintain::repair(&path, truncate_at, progress))
            .with_context(|| format!("failed to repair the log of {role}"))?;
    println!("The next record of {role} is {}. What was cut off is kept:", report.tail);
    for file in report.kept {
        println!("  {}", file.display());
    }
    Ok(())
}
