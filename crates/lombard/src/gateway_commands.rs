//! The commands about the gateway: a configuration is checked without one; a running one is looked at and reloaded, as
//! the platform's operator.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use lombard_client::Call;
use lombard_gateway::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{CommonArguments, OutputArguments},
    commands::connect,
    gateway_top::{self, TopArguments},
    table,
};

#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {
    /// Check the table [gateway] of a file, and say every mistake in it
    Check {
        /// The file, as for --config
        file: PathBuf,
    },
    /// Show the routes that are in use
    Routes {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show where requests can be sent: instances, and what is known of them
    Upstreams {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show what goes through the gateway right now, again and again
    Top(TopArguments),
    /// Make an API key for a partner: the key, which is shown this once, and what the configuration has of it
    ApiKey {
        /// What routes call it
        name: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Have the gateway read its configuration again; one with mistakes changes nothing
    Reload {
        #[command(flatten)]
        output: OutputArguments,
    },
}

pub(crate) const PREFIX: &str = "/v1/gateway";

pub(crate) async fn run(common: &CommonArguments, command: GatewayCommand) -> anyhow::Result<()> {
    match command {
        GatewayCommand::Check { file } => check(&file),
        GatewayCommand::Routes { output } => {
            let answer = ask(common, Method::GET, "/routes").await?;
            show(
                &output,
                &answer,
                "routes",
                ["ROUTE", "HOST", "PATH", "METHODS", "UPSTREAMS", "REQUESTS"],
                |route| {
                    let text = |name: &str| route.get(name).map(as_text).unwrap_or_default();
                    ["name", "host", "path", "methods", "upstreams", "requests"].map(text)
                },
            );
            Ok(())
        }
        GatewayCommand::Upstreams { output } => {
            let answer = ask(common, Method::GET, "/upstreams").await?;
            show_upstreams(&output, &answer);
            Ok(())
        }
        GatewayCommand::ApiKey { name, output } => make_api_key(&name, &output),
        GatewayCommand::Top(arguments) => gateway_top::run(common, &arguments).await,
        GatewayCommand::Reload { output } => {
            let answer = ask(common, Method::POST, "/reload").await?;
            if output.json {
                println!("{answer:#}");
            } else {
                println!(
                    "routes in use: {}",
                    answer.get("routes").map(as_text).unwrap_or_default()
                );
            }
            Ok(())
        }
    }
}

/// Reads the gateway's configuration anew, with all mistakes.
pub(crate) fn reader(
    file: Option<PathBuf>,
) -> Arc<dyn Fn() -> Result<Config, Vec<String>> + Send + Sync> {
    Arc::new(move || read(file.as_deref()))
}

fn read(file: Option<&Path>) -> Result<Config, Vec<String>> {
    Config::load(file).map_err(|error| error.mistakes)
}

fn check(file: &Path) -> anyhow::Result<()> {
    let mistakes = match read(Some(file)) {
        Ok(config) => config.mistakes(),
        Err(mistakes) => mistakes,
    };
    if mistakes.is_empty() {
        println!("{}: no mistakes", file.display());
        return Ok(());
    }
    bail!("{} has {} mistake(s):\n{}", file.display(), mistakes.len(), mistakes.join("\n"))
}

fn make_api_key(name: &str, output: &OutputArguments) -> anyhow::Result<()> {
    let (key, sha256) = lombard_gateway::new_api_key().context("no random numbers")?;
    if output.json {
        println!("{:#}", json!({ "name": name, "key": key, "sha256": sha256 }));
        return Ok(());
    }
    println!("{key}\n");
    println!("It is shown this once. The configuration has its hash:\n");
    println!("[[gateway.api_key]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nscopes = []");
    Ok(())
}

async fn ask(common: &CommonArguments, method: Method, path: &str) -> anyhow::Result<Value> {
    let platform = connect(common).await?;
    Ok(platform.call::<Value>(PREFIX, path, |url| Call::new(method, url)).await?.body)
}

fn show<const N: usize>(
    output: &OutputArguments,
    answer: &Value,
    list: &str,
    header: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) {
    if output.json {
        println!("{answer:#}");
        return;
    }
    let items = answer.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    println!("{}", table::plain(header, items.iter().map(row).collect(), &[N - 1]));
}

fn show_upstreams(output: &OutputArguments, answer: &Value) {
    if output.json {
        println!("{answer:#}");
    } else {
        println!("{}", upstream_table(answer));
    }
}

/// A row for each instance.
pub(crate) fn upstream_table(answer: &Value) -> impl std::fmt::Display {
    let list = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let text = |value: &Value, name: &str| value.get(name).map(as_text).unwrap_or_default();
    let mut rows = Vec::new();
    for upstream in list(answer, "upstreams") {
        let [name, source, breaker] = ["name", "source", "breaker"].map(|key| text(&upstream, key));
        let instances = list(&upstream, "instances");
        if instances.is_empty() {
            let none = ["-", "-", "-", "-"].map(str::to_owned);
            let [address, state, in_flight, latency] = none;
            rows.push([name, source, breaker, address, state, in_flight, latency]);
            continue;
        }
        for instance in instances {
            let is_ejected = instance.get("ejected").and_then(Value::as_bool) == Some(true);
            let state = if is_ejected { "ejected" } else { "in use" }.to_owned();
            let [address, in_flight, latency] =
                ["address", "in_flight", "latency_us"].map(|key| text(&instance, key));
            rows.push([
                name.clone(),
                source.clone(),
                breaker.clone(),
                address,
                state,
                in_flight,
                latency,
            ]);
        }
    }
    let header = ["UPSTREAM", "SOURCE", "BREAKER", "INSTANCE", "STATE", "IN FLIGHT", "LATENCY US"];
    table::plain(header, rows, &[5, 6])
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "*".to_owned(),
        Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
