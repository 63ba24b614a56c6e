//! `lombard explain`: from a balance or a transfer back to the HTTP request that made it so.

use lombard_client::Ledger;
use serde_json::Value;

use crate::{
    cli::{CommonArguments, ExplainCommand},
    commands::connect,
};

pub(crate) async fn run(common: &CommonArguments, command: ExplainCommand) -> anyhow::Result<()> {
    let ledger = connect(common).await?.ledger();
    match command {
        ExplainCommand::Transfer { id, output } => {
            let said = ledger.explain_transfer(&id, None).await?;
            if output.json {
                println!("{said:#}");
            } else {
                print_transfer(&said);
            }
        }
        ExplainCommand::Balance { account, entries, output } => {
            let id = account_id(&ledger, account).await?;
            let said = ledger.explain_balance(&id, entries, None).await?;
            if output.json {
                println!("{said:#}");
            } else {
                print_balance(&said);
            }
        }
    }
    Ok(())
}

/// A path is looked up; what reads as an id is one.
async fn account_id(ledger: &Ledger, account: String) -> anyhow::Result<String> {
    match account.parse::<uuid::Uuid>() {
        Ok(_) => Ok(account),
        Err(_) => Ok(ledger.account(&account, None).await?.id),
    }
}

fn text<'a>(said: &'a Value, pointer: &str) -> &'a str {
    said.pointer(pointer).and_then(Value::as_str).unwrap_or("-")
}

fn list<'a>(said: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    said.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn print_transfer(said: &Value) {
    let of = |pointer| text(said, pointer);
    println!(
        "transfer  {}  {}, {}: {} {} from {} to {}",
        of("/transfer/id"),
        of("/transfer/kind"),
        of("/transfer/status"),
        of("/transfer/amount"),
        of("/transfer/asset"),
        of("/transfer/debit_account"),
        of("/transfer/credit_account"),
    );
    for entry in list(said, "entries") {
        println!(
            "entry     {} #{}: {} {}, balance after it {}",
            text(entry, "/account"),
            text(entry, "/number"),
            text(entry, "/side"),
            text(entry, "/amount"),
            text(entry, "/balance_after"),
        );
    }
    print_cause(said, "");
}

fn print_balance(said: &Value) {
    let of = |pointer| text(said, pointer);
    println!(
        "{}  {} {} posted, {} available, {} entries",
        of("/account/path"),
        of("/account/balance/posted"),
        of("/account/asset"),
        of("/account/balance/available"),
        of("/account/version"),
    );
    for entry in list(said, "entries") {
        println!(
            "#{}  {} {} {}, counting {}: balance {}",
            text(entry, "/number"),
            text(entry, "/kind"),
            text(entry, "/side"),
            text(entry, "/amount"),
            text(entry, "/effective_at"),
            text(entry, "/balance"),
        );
        println!(
            "    transfer  {}  with {}",
            text(entry, "/transfer_id"),
            text(entry, "/counterparty"),
        );
        print_cause(entry, "    ");
    }
    if said.get("next").is_some_and(Value::is_string) {
        println!("earlier ones with more --entries");
    }
}

/// From the event to the request.
fn print_cause(said: &Value, indent: &str) {
    let of = |pointer| text(said, pointer);
    println!(
        "{indent}event     {} at position {}, {}",
        of("/event/kind"),
        of("/event/position"),
        of("/event/recorded_at"),
    );
    println!(
        "{indent}command   {}  idempotency key {}",
        of("/command/id"),
        of("/command/idempotency_key"),
    );
    println!(
        "{indent}token     {} of client {} for {}",
        of("/actor/token_id"),
        of("/actor/client_id"),
        of("/actor/subject"),
    );
    println!("{indent}request   {}  trace {}", of("/request/id"), of("/request/traceparent"));
}
