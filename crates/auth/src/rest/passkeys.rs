//! Passkeys of persons, which they make themselves and administrators take away.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{Command, CredentialId, Passkey, passkeys};
use lombard_chassis::{Authenticated, Json, Path, Problem};
use serde::Serialize;
use serde_json::json;

use super::{
    answer::{private, with_position},
    users::find,
};
use crate::{problem, service::Api, submit::submit};

/// A passkey as it is shown.
#[derive(Serialize)]
struct ShownPasskey {
    id: String,
    name: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<String>,
}

impl ShownPasskey {
    fn new(passkey: &Passkey) -> Self {
        Self {
            id: URL_SAFE_NO_PAD.encode(&passkey.id.0),
            name: passkey.name.to_string(),
            created_at: passkey.created_at.to_string(),
            used_at: passkey.used_at.map(|at| at.to_string()),
        }
    }
}

/// `GET /v1/auth/users/{id}/passkeys`: all of the person's.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    let user = find(&api, &id)?;
    let items: Vec<_> = api.view.read(|view| {
        view.state.passkeys.of_user(user.id).map(|passkey| ShownPasskey::new(passkey)).collect()
    });
    Ok(private(Json(json!({ "items": items }))))
}

/// `DELETE /v1/auth/users/{id}/passkeys/{passkey}`: as when the device is lost. Whoever was logged in as the person is so no
/// more.
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Authenticated,
    Path((id, passkey)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let by = caller.require("auth", "write", None)?.client_id.clone();
    let user = find(&api, &id)?.id;
    let id = URL_SAFE_NO_PAD.decode(&passkey);
    let id = id.map_err(|_| Problem::new(&problem::PASSKEY_NOT_FOUND))?;
    let command = passkeys::Command::Remove { user, id: CredentialId(id.into()) };
    let committed = submit(&api, Command::Passkey(command, api.config.lives())).await?;
    tracing::info!(%user, by = &*by, "took a person's passkey away");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}
