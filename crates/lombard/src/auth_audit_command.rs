//! `lombard auth audit`: what the authorization server decided.

use clap::Args;
use lombard_client::{Call, Platform};
use reqwest::Method;
use serde_json::Value;

use crate::{auth_commands::text, cli::OutputArguments, table};

#[derive(Args, Clone, Debug)]
pub(crate) struct AuditArguments {
    /// From this time on, such as 2026-04-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The first instant that is not meant
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what this client asked for
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only what is about this subject, such as users/...
    #[arg(long)]
    subject: Option<String>,
    /// Only from this address
    #[arg(long)]
    address: Option<String>,
    /// Only this, such as token, login or client.remove; `client` is all about clients
    #[arg(long)]
    action: Option<String>,
    /// Only what was refused
    #[arg(long)]
    refused: bool,
    /// At most this many, oldest first
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    output: OutputArguments,
}

impl AuditArguments {
    fn filters(&self) -> Vec<(&'static str, String)> {
        let said = [
            ("since", &self.since),
            ("until", &self.until),
            ("client_id", &self.client),
            ("subject", &self.subject),
            ("address", &self.address),
            ("action", &self.action),
        ];
        let said = said.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        said.chain(self.refused.then(|| ("outcome", "refused".to_owned()))).collect()
    }
}

pub(crate) async fn run(platform: &Platform, arguments: AuditArguments) -> anyhow::Result<()> {
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let (mut entries, mut after) = (Vec::new(), None::<String>);
    while entries.len() < limit {
        let filters = arguments.filters();
        let wanted = (limit - entries.len()).min(1000);
        let call = |url| {
            let call = Call::new(Method::GET, url).query("limit", wanted);
            let filters = filters.into_iter().chain(after.take().map(|after| ("after", after)));
            filters.fold(call, |call, (name, value)| call.query(name, value))
        };
        let mut page = platform.call::<Value>("/v1/auth", "/audit", call).await?.body;
        if let Some(found) = page.get_mut("items").and_then(Value::as_array_mut) {
            entries.append(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    print(&entries, arguments.output);
    Ok(())
}

fn print(entries: &[Value], output: OutputArguments) {
    if output.json {
        println!("{:#}", Value::from(entries));
        return;
    }
    let row = |entry: &Value| {
        let outcome = match entry.get("error") {
            Some(_) => text(entry, "error"),
            None => "allowed".to_owned(),
        };
        let of = |name| text(entry, name);
        [
            of("at"),
            of("action"),
            outcome,
            of("client_id"),
            of("subject"),
            of("address"),
            of("detail"),
        ]
    };
    let header = ["AT", "ACTION", "OUTCOME", "CLIENT", "SUBJECT", "ADDRESS", "DETAIL"];
    println!("{}", table::plain(header, entries.iter().map(row).collect(), &[]));
}
