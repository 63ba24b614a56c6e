//! The commands about consumer groups, as the platform's operator.

use clap::{Args, Subcommand};
use lombard_client::{Criterion, DeadLetter, EventStore, GroupSettings, GroupState};
use serde_json::{Value, json};

use crate::{
    cli::{CommonArguments, OutputArguments},
    commands::connect,
};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group; the same again changes nothing, and its settings are fixed
    Create {
        /// What it is called, such as mail-sender
        group: String,
        #[command(flatten)]
        settings: Box<SettingsArguments>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show all groups: cursor, lag, deliveries in flight, dead letters
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show one group
    Show {
        /// The group
        group: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show the events that a group gave up, and why
    DeadLetters {
        /// The group
        group: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Deliver dead letters again, with all attempts before them
    Replay {
        #[command(flatten)]
        which: WhichArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Settle dead letters as they are
    Discard {
        #[command(flatten)]
        which: WhichArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Forget a group with its cursor and dead letters; the events stay
    Delete {
        /// The group
        group: String,
        #[command(flatten)]
        output: OutputArguments,
    },
}

#[derive(Args, Debug)]
pub(crate) struct SettingsArguments {
    /// Streams whose name begins so [default: all]
    #[arg(long)]
    prefix: Option<String>,
    /// Only events of this type; may be said several times, for any of them
    #[arg(long = "type", value_name = "TYPE")]
    kind: Vec<String>,
    /// Only events with this tag; may be said several times, for all of them
    #[arg(long)]
    tag: Vec<String>,
    /// Where to begin: beginning, end, or after:POSITION [default: beginning]
    #[arg(long)]
    start: Option<String>,
    /// What is delivered one after the other: stream, nothing, tag:BEGIN, or attribute:NAME [default: stream]
    #[arg(long)]
    order_by: Option<String>,
    /// Attempts before an event becomes a dead letter
    #[arg(long, value_name = "COUNT")]
    attempts_max: Option<u32>,
    /// Milliseconds after the first failed attempt; doubles from there
    #[arg(long, value_name = "MS")]
    retry_ms_min: Option<u64>,
    /// Milliseconds between two attempts, at most
    #[arg(long, value_name = "MS")]
    retry_ms_max: Option<u64>,
    /// Milliseconds that a consumer may take
    #[arg(long, value_name = "MS")]
    visibility_ms: Option<u64>,
    /// Events that all consumers together may have
    #[arg(long, value_name = "COUNT")]
    in_flight_max: Option<u32>,
    /// Events that one consumer may have
    #[arg(long, value_name = "COUNT")]
    consumer_in_flight_max: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct WhichArguments {
    /// The group
    group: String,
    /// The dead letters, by the positions of their events
    #[arg(value_name = "POSITION", required_unless_present = "all")]
    positions: Vec<u64>,
    /// All of them
    #[arg(long, conflicts_with = "positions")]
    all: bool,
}

impl WhichArguments {
    fn positions(&self) -> Option<&[u64]> {
        if self.all { None } else { Some(&self.positions) }
    }
}

impl From<SettingsArguments> for GroupSettings {
    fn from(arguments: SettingsArguments) -> Self {
        let SettingsArguments { prefix, kind, tag, start, order_by, .. } = arguments;
        let criterion = Criterion { types: kind, tags: tag };
        let is_any = criterion.types.is_empty() && criterion.tags.is_empty();
        Self {
            prefix,
            query: (!is_any).then(|| vec![criterion]),
            start,
            order_by,
            attempts_max: arguments.attempts_max,
            retry_ms_min: arguments.retry_ms_min,
            retry_ms_max: arguments.retry_ms_max,
            visibility_ms: arguments.visibility_ms,
            in_flight_max: arguments.in_flight_max,
            consumer_in_flight_max: arguments.consumer_in_flight_max,
        }
    }
}

pub(crate) async fn run(common: &CommonArguments, command: GroupCommand) -> anyhow::Result<()> {
    let events: EventStore = connect(common).await?.eventstore();
    match command {
        GroupCommand::Create { group, settings, output } => {
            let state = events.group(group).create(&(*settings).into()).await?;
            print_all(&[state], output);
        }
        GroupCommand::List { output } => print_all(&events.groups().await?, output),
        GroupCommand::Show { group, output } => {
            print_all(&[events.group(group).state().await?], output);
        }
        GroupCommand::DeadLetters { group, output } => {
            let letters = events.group(group).dead_letters().await?;
            if output.json {
                let letters: Vec<Value> = letters.iter().map(letter_json).collect();
                println!("{:#}", Value::from(letters));
            } else {
                letters.iter().for_each(print_letter);
            }
        }
        GroupCommand::Replay { which, output } => {
            let count = events.group(&which.group).replay(which.positions()).await?;
            print_count(count, "are delivered again", output);
        }
        GroupCommand::Discard { which, output } => {
            let count = events.group(&which.group).discard(which.positions()).await?;
            print_count(count, "are settled as they are", output);
        }
        GroupCommand::Delete { group, output } => {
            events.group(&group).delete().await?;
            if output.json {
                println!("{:#}", json!({ "group": group, "deleted": true }));
            } else {
                println!("{group} is deleted");
            }
        }
    }
    Ok(())
}

fn print_count(count: u64, what: &str, output: OutputArguments) {
    if output.json {
        println!("{:#}", json!({ "count": count }));
    } else {
        println!("{count} dead letters {what}");
    }
}

fn print_all(groups: &[GroupState], output: OutputArguments) {
    if output.json {
        let groups: Vec<Value> = groups.iter().map(group_json).collect();
        println!("{:#}", Value::from(groups));
        return;
    }
    println!(
        "{:<30} {:>12} {:>10} {:>10} {:>10} {:>12}",
        "GROUP", "CURSOR", "LAG", "IN FLIGHT", "DEAD", "REDELIVERED"
    );
    for group in groups {
        let GroupState { group, cursor, lag, in_flight, dead_letters, redelivered, .. } = group;
        println!(
            "{group:<30} {cursor:>12} {lag:>10} {in_flight:>10} {dead_letters:>10} {redelivered:>12}"
        );
    }
}

fn group_json(group: &GroupState) -> Value {
    json!({
        "group": group.group,
        "settings": group.settings,
        "cursor": group.cursor.to_string(),
        "lag": group.lag,
        "in_flight": group.in_flight,
        "dead_letters": group.dead_letters,
        "redelivered": group.redelivered,
    })
}

fn print_letter(letter: &DeadLetter) {
    let DeadLetter { position, attempts, cause, reason, dead_at, event, .. } = letter;
    let (kind, stream) = (&event.kind, &event.stream);
    let reason = reason.as_deref().unwrap_or(cause);
    println!(
        "{position:>8}  {dead_at}  {stream} @{}  {kind}  {attempts} attempts: {reason}",
        event.revision
    );
}

fn letter_json(letter: &DeadLetter) -> Value {
    json!({
        "position": letter.position.to_string(),
        "delivery_id": letter.delivery_id,
        "attempts": letter.attempts,
        "cause": letter.cause,
        "reason": letter.reason,
        "dead_at": letter.dead_at,
        "event": crate::event_commands::as_json(&letter.event),
    })
}
