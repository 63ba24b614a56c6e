//! The commands about services and their instances, as the platform's operator.

use std::time::Duration;

use clap::Subcommand;
use lombard_client::{Instance, Registry, ServiceChange};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{CommonArguments, OutputArguments},
    commands::connect,
    table,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Show all services
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show the instances of a service
    Get {
        /// The service
        service: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show the instances of a service, and again after each change, until Ctrl-C
    Watch {
        /// The service
        service: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Keep new requests away from an instance; registering again ends it
    Drain {
        /// The service
        service: String,
        /// The instance
        instance: String,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Take an instance out of service until it is put back
    Maintain {
        /// The service
        service: String,
        /// The instance
        instance: String,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        /// Put it back
        #[arg(long, conflicts_with = "note")]
        end: bool,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show who changed what of a service lately, the newest first
    History {
        /// The service
        service: String,
        /// At most this many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        output: OutputArguments,
    },
}

pub(crate) async fn run(common: &CommonArguments, command: ServiceCommand) -> anyhow::Result<()> {
    let registry = connect(common).await?.registry();
    match command {
        ServiceCommand::List { output } => {
            let services = registry.services().await?;
            let rows = services.iter().map(|each| {
                [
                    each.service.clone(),
                    each.serving_count.to_string(),
                    each.instance_count.to_string(),
                ]
            });
            show(&output, &services, ["SERVICE", "SERVING", "INSTANCES"], rows.collect(), &[1, 2]);
        }
        ServiceCommand::Get { service, output } => {
            let instances = registry.instances(&service).await?;
            let rows = instances.iter().map(instance_row).collect();
            show(&output, &instances, INSTANCE_HEADER, rows, &[]);
        }
        ServiceCommand::Watch { service, output } => watch(&registry, &service, &output).await?,
        ServiceCommand::Drain { service, instance, note, output } => {
            let state = registry.drain(&service, &instance, &note).await?;
            say(&output, &service, &instance, &state);
        }
        ServiceCommand::Maintain { service, instance, note, end, output } => {
            let state = maintain(&registry, &service, &instance, &note, end).await?;
            say(&output, &service, &instance, &state);
        }
        ServiceCommand::History { service, limit, output } => {
            let changes = registry.history(&service, limit.into()).await?;
            let rows = changes.iter().map(change_row).collect();
            let header = ["TIME", "INSTANCE", "WHAT", "BY", "NOTE"];
            show(&output, &changes, header, rows, &[]);
        }
    }
    Ok(())
}

const INSTANCE_HEADER: [&str; 6] = ["INSTANCE", "URL", "STATE", "NOTE", "VERSION", "SINCE"];
/// How long one question waits for a change: less than a call of the client may take.
const WAIT: Duration = Duration::from_secs(5);

/// Of several changes at once the last is shown. As JSON it is one object a line.
async fn watch(
    registry: &Registry,
    service: &str,
    output: &OutputArguments,
) -> Result<(), lombard_client::Error> {
    let mut seen = None;
    loop {
        let (index, instances) = registry.instances_after(service, seen, WAIT).await?;
        if seen.replace(index) == Some(index) {
            continue;
        }
        if output.json {
            println!("{}", json!({ "index": index, "instances": instances }));
        } else {
            let rows = instances.iter().map(instance_row).collect();
            println!("{}\n", table::plain(INSTANCE_HEADER, rows, &[]));
        }
    }
}

async fn maintain(
    registry: &Registry,
    service: &str,
    instance: &str,
    note: &str,
    is_over: bool,
) -> Result<String, lombard_client::Error> {
    if is_over {
        registry.put_back(service, instance).await
    } else {
        registry.take_out(service, instance, note).await
    }
}

fn instance_row(instance: &Instance) -> [String; 6] {
    let Instance { instance, url, state, note, version, registered_at, .. } = instance.clone();
    [instance, url, state, note, version.unwrap_or_default(), registered_at]
}

fn change_row(change: &ServiceChange) -> [String; 5] {
    let ServiceChange { time, instance, what, note, client_id, .. } = change.clone();
    [time, instance, what, client_id.unwrap_or_default(), note]
}

fn show<const N: usize>(
    output: &OutputArguments,
    items: &impl Serialize,
    header: [&str; N],
    rows: Vec<[String; N]>,
    numbers: &[usize],
) {
    if output.json {
        println!("{:#}", json!(items));
    } else {
        println!("{}", table::plain(header, rows, numbers));
    }
}

fn say(output: &OutputArguments, service: &str, instance: &str, state: &str) {
    if output.json {
        println!("{:#}", json!({ "service": service, "instance": instance, "state": state }));
    } else {
        println!("{service}/{instance} is {state}");
    }
}
