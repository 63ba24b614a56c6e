//! The clients of the first start, which the supervisor writes into a file.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{Authentication, Client, ClientName, Command, GrantType, Profile};
use lombard_engine::Handle;
use lombard_token::PublicJwk;
use lombard_types::Timestamp;
use serde::Deserialize;

use crate::AuthMachine;

/// Who the clients of the first start were registered by.
const REGISTRANT: &str = "bootstrap";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    clients: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    client_id: String,
    name: String,
    scope: String,
    #[serde(default)]
    authorization_details_types: Vec<String>,
    /// Files of earlier builds say none, and mean `oauth-2.1`.
    profile: Option<String>,
    secret_sha256: Option<String>,
    jwk: Option<serde_json::Value>,
    /// `none` for a public client, which has neither of them.
    token_endpoint_auth_method: Option<String>,
    /// Without it: `client_credentials`.
    grant_types: Option<Vec<String>>,
    #[serde(default)]
    redirect_uris: Vec<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The system refused.
    #[error("failed to read the first clients from {path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not of the expected form.
    #[error("{path} is not a list of clients: {cause}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// The clients could not be registered.
    #[error("failed to register the clients of the first start: {cause}")]
    Register {
        /// Why.
        cause: String,
    },
}

/// Reads the file's clients.
pub(crate) fn read(path: &Path) -> Result<Vec<Client>, BootstrapError> {
    let shown = || path.display().to_string();
    let text = fs::read(path).map_err(|source| BootstrapError::Io { path: shown(), source })?;
    let malformed = |cause: String| BootstrapError::Malformed { path: shown(), cause };
    let document: Document =
        serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    document.clients.into_iter().map(|entry| entry.read().map_err(malformed)).collect()
}

impl Entry {
    fn read(self) -> Result<Client, String> {
        let method = self.token_endpoint_auth_method.as_deref();
        let authentication = match (self.secret_sha256, self.jwk, method) {
            (None, None, Some("none")) => Authentication::Nothing,
            (Some(digest), None, None) => {
                let bytes = URL_SAFE_NO_PAD.decode(digest).map_err(|error| error.to_string())?;
                let sha256 =
                    bytes.try_into().map_err(|_| "secret_sha256 is not 32 bytes".to_owned())?;
                Authentication::Secret { sha256 }
            }
            (None, Some(jwk), None) => {
                let key = PublicJwk::parse(jwk.to_string().as_bytes())
                    .map_err(|error| error.to_string())?;
                Authentication::Key(Box::new(key))
            }
            _ => return Err("a client has secret_sha256, or jwk, or is public".to_owned()),
        };
        let profile = match &self.profile {
            Some(name) => Profile::from_name(name).ok_or_else(|| format!("profile: {name}"))?,
            None => Profile::OAuth21,
        };
        let grant_types = match &self.grant_types {
            None => [GrantType::ClientCredentials].into(),
            Some(names) => names
                .iter()
                .map(|name| {
                    GrantType::from_name(name).ok_or_else(|| format!("grant_types: {name}"))
                })
                .collect::<Result<_, _>>()?,
        };
        let redirect_uris = self
            .redirect_uris
            .iter()
            .map(|uri| uri.parse().map_err(|error| format!("redirect_uris: {uri}: {error}")))
            .collect::<Result<_, _>>()?;
        let client = Client {
            id: self.client_id.parse().map_err(|error| format!("client_id: {error}"))?,
            name: ClientName::new(&self.name).map_err(|error| error.to_string())?,
            scope: self.scope.parse().map_err(|error| format!("scope: {error}"))?,
            authorization_details_types: self
                .authorization_details_types
                .iter()
                .map(|name| name.parse().map_err(|error| format!("{name}: {error}")))
                .collect::<Result<_, _>>()?,
            profile,
            authentication,
            grant_types,
            redirect_uris,
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            options: Default::default(),
            registered_at: Timestamp::EPOCH,
            registered_by: REGISTRANT.into(),
        };
        client.check_profile().map_err(|error| format!("profile: {error}"))?;
        Ok(client)
    }
}

/// Registers the clients if this is the first start.
pub(crate) async fn register(
    clients: Vec<Client>,
    writer: &Handle<AuthMachine>,
) -> Result<(), BootstrapError> {
    let count = clients.len();
    match writer.submit(Command::Bootstrap { clients }).await {
        Ok(committed) => {
            if committed.written {
                tracing::info!(count, "registered the clients of the first start");
            }
            Ok(())
        }
        Err(error) => Err(BootstrapError::Register { cause: error.to_string() }),
    }
}
