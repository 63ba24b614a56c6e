//! The commands that speak to a running platform as its operator.

use anyhow::Context as _;
use lombard_client::{Call, NewAccount, NewTransfer, Platform};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{
        AccountCommand, ClientCommand, CommonArguments, OutputArguments, TokenArguments,
        TransferCommand,
    },
    data_directory::DataDirectory,
    operator,
    up::run_state::RunState,
};

pub(crate) async fn connect(common: &CommonArguments) -> anyhow::Result<Platform> {
    let directory = DataDirectory::open(&common.data_dir)?;
    let state = RunState::read(&directory)?;
    operator::connect(&directory, &state, None).await
}

pub(crate) async fn transfer(
    common: &CommonArguments,
    command: TransferCommand,
) -> anyhow::Result<()> {
    let TransferCommand::Create { amount, asset, from, to, open, idempotency_key, output } =
        command;
    let platform = connect(common).await?;
    let ledger = platform.ledger();
    if open {
        for (path, floor) in [(&from, None), (&to, Some("0".to_owned()))] {
            open_if_missing(&platform, path, &asset, floor).await?;
        }
    }
    let key = idempotency_key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let transfer = NewTransfer::new(&from, &to, &asset, &amount);
    let posted = match ledger.send_transfer(&transfer, &key).await {
        Ok(posted) => posted,
        Err(error @ lombard_client::Error::OutcomeUnknown { .. }) => {
            let advice =
                format!("repeat the command with --idempotency-key {key}: it takes effect once");
            return Err(anyhow::Error::new(error).context(advice));
        }
        Err(error) => return Err(anyhow::Error::new(error).context("nothing was moved")),
    };
    let (from, to) = (
        ledger.account(&from, posted.position).await?,
        ledger.account(&to, posted.position).await?,
    );
    if output.json {
        println!("{:#}", json!(posted.body));
        return Ok(());
    }
    let transfer = &posted.body;
    println!(
        "{} {} moved: transfer {} at position {}",
        transfer.amount, transfer.asset, transfer.id, transfer.position
    );
    for account in [from, to] {
        println!("  {:<40} {:>20} {}", account.path, account.balance.posted, account.asset);
    }
    Ok(())
}

async fn open_if_missing(
    platform: &Platform,
    path: &str,
    asset: &str,
    floor: Option<String>,
) -> anyhow::Result<()> {
    match platform.ledger().account(path, None).await {
        Ok(_) => Ok(()),
        Err(lombard_client::Error::Refused(problem)) if problem.status == 404 => {
            let account = NewAccount { path: path.to_owned(), asset: asset.to_owned(), floor };
            platform
                .ledger()
                .open_account(&account)
                .await
                .with_context(|| format!("failed to open {path}"))?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn account(
    common: &CommonArguments,
    command: AccountCommand,
) -> anyhow::Result<()> {
    let AccountCommand::Get { path, output } = command;
    let platform = connect(common).await?;
    if output.json {
        let path = format!("/accounts/by-path/{path}");
        let account =
            platform.call::<Value>("/v1/ledger", &path, |url| Call::new(Method::GET, url)).await?;
        println!("{:#}", account.body);
        return Ok(());
    }
    let account = platform.ledger().account(&path, None).await?;
    println!("{} ({})", account.path, account.id);
    println!("  posted     {:>20} {}", account.balance.posted, account.asset);
    println!("  available  {:>20} {}", account.balance.available, account.asset);
    Ok(())
}

pub(crate) async fn client(common: &CommonArguments, command: ClientCommand) -> anyhow::Result<()> {
    let ClientCommand::Create { name, scope, output } = command;
    let platform = connect(common).await?;
    let body = json!({ "name": name, "scope": scope });
    let call = |url| Call::new(Method::POST, url).json(body).idempotency_key(uuid::Uuid::now_v7());
    let registered = platform.call::<Value>("/v1/auth", "/clients", call).await?.body;
    print_client(&registered, output);
    Ok(())
}

fn print_client(registered: &Value, output: OutputArguments) {
    if output.json {
        println!("{registered:#}");
        return;
    }
    let said = |name: &str| registered.get(name).and_then(Value::as_str).unwrap_or("-");
    println!("client id      {}", said("client_id"));
    println!("client secret  {}   (shown this once)", said("client_secret"));
    println!("scope          {}", said("scope"));
}

pub(crate) async fn token(
    common: &CommonArguments,
    arguments: &TokenArguments,
) -> anyhow::Result<()> {
    let platform = connect(common).await?;
    println!("{}", platform.access_token(&arguments.resource).await?.secret());
    Ok(())
}
