//! The commands of the authorization server about persons and their groups, as the platform's operator.

use std::{fs, io::Read as _, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use lombard_client::{Call, Platform};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{CommonArguments, OutputArguments},
    commands::connect,
    table,
};

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Make persons known who may log in, and look after them
    #[command(subcommand)]
    User(UserCommand),
    /// Share rights between persons
    #[command(subcommand)]
    Group(UserGroupCommand),
    /// See who was allowed or refused what, when, from where, and with which client
    Audit(crate::auth_audit_command::AuditArguments),
    /// See and change the keys that tokens are signed with
    #[command(subcommand)]
    Keys(crate::auth_key_commands::KeyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a person known
    Create {
        /// What the person logs in with
        name: String,
        /// What the person is called
        #[arg(long)]
        display_name: Option<String>,
        /// Where mail reaches the person
        #[arg(long)]
        email: Option<String>,
        /// What the person may do, and so may allow programs to do, such as "ledger:write:customers/42/*"
        #[arg(long, default_value = "")]
        scope: String,
        /// A group that the person is in; may be said several times
        #[arg(long)]
        group: Vec<String>,
        #[command(flatten)]
        password: PasswordArguments,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Show all persons
    List(OutputArguments),
    /// Let a person log in no more; sessions and tokens end
    Disable {
        /// The person's name
        name: String,
    },
    /// Let a person log in again
    Enable {
        /// The person's name
        name: String,
    },
    /// Replace a person's password; sessions and tokens end
    SetPassword {
        /// The person's name
        name: String,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Give a person an authenticator app and recovery codes, which are shown once; logins ask for a code from then on
    EnrolSecondFactor {
        /// The person's name
        name: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Take a person's second factor away, as when it is lost; sessions and tokens end
    RemoveSecondFactor {
        /// The person's name
        name: String,
    },
    /// Show a person's passkeys
    Passkeys {
        /// The person's name
        name: String,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Take a person's passkey away, as when the device is lost; sessions and tokens end
    RemovePasskey {
        /// The person's name
        name: String,
        /// The passkey's id
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Forget a person
    Remove {
        /// The person's name
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct PasswordArguments {
    /// Read the password from this file, or from standard input where it is `-`
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserGroupCommand {
    /// Make a group, or change what it may do
    Put {
        /// What it is called
        name: String,
        /// What it may do
        #[arg(long)]
        scope: String,
    },
    /// Show all groups
    List(OutputArguments),
    /// Remove a group that nobody is in
    Remove {
        /// The group
        name: String,
    },
}

impl PasswordArguments {
    /// The first line of the file.
    fn read(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let mut text = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().take(4096).read_to_string(&mut text)?;
        } else {
            text = fs::read_to_string(path)
                .with_context(|| format!("failed to read {}", path.display()))?;
        }
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}

pub(crate) async fn run(common: &CommonArguments, command: AuthCommand) -> anyhow::Result<()> {
    let platform = connect(common).await?;
    match command {
        AuthCommand::User(command) => user(&platform, command).await,
        AuthCommand::Group(command) => group(&platform, command).await,
        AuthCommand::Audit(arguments) => crate::auth_audit_command::run(&platform, arguments).await,
        AuthCommand::Keys(command) => crate::auth_key_commands::run(&platform, command).await,
    }
}

async fn user(platform: &Platform, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create { name, display_name, email, scope, group, password, output } => {
            let body = json!({
                "name": name, "scope": scope, "groups": group, "display_name": display_name,
                "email": email, "password": password.read()?,
            });
            let call =
                |url| Call::new(Method::POST, url).json(body).idempotency_key(uuid::Uuid::now_v7());
            let created = platform.call::<Value>("/v1/auth", "/users", call).await?.body;
            print_users(&[created], output);
        }
        UserCommand::List(output) => print_users(&all(platform, "/users").await?, output),
        UserCommand::Disable { name } => {
            send(platform, Method::POST, &format!("/users/{name}/disable"), None).await?;
        }
        UserCommand::Enable { name } => {
            send(platform, Method::POST, &format!("/users/{name}/enable"), None).await?;
        }
        UserCommand::SetPassword { name, password } => {
            let password =
                password.read()?.context("say where the password is: --password-file")?;
            let body = json!({ "password": password });
            send(platform, Method::PUT, &format!("/users/{name}/password"), Some(body)).await?;
        }
        UserCommand::EnrolSecondFactor { name, output } => {
            let call = |url| Call::new(Method::POST, url);
            let path = format!("/users/{name}/second-factor");
            let given = platform.call::<Value>("/v1/auth", &path, call).await?.body;
            print_second_factor(&given, output);
        }
        UserCommand::RemoveSecondFactor { name } => {
            send(platform, Method::DELETE, &format!("/users/{name}/second-factor"), None).await?;
        }
        UserCommand::Passkeys { name, output } => {
            let passkeys = all(platform, &format!("/users/{name}/passkeys")).await?;
            if output.json {
                println!("{:#}", Value::from(passkeys));
            } else {
                let members = ["id", "name", "created_at", "used_at"];
                let rows = passkeys.iter().map(|passkey| members.map(|name| text(passkey, name)));
                let header = ["PASSKEY", "NAME", "MADE", "USED"];
                println!("{}", table::plain(header, rows.collect(), &[]));
            }
        }
        UserCommand::RemovePasskey { name, id } => {
            send(platform, Method::DELETE, &format!("/users/{name}/passkeys/{id}"), None).await?;
        }
        UserCommand::Remove { name } => {
            send(platform, Method::DELETE, &format!("/users/{name}"), None).await?;
        }
    }
    Ok(())
}

async fn group(platform: &Platform, command: UserGroupCommand) -> anyhow::Result<()> {
    match command {
        UserGroupCommand::Put { name, scope } => {
            let body = json!({ "scope": scope });
            send(platform, Method::PUT, &format!("/groups/{name}"), Some(body)).await?;
        }
        UserGroupCommand::List(output) => {
            let groups = all(platform, "/groups").await?;
            if output.json {
                println!("{:#}", Value::from(groups));
            } else {
                let rows = groups.iter().map(|group| [text(group, "name"), text(group, "scope")]);
                println!("{}", table::plain(["GROUP", "SCOPE"], rows.collect(), &[]));
            }
        }
        UserGroupCommand::Remove { name } => {
            send(platform, Method::DELETE, &format!("/groups/{name}"), None).await?;
        }
    }
    Ok(())
}

pub(crate) async fn send(
    platform: &Platform,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<()> {
    let call = |url| match body {
        Some(body) => Call::new(method, url).json(body),
        None => Call::new(method, url),
    };
    platform.call::<Value>("/v1/auth", path, call).await?;
    Ok(())
}

/// All items of a list, page by page.
pub(crate) async fn all(platform: &Platform, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let call = |url| {
            let call = Call::new(Method::GET, url);
            match &after {
                Some(after) => call.query("after", after),
                None => call,
            }
        };
        let mut page = platform.call::<Value>("/v1/auth", path, call).await?.body;
        if let Some(found) = page.get_mut("items").and_then(Value::as_array_mut) {
            items.append(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}

/// What is in the server's answer and nowhere else.
fn print_second_factor(given: &Value, output: OutputArguments) {
    if output.json {
        println!("{given:#}");
        return;
    }
    println!("Key for the authenticator app: {}", text(given, "totp_secret"));
    println!("The same as a link:            {}", text(given, "totp_uri"));
    println!("Recovery codes, each good once:");
    let codes = given.get("recovery_codes").and_then(Value::as_array).into_iter().flatten();
    codes.filter_map(Value::as_str).for_each(|code| println!("  {code}"));
}

fn print_users(users: &[Value], output: OutputArguments) {
    if output.json {
        println!("{:#}", Value::from(users));
        return;
    }
    let row = |user: &Value| {
        let groups = user.get("groups").and_then(Value::as_array).into_iter().flatten();
        let groups: Vec<&str> = groups.filter_map(Value::as_str).collect();
        let is_disabled = user.get("disabled").and_then(Value::as_bool).unwrap_or_default();
        let standing = if is_disabled { "disabled" } else { "enabled" };
        [
            text(user, "name"),
            text(user, "id"),
            text(user, "scope"),
            groups.join(" "),
            standing.to_owned(),
        ]
    };
    let header = ["USER", "ID", "SCOPE", "GROUPS", "STANDING"];
    println!("{}", table::plain(header, users.iter().map(row).collect(), &[]));
}

pub(crate) fn text(item: &Value, member: &str) -> String {
    item.get(member).and_then(Value::as_str).unwrap_or("-").to_owned()
}
