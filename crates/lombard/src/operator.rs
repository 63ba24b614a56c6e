//! Acting as the operator: whoever may read the data directory's keys administers the platform.

use std::sync::Arc;

use anyhow::Context as _;
use lombard_client::{Credentials, Exchange, Platform};
use lombard_token::SigningKey;

use crate::{
    data_directory::DataDirectory,
    up::{first_start::OPERATOR, run_state::RunState},
};

/// Whoever wants to see what goes over the wire.
pub(crate) trait Observe: Send + Sync + 'static {
    fn observe(&self, exchange: &Exchange);
}

/// Connects to the platform that runs on `directory`, with its operator's key.
pub(crate) async fn connect(
    directory: &DataDirectory,
    state: &RunState,
    observer: Option<Arc<dyn Observe>>,
) -> anyhow::Result<Platform> {
    let key = read_key(directory, OPERATOR)?;
    let builder = Platform::builder(&state.issuer, Credentials::key(OPERATOR, key));
    let builder = match observer {
        Some(observer) => builder.observer(move |exchange| observer.observe(exchange)),
        None => builder,
    };
    builder
        .connect()
        .await
        .with_context(|| format!("failed to reach the platform at {}", state.issuer))
}

/// The private key of one of the platform's own clients.
pub(crate) fn read_key(directory: &DataDirectory, client_id: &str) -> anyhow::Result<SigningKey> {
    let path = directory.identity_key(client_id);
    let bytes = zeroize::Zeroizing::new(
        std::fs::read(&path)
            .with_context(|| format!("failed to read the key {}", path.display()))?,
    );
    SigningKey::from_pkcs8(&bytes).with_context(|| format!("{} is not a key", path.display()))
}
