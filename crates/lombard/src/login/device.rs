//! A login on another device (RFC 8628).

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lombard_client::Error;
use serde::Deserialize;

use super::endpoint::{Endpoint, Issued};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What a request for more patience adds (section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    #[serde(default = "five")]
    interval: u64,
}

const fn five() -> u64 {
    5
}

pub(super) async fn ask(endpoint: &Endpoint, asked: &[(&str, String)]) -> anyhow::Result<Issued> {
    let form: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, &**value)).collect();
    let begun = endpoint.post::<Begun>(&endpoint.metadata.device_authorization_endpoint, &form);
    let begun = begun.await?.context("the device grant was refused")?;
    println!("Open {} and type in the code {}", begun.verification_uri, begun.user_code);
    let until = Instant::now() + Duration::from_secs(begun.expires_in);
    let mut interval = Duration::from_secs(begun.interval);
    let client_id = form.iter().find(|(name, _)| *name == "client_id").map_or("", |(_, id)| id);
    let form =
        [("grant_type", GRANT_TYPE), ("device_code", &begun.device_code), ("client_id", client_id)];
    while Instant::now() < until {
        tokio::time::sleep(interval).await;
        match endpoint.token(&form).await? {
            Ok(issued) => return Ok(issued),
            Err(Error::TokenRefused { error, .. }) if error == "authorization_pending" => {}
            Err(Error::TokenRefused { error, .. }) if error == "slow_down" => interval += SLOW_DOWN,
            Err(error) => return Err(error).context("the login was refused"),
        }
    }
    bail!("nobody has decided in time")
}
