//! The commands that speak to a running platform as its operator.

use lombard_client::{Call, Platform};
use lombard_token::SigningKey;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    auth_commands,
    cli::{ClientCommand, CommonArguments, OutputArguments, TokenArguments},
    data_directory::DataDirectory,
    key, login, operator, table,
    up::run_state::RunState,
};

pub(crate) async fn connect(common: &CommonArguments) -> anyhow::Result<Platform> {
    let directory = DataDirectory::open(&common.data_dir)?;
    let state = RunState::read(&directory)?;
    operator::connect(&directory, &state, None).await
}

pub(crate) async fn client(common: &CommonArguments, command: ClientCommand) -> anyhow::Result<()> {
    let platform = connect(common).await?;
    match command {
        ClientCommand::Create { name, scope, redirect_uri, public, key_file, profile, output } => {
            let jwk = key_file.as_deref().map(key::read_or_make).transpose()?;
            let body = json!({
                "name": name, "scope": scope, "redirect_uris": redirect_uri, "profile": profile,
                "token_endpoint_auth_method": public.then_some("none"),
                "jwk": jwk.as_ref().map(SigningKey::public_jwk),
            });
            let call =
                |url| Call::new(Method::POST, url).json(body).idempotency_key(uuid::Uuid::now_v7());
            let registered = platform.call::<Value>("/v1/auth", "/clients", call).await?.body;
            print_client(&registered, output);
        }
        ClientCommand::List(output) => {
            let clients = auth_commands::all(&platform, "/clients").await?;
            if output.json {
                println!("{:#}", Value::from(clients));
            } else {
                let members =
                    ["client_id", "name", "profile", "token_endpoint_auth_method", "scope"];
                let row =
                    |client: &Value| members.map(|member| auth_commands::text(client, member));
                let header = ["CLIENT", "NAME", "PROFILE", "AUTHENTICATION", "SCOPE"];
                println!("{}", table::plain(header, clients.iter().map(row).collect(), &[]));
            }
        }
    }
    Ok(())
}

fn print_client(registered: &Value, output: OutputArguments) {
    if output.json {
        println!("{registered:#}");
        return;
    }
    let said = |name: &str| registered.get(name).and_then(Value::as_str).unwrap_or("-");
    println!("client id      {}", said("client_id"));
    if registered.get("client_secret").is_some() {
        println!("client secret  {}   (shown this once)", said("client_secret"));
    }
    println!("profile        {}", said("profile"));
    println!("scope          {}", said("scope"));
}

pub(crate) async fn token(
    common: &CommonArguments,
    arguments: &TokenArguments,
) -> anyhow::Result<()> {
    if arguments.login {
        println!("{}", login::token(common, &arguments.resource, &arguments.place).await?);
        return Ok(());
    }
    let platform = connect(common).await?;
    println!("{}", platform.access_token(&arguments.resource).await?.secret());
    Ok(())
}
