//! Answers in a JWT (JARM): the client can tell that this server has made them, for it, just now.

use std::time::Duration;

use lombard_token::{Algorithm, KeyError};
use lombard_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::service::Api;

/// No other token of this server is taken for an answer, and no answer for one of those.
const TYPE: &str = "oauth-authz-resp+jwt";
/// JARM section 2.1 recommends ten minutes at most; it is used at once.
const LIFE: Duration = Duration::from_secs(300);

/// The parameters of an answer to `client_id`, signed.
pub(super) fn signed_response(
    api: &Api,
    client_id: &str,
    parameters: &[(&str, Option<&str>)],
    now: Timestamp,
) -> Result<String, KeyError> {
    let mut claims = json!({ "aud": client_id, "exp": now.plus(LIFE).unix_seconds() });
    if let Value::Object(members) = &mut claims {
        let said =
            |(name, value): &(&str, Option<&str>)| Some(((*name).to_owned(), (*value)?.into()));
        members.extend(parameters.iter().filter_map(said).collect::<Map<String, Value>>());
    }
    api.keyring.active(Algorithm::default())?.sign(TYPE, claims.to_string().as_bytes())
}
