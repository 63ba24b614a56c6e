//! The commands about data subjects, as the platform's operator.

use anyhow::ensure;
use clap::Subcommand;
use lombard_client::{DataSubject, SubjectState};
use serde_json::json;

use crate::{
    agree::agrees,
    cli::{CommonArguments, OutputArguments},
    commands::connect,
};

#[derive(Debug, Subcommand)]
pub(crate) enum SubjectCommand {
    /// Destroy a subject's key: nobody can read any more what its events said. Cannot be undone; asks first
    Erase {
        /// The subject, as events name it in datasubject
        subject: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show whether a subject is erased, and since when
    Show {
        /// The subject
        subject: String,
        #[command(flatten)]
        output: OutputArguments,
    },
}

pub(crate) async fn run(common: &CommonArguments, command: SubjectCommand) -> anyhow::Result<()> {
    let events = connect(common).await?.eventstore();
    match command {
        SubjectCommand::Erase { subject, yes, output } => {
            if !yes {
                println!("What events say of {subject} will be unreadable, for ever.");
            }
            ensure!(yes || agrees()?, "nothing was changed");
            print(&events.erase_subject(&subject).await?, output);
        }
        SubjectCommand::Show { subject, output } => print(&events.subject(&subject).await?, output),
    }
    Ok(())
}

fn print(subject: &DataSubject, output: OutputArguments) {
    let DataSubject { subject, state, log_position, erased_at } = subject;
    let is_erased = *state == SubjectState::Erased;
    if output.json {
        let json = json!({
            "subject": subject,
            "state": if is_erased { "erased" } else { "active" },
            "log_position": log_position.map(|position| position.to_string()),
            "erased_at": erased_at,
        });
        println!("{json:#}");
        return;
    }
    match (erased_at, log_position) {
        (Some(at), Some(position)) => {
            println!("{subject} is erased since {at} (record {position})")
        }
        _ => println!("{subject} is active"),
    }
}
