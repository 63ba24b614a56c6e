//! The commands about the ledger's SQL projections, as the platform's operator.

use std::time::Duration;

use clap::Subcommand;
use lombard_client::{Call, Platform};
use lombard_log::maintain::Progress;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{
    cli::{CommonArguments, OutputArguments},
    commands::connect,
    exit::CheckFailed,
    progress::{bar, show},
    table,
};

const LEDGER: &str = "/v1/ledger";
/// How often a rebuilding is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionCommand {
    /// Show all projections: how far they are, and why one does not go on
    Status {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Build the tables of a projection anew from the log, beside those that are read, and put them in their place
    Rebuild {
        /// Its name in the configuration
        projection: String,
        #[command(flatten)]
        output: OutputArguments,
    },
}

#[derive(Debug, Deserialize, Serialize)]
struct List {
    projections: Vec<Projection>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Projection {
    name: String,
    database: String,
    phase: String,
    reason: Option<String>,
    records: u64,
    lag_records: u64,
    rebuilding: Option<Rebuilding>,
    rebuilds: u64,
    rebuild_error: Option<String>,
    failures: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct Rebuilding {
    done: u64,
    total: u64,
    step: String,
}

pub(crate) async fn run(
    common: &CommonArguments,
    command: ProjectionCommand,
) -> anyhow::Result<()> {
    let platform = connect(common).await?;
    match command {
        ProjectionCommand::Status { output } => status(&platform, output).await,
        ProjectionCommand::Rebuild { projection, output } => {
            rebuild(&platform, &projection, output).await
        }
    }
}

async fn status(platform: &Platform, output: OutputArguments) -> anyhow::Result<()> {
    let call = |url| Call::new(Method::GET, url);
    let list: List = platform.call(LEDGER, "/projections", call).await?.body;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        print(&list.projections);
    }
    let stopped: Vec<&str> = list
        .projections
        .iter()
        .filter(|projection| projection.phase == "refused")
        .map(|projection| projection.name.as_str())
        .collect();
    if stopped.is_empty() {
        return Ok(());
    }
    Err(CheckFailed(format!("do not go on by themselves: {}", stopped.join(", "))).into())
}

fn print(projections: &[Projection]) {
    if projections.is_empty() {
        println!(
            "There are no projections: they are tables [projection.<name>] of the configuration."
        );
        return;
    }
    let row = |projection: &Projection| {
        [
            projection.name.clone(),
            projection.database.clone(),
            match &projection.rebuilding {
                Some(rebuilding) => format!("{}, {}", projection.phase, rebuilding.step),
                None => projection.phase.clone(),
            },
            projection.records.to_string(),
            projection.lag_records.to_string(),
            projection.failures.to_string(),
        ]
    };
    let header = ["PROJECTION", "DATABASE", "STATE", "RECORDS", "BEHIND", "FAILURES"];
    println!("{}", table::plain(header, projections.iter().map(row).collect(), &[3, 4, 5]));
    for projection in projections {
        for reason in [&projection.reason, &projection.rebuild_error].into_iter().flatten() {
            println!("\n{}: {reason}", projection.name);
        }
    }
}

async fn rebuild(platform: &Platform, name: &str, output: OutputArguments) -> anyhow::Result<()> {
    let path = format!("/projections/{name}");
    let begin = |url| Call::new(Method::POST, url);
    let mut now: Projection = platform.call(LEDGER, &format!("{path}/rebuild"), begin).await?.body;
    let bar = bar(name);
    while let Some(Rebuilding { done, total, .. }) = now.rebuilding {
        show(&bar, Progress { done, total });
        tokio::time::sleep(ASK_EVERY).await;
        let call = |url| Call::new(Method::GET, url);
        // The client waits for a process that is restarted; what it then says is that nothing is being rebuilt.
        now = platform.call(LEDGER, &path, call).await?.body;
    }
    bar.finish_and_clear();
    if let Some(error) = &now.rebuild_error {
        return Err(CheckFailed(format!("{name} was not rebuilt: {error}")).into());
    }
    if now.rebuilds == 0 {
        let fault = format!("{name} was not rebuilt: the process that did it ended before");
        return Err(CheckFailed(fault).into());
    }
    if output.json {
        println!("{}", serde_json::to_string_pretty(&now)?);
    } else {
        println!("{name} was rebuilt: {} records are in its tables", now.records);
    }
    Ok(())
}
