//! The commands about the keys that tokens are signed with.

use clap::Subcommand;
use lombard_client::{Call, Platform};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    agree::agrees,
    auth_commands::{send, text},
    cli::OutputArguments,
    table,
};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Show the keys that are published, and what happens to them next
    List(OutputArguments),
    /// Sign with the next key from now on; what the key before it signed stays good
    Rotate {
        /// Do not wait until every verifier knows the next key: those that do not fetch it when they see it
        #[arg(long)]
        at_once: bool,
        /// The algorithm whose key it is: ES256, EdDSA or PS256
        #[arg(long, default_value = "ES256")]
        alg: String,
    },
    /// Say that somebody else may have a private key: all that it signed is refused from now on; asks first
    Compromise {
        /// The key
        kid: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(platform: &Platform, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::List(output) => {
            let call = |url| Call::new(Method::GET, url);
            print(&platform.call::<Value>("/v1/auth", "/keys", call).await?.body, output);
        }
        KeyCommand::Rotate { at_once, alg } => {
            let body = json!({ "at_once": at_once, "alg": alg });
            send(platform, Method::POST, "/keys/rotate", Some(body)).await?;
        }
        KeyCommand::Compromise { kid, yes } => {
            if !yes {
                println!("All that the key {kid} signed will be refused.");
            }
            if yes || agrees()? {
                send(platform, Method::POST, &format!("/keys/{kid}/compromise"), None).await?;
            }
        }
    }
    Ok(())
}

fn print(keys: &Value, output: OutputArguments) {
    if output.json {
        println!("{keys:#}");
        return;
    }
    let items = keys.get("items").and_then(Value::as_array).into_iter().flatten();
    let row =
        |key: &Value| ["kid", "alg", "phase", "published_at", "since"].map(|it| text(key, it));
    let header = ["KEY", "ALG", "PHASE", "PUBLISHED", "SINCE"];
    println!("{}", table::plain(header, items.map(row).collect(), &[]));
    if let Some(next) = keys.get("next_step").filter(|next| !next.is_null()) {
        let what = if next.get("kid").is_some() { "kid" } else { "alg" };
        println!("next: {} {} at {}", text(next, "step"), text(next, what), text(next, "at"));
    }
}
