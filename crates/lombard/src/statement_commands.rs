//! The commands about statements, as the platform's operator.

use lombard_client::{Page, Statement};
use serde_json::json;

use crate::{
    cli::{CommonArguments, OutputArguments, StatementCommand, StatementFormat},
    commands::connect,
};

pub(crate) async fn run(common: &CommonArguments, command: StatementCommand) -> anyhow::Result<()> {
    let ledger = connect(common).await?.ledger();
    match command {
        StatementCommand::Seal { path, until, from, output } => {
            let id = ledger.account(&path, None).await?.id;
            let sealed = ledger.seal_statement(&id, from.as_deref(), &until).await?;
            print(&sealed, output);
        }
        StatementCommand::List { path, output } => {
            let id = ledger.account(&path, None).await?.id;
            let mut before = None;
            loop {
                let Page { items, next } = ledger.statements(&id, before.as_deref()).await?;
                items.iter().for_each(|statement| print(statement, output));
                match next {
                    Some(next) => before = Some(next),
                    None => break,
                }
            }
        }
        StatementCommand::Get { path, number, format, output } => {
            let id = ledger.account(&path, None).await?.id;
            let format = match format {
                _ if output.json => "json",
                StatementFormat::Csv => "csv",
                StatementFormat::Json => "json",
                StatementFormat::Camt053 => "camt.053",
            };
            print!("{}", ledger.statement(&id, number, format).await?);
        }
    }
    Ok(())
}

/// One line, so that a list can be taken in and piped on.
fn print(statement: &Statement, output: OutputArguments) {
    if output.json {
        println!("{}", json!(statement));
        return;
    }
    let Statement { account, asset, number, from, until, opening, closing, line_count, .. } =
        statement;
    println!(
        "{account} #{number}  {from} to {until}  {opening} to {closing} {asset}, {line_count} lines"
    );
}
