//! The logs of a running platform, over its public HTTP interface.

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use lombard_client::{Call, Credentials, Platform};
use lombard_log::merkle::TreeHash;
use reqwest::Method;
use serde::Deserialize;

use super::{
    Results, Trusted,
    feed::{self, Feed, Sent},
};
use crate::{
    cli::CommonArguments,
    data_directory::DataDirectory,
    exit::CheckFailed,
    operator,
    progress::{bar, show},
    role::Role,
    up::first_start::OPERATOR,
};

pub(super) async fn run(
    common: &CommonArguments,
    target: &str,
    trusted: &Trusted,
) -> anyhow::Result<Results> {
    let (gateway, role) = parse(target)?;
    let mut roles = role.map_or_else(|| Role::WITH_LOG.to_vec(), |role| vec![role]);
    if let Some(origin) = trusted.origin()? {
        roles.retain(|role| origin.starts_with(&format!("lombard/{role}/")));
        if roles.is_empty() {
            return Err(CheckFailed(format!("{target} is not {origin}")).into());
        }
    }
    let platform = Platform::connect(&gateway, credentials(common)?)
        .await
        .with_context(|| format!("failed to reach the platform at {gateway}"))?;
    let mut results = Vec::new();
    for role in roles {
        let feed = HttpFeed { platform: &platform, prefix: format!("/v1/{role}") };
        let bar = bar(role.name());
        let verified = feed::verify(&feed, trusted, &mut |at| show(&bar, at)).await;
        bar.finish_and_clear();
        let result = match verified {
            Ok(verified) => Ok(verified),
            Err(error) => match error.downcast::<CheckFailed>() {
                Ok(failed) => Err(failed),
                Err(error) => refusal(error).map(Err).context(role)?,
            },
        };
        results.push((role.name().to_owned(), result));
    }
    Ok(results)
}

/// A server that says itself that its log is damaged has failed the check.
fn refusal(error: anyhow::Error) -> anyhow::Result<CheckFailed> {
    match error.downcast_ref::<lombard_client::Error>() {
        Some(lombard_client::Error::Refused(problem)) if problem.slug() == "log-damaged" => {
            Ok(CheckFailed(problem.to_string()))
        }
        _ => Err(error),
    }
}

/// The gateway, and the role if one is named: `http://host`, `http://host/v1/ledger`, `http://host/v1/ledger/log`.
fn parse(target: &str) -> anyhow::Result<(String, Option<Role>)> {
    let Some((gateway, rest)) = target.split_once("/v1/") else {
        return Ok((target.trim_end_matches('/').to_owned(), None));
    };
    let name = rest.trim_end_matches('/');
    let name = name.strip_suffix("/log").unwrap_or(name);
    let role = Role::WITH_LOG.into_iter().find(|role| role.name() == name);
    match role {
        Some(role) => Ok((gateway.to_owned(), Some(role))),
        None => bail!("{name:?} is not a role that keeps a log"),
    }
}

/// Of the client that the environment names, else the operator's.
fn credentials(common: &CommonArguments) -> anyhow::Result<Credentials> {
    let variable = |name| std::env::var(name).ok();
    if let (Some(id), Some(secret)) =
        (variable("LOMBARD_CLIENT_ID"), variable("LOMBARD_CLIENT_SECRET"))
    {
        return Ok(Credentials::secret(id, &secret));
    }
    let directory = DataDirectory::open(&common.data_dir)
        .context("no LOMBARD_CLIENT_ID and LOMBARD_CLIENT_SECRET, and no operator's key")?;
    Ok(Credentials::key(OPERATOR, operator::read_key(&directory, OPERATOR)?))
}

struct HttpFeed<'a> {
    platform: &'a Platform,
    prefix: String,
}

#[derive(Deserialize)]
struct Consistency {
    path: Vec<String>,
}

#[derive(Deserialize)]
struct Records {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    position: u64,
    payload: String,
}

impl Feed for HttpFeed<'_> {
    async fn key(&self) -> anyhow::Result<String> {
        Ok(self.platform.text(&self.prefix, "/log/key").await?)
    }

    async fn checkpoint(&self) -> anyhow::Result<String> {
        Ok(self.platform.text(&self.prefix, "/log/checkpoint").await?)
    }

    async fn consistency(&self, from: u64, to: u64) -> anyhow::Result<Vec<TreeHash>> {
        let call = |url| Call::new(Method::GET, url).query("from", from).query("to", to);
        let answer: Consistency =
            self.platform.call(&self.prefix, "/log/proofs/consistency", call).await?.body;
        answer.path.iter().map(|text| hash(text)).collect()
    }

    async fn records(&self, from: u64) -> anyhow::Result<Vec<Sent>> {
        let call = |url| Call::new(Method::GET, url).query("from", from);
        let answer: Records = self.platform.call(&self.prefix, "/log/records", call).await?.body;
        let sent = |Record { position, payload }| {
            let payload = BASE64_STANDARD.decode(payload).context("a record is not in base64")?;
            Ok(Sent { position, payload })
        };
        answer.records.into_iter().map(sent).collect()
    }
}

fn hash(text: &str) -> anyhow::Result<TreeHash> {
    let bytes = BASE64_STANDARD.decode(text).context("a hash is not in base64")?;
    let bytes = bytes.try_into().map_err(|_| anyhow::anyhow!("a hash does not have 32 bytes"))?;
    Ok(TreeHash::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_a_platform_or_a_role() {
        for (target, role) in [
            ("http://127.0.0.1:1", None),
            ("http://127.0.0.1:1/", None),
            ("http://127.0.0.1:1/v1/ledger", Some(Role::Ledger)),
            ("http://127.0.0.1:1/v1/auth/", Some(Role::Auth)),
            ("http://127.0.0.1:1/v1/eventstore/log/", Some(Role::Eventstore)),
        ] {
            let gateway = "http://127.0.0.1:1".to_owned();
            assert_eq!(parse(target).unwrap(), (gateway, role), "{target}");
        }
        for target in ["http://127.0.0.1:1/v1/gateway", "http://127.0.0.1:1/v1/ledger/accounts"] {
            parse(target).unwrap_err();
        }
    }
}
