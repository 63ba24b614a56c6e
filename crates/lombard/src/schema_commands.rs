//! The commands about schemas of event types, as the platform's operator.

use std::{fs, io::Read as _, path::Path};

use anyhow::Context as _;
use clap::Subcommand;
use lombard_client::{EventStore, Schema, SchemaPut, SchemaVersion};
use serde_json::{Value, json};

use crate::{
    cli::{CommonArguments, OutputArguments},
    commands::connect,
    table,
};

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Put the next version of a type's schema; the same as the newest changes nothing
    Put {
        /// The event type, such as order.placed
        #[arg(value_name = "TYPE")]
        kind: String,
        /// A file with the JSON Schema, or - for standard input
        file: String,
        /// A file with the list of steps that bring data of the version before into this one
        #[arg(long, value_name = "FILE")]
        upcast: Option<String>,
        /// The version that must be the newest so far, 0 for none [default: whichever it is]
        #[arg(long, value_name = "VERSION")]
        expected: Option<u32>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show a type's schema
    Get {
        /// The event type
        #[arg(value_name = "TYPE")]
        kind: String,
        /// An older version [default: the newest]
        #[arg(long, value_name = "NUMBER")]
        version: Option<u32>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show which types have a schema, and the newest versions
    List {
        /// Those whose name begins so
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        output: OutputArguments,
    },
}

pub(crate) async fn run(common: &CommonArguments, command: SchemaCommand) -> anyhow::Result<()> {
    match command {
        SchemaCommand::Put { kind, file, upcast, expected, output } => {
            // What is wrong with the files is found before anybody is asked.
            let schema = read(&file)?;
            let upcast = upcast.as_deref().map(read).transpose()?;
            let events = connect(common).await?.eventstore();
            let put = events.put_schema(&kind, &schema, upcast.as_ref(), expected).await?;
            print_put(&put, output);
        }
        SchemaCommand::Get { kind, version, output } => {
            let schema = eventstore(common).await?.schema(&kind, version).await?;
            print_schema(&schema, output);
        }
        SchemaCommand::List { prefix, output } => {
            let schemas = eventstore(common).await?.schemas(&prefix).await?;
            print_all(&schemas, output);
        }
    }
    Ok(())
}

async fn eventstore(common: &CommonArguments) -> anyhow::Result<EventStore> {
    Ok(connect(common).await?.eventstore())
}

fn read(file: &str) -> anyhow::Result<Value> {
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(Path::new(file))
    };
    let text = text.with_context(|| format!("failed to read {file}"))?;
    serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))
}

fn print_put(put: &SchemaPut, output: OutputArguments) {
    let SchemaPut { version: SchemaVersion { kind, version, dataschema }, is_new } = put;
    if output.json {
        let json = json!({
            "type": kind, "version": version, "dataschema": dataschema, "is_new": is_new,
        });
        println!("{json:#}");
    } else if *is_new {
        println!("{kind} is at version {version} ({dataschema})");
    } else {
        println!("{kind} was at version {version} already ({dataschema})");
    }
}

fn print_schema(schema: &Schema, output: OutputArguments) {
    let Schema { version, log_position, recorded_at, schema, upcast } = schema;
    let SchemaVersion { kind, version, dataschema } = version;
    if output.json {
        let json = json!({
            "type": kind,
            "version": version,
            "dataschema": dataschema,
            "log_position": log_position.to_string(),
            "recorded_at": recorded_at,
            "schema": schema,
            "upcast": upcast,
        });
        println!("{json:#}");
        return;
    }
    println!("{kind} version {version}, put {recorded_at} (record {log_position})");
    println!("{schema:#}");
    if upcast.as_array().is_some_and(|steps| !steps.is_empty()) {
        println!("from the version before:\n{upcast:#}");
    }
}

fn print_all(schemas: &[SchemaVersion], output: OutputArguments) {
    if output.json {
        println!("{:#}", schemas.iter().map(as_json).collect::<Value>());
        return;
    }
    let row = |schema: &SchemaVersion| {
        [schema.kind.clone(), schema.version.to_string(), schema.dataschema.clone()]
    };
    println!(
        "{}",
        table::plain(["TYPE", "VERSION", "DATASCHEMA"], schemas.iter().map(row).collect(), &[1])
    );
}

fn as_json(schema: &SchemaVersion) -> Value {
    let SchemaVersion { kind, version, dataschema } = schema;
    json!({ "type": kind, "version": version, "dataschema": dataschema })
}
