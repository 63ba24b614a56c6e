//! The commands that append and read events, as the platform's operator.

use anyhow::Context as _;
use lombard_client::{Expected, NewEvent, RecordedEvent, Selection};
use serde_json::{Value, json};

use crate::{
    cli::{CommonArguments, EventCommand, SelectionArguments},
    commands::connect,
};

pub(crate) async fn run(common: &CommonArguments, command: EventCommand) -> anyhow::Result<()> {
    let events = connect(common).await?.eventstore();
    match command {
        EventCommand::Append {
            stream,
            kind,
            data,
            tag,
            expected,
            data_subject,
            id,
            source,
            output,
        } => {
            let data: Value = serde_json::from_str(&data).with_context(|| {
                format!("the data is not JSON; a text needs quotes of its own: '\"{data}\"'")
            })?;
            let mut event = NewEvent::new(source, kind, data);
            event.tags = tag;
            event.data_subject = data_subject;
            if let Some(id) = id {
                event.id = id;
            }
            let expected = match expected.as_deref() {
                None => Expected::Any,
                Some("absent") => Expected::NoStream,
                Some(revision) => Expected::Revision(
                    revision.parse().context("--expected must be absent or a revision")?,
                ),
            };
            let id = event.id.clone();
            let appended = events.append(&stream, expected, &[event]).await?;
            let revision = appended.last_revision;
            if output.json {
                println!(
                    "{:#}",
                    json!({ "stream": stream, "revision": revision.to_string(), "id": id })
                );
            } else {
                println!("{stream} is at revision {revision} (event {id})");
            }
        }
        EventCommand::List { selection, limit, output } => {
            let found = events.select(&selected(selection), limit.into()).await?;
            if output.json {
                let found: Vec<Value> = found.iter().map(as_json).collect();
                println!("{:#}", Value::from(found));
            } else {
                found.iter().for_each(print);
            }
        }
        EventCommand::Watch { selection, count, output } => {
            let mut subscription = events.subscribe(selected(selection));
            let mut left = count;
            while left != Some(0) {
                let event = subscription.next().await?;
                if output.json {
                    println!("{}", as_json(&event));
                } else {
                    print(&event);
                }
                left = left.map(|left| left - 1);
            }
        }
    }
    Ok(())
}

fn selected(arguments: SelectionArguments) -> Selection {
    let SelectionArguments { stream, prefix, kind, tag, after } = arguments;
    let mut selection = match (stream, prefix) {
        (Some(stream), _) => Selection::stream(stream),
        (None, Some(prefix)) => Selection::prefix(prefix),
        (None, None) => Selection::all(),
    };
    selection = kind.into_iter().fold(selection, Selection::kind);
    selection = tag.into_iter().fold(selection, Selection::tag);
    match after {
        Some(after) => selection.after(after),
        None => selection,
    }
}

fn print(event: &RecordedEvent) {
    let RecordedEvent { kind, stream, revision, position, tags, recorded_at, data, .. } = event;
    let data = if event.is_redacted { "(redacted)".to_owned() } else { data.to_string() };
    let tags = if tags.is_empty() { String::new() } else { format!("  [{}]", tags.join(" ")) };
    println!("{position:>8}  {recorded_at}  {stream} @{revision}  {kind}{tags}  {data}");
}

pub(crate) fn as_json(event: &RecordedEvent) -> Value {
    json!({
        "id": event.id,
        "type": event.kind,
        "stream": event.stream,
        "revision": event.revision.to_string(),
        "position": event.position.to_string(),
        "tags": event.tags,
        "recorded_at": event.recorded_at,
        "data_subject": event.data_subject,
        "redacted": event.is_redacted,
        "data": event.data,
    })
}
