//! The keys that tokens are signed with.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lombard_auth_core::{
    PublishedKey,
    signing_keys::{Phase, Step},
};
use lombard_chassis::{Authenticated, Json, Path, Problem};
use lombard_token::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{private, with_position};
use crate::{audit::Facts, problem, service::Api};

/// A key as it is shown.
#[derive(Serialize)]
struct ShownKey {
    kid: String,
    alg: &'static str,
    /// `standby`, `active` or `retiring`.
    phase: &'static str,
    published_at: String,
    /// Since when it is active, or retiring.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl ShownKey {
    fn new(key: &PublishedKey) -> Self {
        let since = match key.phase {
            Phase::Standby => None,
            Phase::Active(since) | Phase::Retiring(since) => Some(since.to_string()),
        };
        Self {
            kid: key.jwk.kid().to_owned(),
            alg: key.jwk.algorithm().name(),
            phase: key.phase.name(),
            published_at: key.published_at.to_string(),
            since,
        }
    }
}

/// `GET /v1/auth/keys`: all that are published, and what happens to them next.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    let schedule = api.config.key_schedule();
    let (items, next) = api.view.read(|view| {
        let keys = &view.state.signing_keys;
        let items: Vec<_> = keys.iter().map(|key| ShownKey::new(key)).collect();
        (items, keys.next_step(schedule))
    });
    let next = next.map(|(at, step)| match step {
        Step::Rotate(algorithm) => {
            json!({ "step": "rotate", "alg": algorithm.name(), "at": at.to_string() })
        }
        Step::Retire(kid) => json!({ "step": "retire", "kid": &*kid, "at": at.to_string() }),
    });
    Ok(private(Json(json!({ "items": items, "next_step": next }))))
}

/// What is said of a rotation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// Does not wait until every verifier knows the next key: those that do not fetch it when they see it.
    #[serde(default)]
    at_once: bool,
    /// Of which algorithm; without it: ES256.
    alg: Option<String>,
}

/// `POST /v1/auth/keys/rotate`: the standby of an algorithm signs from now on. What the key before it signed stays good.
pub(super) async fn rotate(
    State(api): State<Api>,
    caller: Authenticated,
    Json(rotation): Json<Rotation>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let prepublish = api.config.key_schedule().prepublish;
    let prepublish = if rotation.at_once { Duration::ZERO } else { prepublish };
    let algorithm = match rotation.alg.as_deref() {
        Some(name) => Algorithm::from_name(name)
            .ok_or_else(|| Problem::new(&problem::SIGNING_KEY_NOT_FOUND).detail("no such alg"))?,
        None => Algorithm::default(),
    };
    let position = api.keyring.rotate(&api, algorithm, prepublish).await?;
    tracing::info!(by = &*caller.0.client_id, %algorithm, "rotated the signing key");
    // Who it was, the token says.
    let facts = Facts { detail: api.keyring.signing(algorithm), ..Facts::default() };
    Ok(with_position(facts.with(StatusCode::NO_CONTENT.into_response()), position))
}

/// `POST /v1/auth/keys/{kid}/compromise`: nothing that the key signed is good any more, anywhere.
pub(super) async fn compromise(
    State(api): State<Api>,
    caller: Authenticated,
    Path(kid): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let position = api.keyring.compromise(&api, &kid).await?;
    tracing::warn!(kid, by = &*caller.0.client_id, "a signing key is compromised");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), position))
}
