//! The authorization server, as a public client sees it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use lombard_client::Error;
use serde::Deserialize;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The server's metadata (RFC 8414).
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) device_authorization_endpoint: String,
    revocation_endpoint: String,
}

/// A server.
pub(super) struct Endpoint {
    pub(super) issuer: String,
    pub(super) metadata: Metadata,
    client: reqwest::Client,
}

/// What the token endpoint answers. Secrets: there is no `Debug`.
#[derive(Deserialize)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) token_type: String,
    pub(super) expires_in: u64,
    pub(super) refresh_token: Option<String>,
    #[serde(default)]
    pub(super) scope: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

impl Endpoint {
    /// Asks the platform at `url` where what is. Its issuer must be that URL (RFC 8414 section 3.3).
    pub(super) async fn discover(url: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let failed = || format!("failed to reach the platform at {url}");
        let answer = client.get(format!("{url}/.well-known/oauth-authorization-server"));
        let answer = answer.send().await.map_err(reqwest::Error::without_url);
        let answer = answer.and_then(reqwest::Response::error_for_status).with_context(failed)?;
        let metadata: Metadata = answer.json().await.with_context(failed)?;
        ensure!(metadata.issuer == url, "{url} says that it is {}", metadata.issuer);
        Ok(Self { issuer: metadata.issuer.clone(), metadata, client })
    }

    /// Sends a form, and reads an answer or the error code of a refusal.
    pub(super) async fn post<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
        form: &[(&str, &str)],
    ) -> anyhow::Result<Result<T, Error>> {
        let answer = self.client.post(url).form(form).send().await;
        let answer = answer.map_err(reqwest::Error::without_url).context("no answer")?;
        if answer.status().is_success() {
            return Ok(Ok(answer.json().await.map_err(reqwest::Error::without_url)?));
        }
        let status = answer.status();
        let Ok(refused) = answer.json::<Refused>().await else {
            bail!("the authorization server answered {status}");
        };
        let form_id = form.iter().find(|(name, _)| *name == "client_id");
        Ok(Err(Error::TokenRefused {
            client_id: form_id.map(|(_, id)| (*id).to_owned()).unwrap_or_default(),
            error: refused.error,
            description: refused.error_description,
        }))
    }

    pub(super) async fn token(
        &self,
        form: &[(&str, &str)],
    ) -> anyhow::Result<Result<Issued, Error>> {
        self.post(&self.metadata.token_endpoint, form).await
    }

    /// RFC 7009.
    pub(super) async fn revoke(&self, client_id: &str, token: &str) -> anyhow::Result<()> {
        let form = [("client_id", client_id), ("token", token)];
        let answer = self.client.post(&self.metadata.revocation_endpoint).form(&form).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map_err(reqwest::Error::without_url).context("failed to take the tokens back")?;
        Ok(())
    }
}
