//! What the first start makes: an identity for each program of ours, and one administrator.
//!
//! Programs authenticate with private keys (`private_key_jwt`), of which the authorization server learns the public
//! half. The administrator has a secret, of which it learns the SHA-256 only. Nothing has a default password.

use anyhow::Context as _;
use aws_lc_rs::{digest, rand::SecureRandom as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_token::SigningKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::data_directory::{DataDirectory, write_private};

/// The client that whoever may read the data directory acts as.
pub(crate) const OPERATOR: &str = "lombard-operator";
/// The gateway's client: reads the registry and tells it which instances fail, keeps what it must know of Idempotency-Keys in
/// streams of its own, and tells other gateways of limits.
pub(crate) const GATEWAY: &str = "lombard-gateway";
/// The client of the ledger's read side, where that is a process of its own: reads the ledger's log.
pub(crate) const QUERY: &str = "lombard-query";
const GATEWAY_SCOPE: &str =
    "registry:read registry:suspect events:append:gateway-* events:read:gateway-* gateway:limits";
const ADMINISTRATOR: &str = "admin";
/// The platform's own programs use tokens of the bearer's, and the administrator has a secret.
const PROFILE: &str = "oauth-2.1";

/// The administrator's credentials, to be shown once.
pub(super) struct Administrator {
    pub(super) client_id: &'static str,
    pub(super) secret: Zeroizing<String>,
}

/// Makes what is missing. Answers the administrator where it was made now.
///
/// The list of clients is written last, so that a start that was cut short is begun again.
pub(super) fn prepare(directory: &DataDirectory) -> anyhow::Result<Option<Administrator>> {
    if directory.bootstrap().exists() {
        return Ok(None);
    }
    let programs = [
        (GATEWAY, "The gateway of this platform", GATEWAY_SCOPE),
        (QUERY, "The ledger's read side as a process of its own", "ledger:audit"),
        (OPERATOR, "Whoever may read the data directory", "admin"),
    ];
    let mut clients = Vec::new();
    for (client_id, name, scope) in programs {
        let jwk = make_identity(directory, client_id)?;
        clients.push(json!({ "client_id": client_id, "name": name, "scope": scope, "profile": PROFILE, "jwk": jwk }));
    }
    let secret = random_secret()?;
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    clients.push(json!({
        "client_id": ADMINISTRATOR,
        "name": "Administrator",
        "scope": "admin",
        "profile": PROFILE,
        "secret_sha256": URL_SAFE_NO_PAD.encode(digest),
    }));
    // What persons log in with at the command line. It may ask for everything: they allow what they may do.
    clients.push(json!({
        "client_id": crate::login::CLIENT_ID,
        "name": "The command line",
        "scope": "admin openid profile email offline_access",
        "profile": PROFILE,
        "token_endpoint_auth_method": "none",
        "grant_types": [
            "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "redirect_uris": ["http://127.0.0.1/callback"],
    }));
    let text = serde_json::to_vec_pretty(&json!({ "clients": clients }))?;
    write_private(&directory.bootstrap(), &text).context("failed to write the first clients")?;
    Ok(Some(Administrator { client_id: ADMINISTRATOR, secret }))
}

fn make_identity(directory: &DataDirectory, client_id: &str) -> anyhow::Result<Value> {
    let key = SigningKey::generate().context("failed to generate a key")?;
    let path = directory.identity_key(client_id);
    let document = key.to_pkcs8().context("failed to encode a key")?;
    write_private(&path, &document)
        .with_context(|| format!("failed to write {}", path.display()))?;
    Ok(serde_json::to_value(key.public_jwk())?)
}

/// 256 random bits in base64url, with a prefix that secret scanners can look for.
fn random_secret() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    aws_lc_rs::rand::SystemRandom::new()
        .fill(bytes.as_mut())
        .map_err(|_| anyhow::anyhow!("the system gave no randomness"))?;
    Ok(Zeroizing::new(format!("lombard_{}", URL_SAFE_NO_PAD.encode(bytes.as_ref()))))
}
