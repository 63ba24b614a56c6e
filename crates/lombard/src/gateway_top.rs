//! `lombard gateway top`: what the gateway does right now, asked again and again.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use clap::Args;
use lombard_client::{Call, Platform};
use reqwest::Method;
use serde_json::Value;

use crate::{
    cli::CommonArguments,
    commands::connect,
    gateway_commands::{PREFIX, upstream_table},
    table,
};

#[derive(Args, Debug)]
pub(crate) struct TopArguments {
    /// How long each table looks back, in milliseconds
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    interval_ms: u64,
    /// Stop after so many tables; else Ctrl-C does it
    #[arg(long)]
    count: Option<u64>,
}

/// Answers so far, by route and class of status.
type Counts = HashMap<String, HashMap<String, u64>>;

/// From one terminal to the next frame: to the top left, and everything below is cleared.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

pub(crate) async fn run(common: &CommonArguments, arguments: &TopArguments) -> anyhow::Result<()> {
    let platform = connect(common).await?;
    let mut before = counts(&ask(&platform).await?);
    let mut asked = Instant::now();
    let mut shown = 0;
    while arguments.count.is_none_or(|count| shown < count) {
        tokio::time::sleep(Duration::from_millis(arguments.interval_ms)).await;
        let traffic = ask(&platform).await?;
        let (now, after) = (Instant::now(), counts(&traffic));
        show(&traffic, &before, &after, now - asked)?;
        (before, asked) = (after, now);
        shown += 1;
    }
    Ok(())
}

async fn ask(platform: &Platform) -> anyhow::Result<Value> {
    let call = |url| Call::new(Method::GET, url);
    Ok(platform.call::<Value>(PREFIX, "/traffic", call).await?.body)
}

fn counts(traffic: &Value) -> Counts {
    let routes = traffic.get("routes").and_then(Value::as_array).into_iter().flatten();
    let read = |route: &Value| {
        let name = route.get("name")?.as_str()?.to_owned();
        let answers = route.get("answers")?.as_object()?.iter();
        let answers = answers.filter_map(|(class, count)| Some((class.clone(), count.as_u64()?)));
        Some((name, answers.collect()))
    };
    routes.filter_map(read).collect()
}

fn show(traffic: &Value, before: &Counts, after: &Counts, took: Duration) -> anyhow::Result<()> {
    let number = |name: &str| traffic.get(name).and_then(Value::as_i64).unwrap_or_default();
    let shed = traffic.get("shed").and_then(Value::as_object).into_iter().flatten();
    let shed: Vec<String> = shed.map(|(reason, count)| format!("{reason} {count}")).collect();
    let mut output = std::io::stdout().lock();
    if output.is_terminal() {
        write!(output, "{CLEAR}")?;
    }
    writeln!(
        output,
        "under way: {}   refused since the start: {}",
        number("in_flight"),
        shed.join(", ")
    )?;
    let header = ["ROUTE", "REQUESTS/S", "2XX", "3XX", "4XX", "5XX"];
    writeln!(output, "{}", table::plain(header, rates(before, after, took), &[1, 2, 3, 4, 5]))?;
    writeln!(output, "{}", upstream_table(traffic))?;
    Ok(())
}

/// One row for each route that was asked for meanwhile, the busiest first.
fn rates(before: &Counts, after: &Counts, took: Duration) -> Vec<[String; 6]> {
    let mut rows: Vec<(u64, [String; 6])> = Vec::new();
    for (route, answers) in after {
        let known = before.get(route);
        let more = |class: &str| {
            let of = |counts: &HashMap<String, u64>| counts.get(class).copied().unwrap_or_default();
            // A gateway that was started anew counts from the beginning.
            of(answers).saturating_sub(known.map(of).unwrap_or_default())
        };
        let classes = ["2xx", "3xx", "4xx", "5xx"].map(more);
        let all: u64 = classes.iter().sum();
        if all == 0 {
            continue;
        }
        let per_second = Duration::from_secs(all).as_secs_f64() / took.as_secs_f64().max(0.001);
        let [ok, moved, refused, failed] = classes.map(|count| count.to_string());
        rows.push((all, [route.clone(), format!("{per_second:.0}"), ok, moved, refused, failed]));
    }
    rows.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
    rows.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rates_are_what_came_between_two_answers() {
        let answer = |orders: u64, quotes: u64| {
            counts(&json!({ "routes": [
                { "name": "orders", "answers": { "2xx": orders, "5xx": 1 } },
                { "name": "quotes", "answers": { "2xx": quotes, "4xx": quotes } },
                { "name": "quiet", "answers": { "2xx": 7 } },
            ] }))
        };
        let rows = rates(&answer(100, 10), &answer(104, 60), Duration::from_secs(2));
        let text: Vec<Vec<&str>> =
            rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        assert_eq!(
            text,
            [["quotes", "50", "50", "0", "50", "0"], ["orders", "2", "4", "0", "0", "0"]]
        );
        let restarted = rates(&answer(100, 10), &answer(3, 10), Duration::from_secs(1));
        assert!(restarted.is_empty(), "{restarted:?}");
    }
}
