//! `lombard login`: a person allows the command line something, in a browser (authorization code with PKCE on a loopback
//! address, RFC 8252), or on another device where there is none here (RFC 8628). `lombard token` and `lombard logout` use and
//! end what came of it.
//!
//! No secret is ever in an argument: codes come over HTTP, and tokens are kept in a file that only its owner can read.

mod browser;
mod cache;
mod device;
mod endpoint;

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use lombard_types::Timestamp;

use crate::{cli::CommonArguments, data_directory::DataDirectory, up::run_state::RunState};
use cache::{Cache, Kept, Key};
use endpoint::{Endpoint, Issued};

/// The public client of the command line, which every platform knows from its first start.
pub(crate) const CLIENT_ID: &str = "lombard-cli";
/// How long a token must still be good to be used.
const MARGIN: Duration = Duration::from_secs(20);

/// Whose platform, and where tokens are kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoginPlace {
    /// The platform [default: the one that runs on --data-dir]
    #[arg(long, value_name = "URL", env = "LOMBARD_URL")]
    url: Option<String>,
    /// The client that the person allows something
    #[arg(long, value_name = "ID", default_value = CLIENT_ID)]
    client_id: String,
    /// Where tokens are kept [default: lombard/tokens.json in the user's cache directory]
    #[arg(long, value_name = "FILE", env = "LOMBARD_TOKEN_CACHE")]
    token_cache: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LoginArguments {
    /// What the tokens are for, as the gateway serves it, such as /v1/ledger
    #[arg(default_value = "/v1/ledger")]
    resource: String,
    /// What to ask for, separated by spaces [default: all that the person may do there]
    #[arg(long, default_value = "admin")]
    scope: String,
    /// Use a browser on another device; so it is too where there is no display
    #[arg(long)]
    device: bool,
    #[command(flatten)]
    place: LoginPlace,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LogoutArguments {
    /// What the tokens are for, as the gateway serves it
    #[arg(default_value = "/v1/ledger")]
    resource: String,
    #[command(flatten)]
    place: LoginPlace,
}

impl LoginPlace {
    fn url(&self, common: &CommonArguments) -> anyhow::Result<String> {
        if let Some(url) = &self.url {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let directory = DataDirectory::open(&common.data_dir)
            .context("say which platform with --url, or where its data is with --data-dir")?;
        Ok(RunState::read(&directory)?.issuer)
    }

    fn cache(&self) -> anyhow::Result<Cache> {
        if let Some(path) = &self.token_cache {
            return Ok(Cache::at(path.clone()));
        }
        let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let directory = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        let directory = directory.context("say where tokens are kept with --token-cache")?;
        Ok(Cache::at(directory.join("lombard").join("tokens.json")))
    }

    fn key(&self, common: &CommonArguments, resource: &str) -> anyhow::Result<Key> {
        Ok(Key {
            url: self.url(common)?,
            client_id: self.client_id.clone(),
            resource: resource.to_owned(),
        })
    }
}

/// `lombard login`.
pub(crate) async fn login(
    common: &CommonArguments,
    arguments: &LoginArguments,
) -> anyhow::Result<()> {
    let LoginArguments { resource, scope, device, place } = arguments;
    let (key, cache) = (place.key(common, resource)?, place.cache()?);
    let endpoint = Endpoint::discover(&key.url).await?;
    let asked = [
        ("client_id", key.client_id.clone()),
        ("scope", format!("{scope} offline_access")),
        ("resource", format!("{}{resource}", endpoint.issuer)),
    ];
    let issued = if *device || !has_display() {
        device::ask(&endpoint, &asked).await?
    } else {
        browser::ask(&endpoint, &asked).await?
    };
    let kept = kept(&key, issued)?;
    println!("Logged in for {resource}: {}", kept.scope);
    cache.locked()?.put(kept)
}

/// A browser that the person sees is on this machine.
fn has_display() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_remote = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    !is_remote && (!cfg!(target_os = "linux") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

fn kept(key: &Key, issued: Issued) -> anyhow::Result<Kept> {
    if !issued.token_type.eq_ignore_ascii_case("bearer") {
        bail!("the tokens are not the bearer's: the command line cannot use them");
    }
    Ok(Kept {
        key: key.clone(),
        access_token: issued.access_token,
        expires_at: now().plus(Duration::from_secs(issued.expires_in)).unix_seconds(),
        refresh_token: issued.refresh_token,
        scope: issued.scope,
    })
}

fn now() -> Timestamp {
    Timestamp::from_system_time(std::time::SystemTime::now())
}

/// The access token of a login; a new one where the last one is about to expire.
pub(crate) async fn token(
    common: &CommonArguments,
    resource: &str,
    place: &LoginPlace,
) -> anyhow::Result<String> {
    let key = place.key(common, resource)?;
    // Held until the next refresh token is kept: two programs at once must not use one twice.
    let mut cache = place.cache()?.locked()?;
    let Some(found) = cache.find(&key)? else {
        bail!("nobody is logged in for {resource} at {}: lombard login {resource}", key.url);
    };
    if found.expires_at > now().plus(MARGIN).unix_seconds() {
        return Ok(found.access_token.clone());
    }
    let Some(refresh_token) = &found.refresh_token else {
        bail!("the login has expired: lombard login {resource}");
    };
    let endpoint = Endpoint::discover(&key.url).await?;
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", &key.client_id),
    ];
    let issued = endpoint.token(&refresh).await?;
    let kept = kept(&key, issued.context("the login is over: lombard login")?)?;
    let token = kept.access_token.clone();
    cache.put(kept)?;
    Ok(token)
}

/// `lombard logout`: takes back what came of the login, and forgets it.
pub(crate) async fn logout(
    common: &CommonArguments,
    arguments: &LogoutArguments,
) -> anyhow::Result<()> {
    let LogoutArguments { resource, place } = arguments;
    let key = place.key(common, resource)?;
    let mut cache = place.cache()?.locked()?;
    let Some(found) = cache.find(&key)? else { return Ok(()) };
    let endpoint = Endpoint::discover(&key.url).await?;
    endpoint
        .revoke(&key.client_id, found.refresh_token.as_ref().unwrap_or(&found.access_token))
        .await?;
    cache.remove(&key)
}
