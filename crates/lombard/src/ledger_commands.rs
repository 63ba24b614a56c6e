//! The commands that move money, and open and look at accounts and assets, as the platform's operator.

use anyhow::Context as _;
use lombard_client::{
    Account, Asset, Error, Ledger, NewAccount, NewTransfer, Page, Pending, Transfer,
};
use serde_json::{Value, json};

use crate::{
    cli::{
        AboutArguments, AccountCommand, AssetCommand, CommonArguments, OutputArguments,
        TransferCommand,
    },
    commands::connect,
};

pub(crate) async fn transfer(
    common: &CommonArguments,
    command: TransferCommand,
) -> anyhow::Result<()> {
    let ledger = connect(common).await?.ledger();
    match command {
        TransferCommand::Create { .. } => create(&ledger, command).await,
        TransferCommand::Import { file, output } => {
            crate::import::run(&ledger, &file, output).await
        }
        TransferCommand::Get { id, output } => {
            print(&ledger.transfer(&id).await?, output);
            Ok(())
        }
        TransferCommand::Post { about, amount } => {
            let key = key(about.idempotency_key.clone());
            let done = ledger.post_transfer(&about.id, amount.as_deref(), &key).await;
            finish(done, &key, &about)
        }
        TransferCommand::Void { about } => {
            let key = key(about.idempotency_key.clone());
            let done = ledger.void_transfer(&about.id, &key).await;
            finish(done, &key, &about)
        }
        TransferCommand::Reverse { about, amount } => {
            let key = key(about.idempotency_key.clone());
            let done = ledger.reverse_transfer(&about.id, amount.as_deref(), &key).await;
            finish(done, &key, &about)
        }
    }
}

fn key(said: Option<String>) -> String {
    said.unwrap_or_else(|| uuid::Uuid::now_v7().to_string())
}

fn finish(done: Result<Transfer, Error>, key: &str, about: &AboutArguments) -> anyhow::Result<()> {
    print(&done.map_err(|error| explained(error, key))?, about.output);
    Ok(())
}

/// What an error means for the money, and how to go on.
fn explained(error: Error, key: &str) -> anyhow::Error {
    if let Error::OutcomeUnknown { .. } = error {
        let advice =
            format!("repeat the command with --idempotency-key {key}: it takes effect once");
        return anyhow::Error::new(error).context(advice);
    }
    anyhow::Error::new(error).context("nothing was moved")
}

fn print(transfer: &Transfer, output: OutputArguments) {
    if output.json {
        println!("{:#}", json!(transfer));
        return;
    }
    let Transfer { id, kind, status, debit_account, credit_account, asset, amount, .. } = transfer;
    println!("{id}  {kind}, {status}: {amount} {asset} from {debit_account} to {credit_account}");
}

async fn create(ledger: &Ledger, command: TransferCommand) -> anyhow::Result<()> {
    let TransferCommand::Create {
        amount,
        asset,
        from,
        to,
        open,
        pending,
        allowance,
        external_id,
        idempotency_key,
        output,
    } = command
    else {
        return Ok(());
    };
    if open {
        for (path, floor) in [(&from, None), (&to, Some("0".to_owned()))] {
            open_if_missing(ledger, path, &asset, floor).await?;
        }
    }
    let key = key(idempotency_key);
    let mut transfer = NewTransfer::new(&from, &to, &asset, &amount);
    transfer.external_id = external_id;
    transfer.pending = pending.map(|timeout_seconds| Pending { timeout_seconds, allowance });
    let is_pending = transfer.pending.is_some();
    let posted = ledger.send_transfer(&transfer, &key).await;
    let posted = posted.map_err(|error| explained(error, &key))?;
    let accounts = (
        ledger.account(&from, posted.position).await?,
        ledger.account(&to, posted.position).await?,
    );
    if output.json {
        println!("{:#}", json!(posted.body));
        return Ok(());
    }
    let Transfer { amount, asset, id, position, .. } = &posted.body;
    let done = if is_pending { "reserved" } else { "moved" };
    println!("{amount} {asset} {done}: transfer {id} at position {position}");
    print_account_line(&accounts.0);
    print_account_line(&accounts.1);
    Ok(())
}

async fn open_if_missing(
    ledger: &Ledger,
    path: &str,
    asset: &str,
    floor: Option<String>,
) -> anyhow::Result<()> {
    match ledger.account(path, None).await {
        Ok(_) => Ok(()),
        Err(Error::Refused(problem)) if problem.status == 404 => {
            let account = NewAccount { path: path.to_owned(), asset: asset.to_owned(), floor };
            let opened = ledger.open_account(&account).await;
            opened.with_context(|| format!("failed to open {path}"))?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn account(
    common: &CommonArguments,
    command: AccountCommand,
) -> anyhow::Result<()> {
    let ledger = connect(common).await?.ledger();
    let (account, output) = match command {
        AccountCommand::List { prefix, output } => return list(&ledger, &prefix, output).await,
        AccountCommand::Get { path, output } => (ledger.account(&path, None).await?, output),
        AccountCommand::Open { path, asset, floor, no_floor, output } => {
            let floor = if no_floor { None } else { Some(floor) };
            (ledger.open_account(&NewAccount { path, asset, floor }).await?, output)
        }
        AccountCommand::Close { path, output } => {
            let id = ledger.account(&path, None).await?.id;
            (ledger.close_account(&id).await?, output)
        }
        AccountCommand::Reopen { path, output } => {
            let id = ledger.account(&path, None).await?.id;
            (ledger.reopen_account(&id).await?, output)
        }
    };
    if output.json {
        println!("{:#}", json!(account));
        return Ok(());
    }
    let closed = if account.closed { ", closed" } else { "" };
    println!("{} ({}){closed}", account.path, account.id);
    println!("  posted     {:>20} {}", account.balance.posted, account.asset);
    println!("  available  {:>20} {}", account.balance.available, account.asset);
    Ok(())
}

async fn list(ledger: &Ledger, prefix: &str, output: OutputArguments) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let Page { items, next } = ledger.accounts(prefix, after.as_deref()).await?;
        for account in &items {
            if output.json {
                println!("{}", json!(account));
            } else {
                print_account_line(account);
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn print_account_line(account: &Account) {
    println!("  {:<40} {:>20} {}", account.path, account.balance.posted, account.asset);
}

pub(crate) async fn asset(common: &CommonArguments, command: AssetCommand) -> anyhow::Result<()> {
    let ledger = connect(common).await?.ledger();
    match command {
        AssetCommand::Create { code, scale, output } => {
            let asset = ledger.create_asset(&Asset { code, scale }).await?;
            print_asset(&asset, output);
        }
        AssetCommand::List(output) => {
            let mut after = None;
            loop {
                let Page { items, next } = ledger.assets(after.as_deref()).await?;
                items.iter().for_each(|asset| print_asset(asset, output));
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
    }
    Ok(())
}

fn print_asset(asset: &Asset, output: OutputArguments) {
    if output.json {
        let line: Value = json!(asset);
        println!("{line}");
    } else {
        println!("{:<12} {} digits after the point", asset.code, asset.scale);
    }
}
