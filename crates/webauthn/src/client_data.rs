//! What the browser says of a ceremony (`clientDataJSON`, section 5.8.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::Refusal;

/// Longer ones no browser sends.
const BYTES_MAX: usize = 4096;

/// Members that are not known are passed over, as section 5.8.1 wants it; those that are known are there once.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    is_cross_origin: bool,
}

/// Checks that a browser of this origin says it of this challenge, for this kind of ceremony.
pub(crate) fn check(
    json: &[u8],
    kind: &str,
    challenge: &[u8],
    origin: &str,
) -> Result<(), Refusal> {
    if json.len() > BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| Refusal::Malformed)?;
    if data.kind != kind {
        return Err(Refusal::OtherCeremony);
    }
    if URL_SAFE_NO_PAD.decode(&data.challenge).ok().as_deref() != Some(challenge) {
        return Err(Refusal::OtherChallenge);
    }
    if data.origin != origin || data.is_cross_origin {
        return Err(Refusal::OtherOrigin);
    }
    Ok(())
}
