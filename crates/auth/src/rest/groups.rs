//! Groups of persons: what each may do.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Command, GroupName, users};
use lombard_chassis::{Authenticated, Json, Path, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{private, with_position},
    users::{may_give, read_scope},
};
use crate::{problem, service::Api, submit::submit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidGroup {
    /// What it may do, separated by spaces.
    scope: String,
}

/// `GET /v1/auth/groups`: all of them, by name. There are few.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    let items: Vec<Value> = api.view.read(|view| {
        let groups = view.state.users.groups();
        groups
            .map(|(name, scope)| json!({ "name": name.as_str(), "scope": scope.to_string() }))
            .collect()
    });
    Ok(private(Json(json!({ "items": items }))))
}

/// `PUT /v1/auth/groups/{name}`: makes a group, or changes what it may do.
pub(super) async fn put(
    State(api): State<Api>,
    caller: Authenticated,
    Path(name): Path<String>,
    Json(body): Json<SaidGroup>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let name: GroupName = name.parse().map_err(|error: lombard_auth_core::ParseUserError| {
        Problem::new(&problem::INVALID_USER).detail(error.to_string()).with("member", "name")
    })?;
    let scope = read_scope(&body.scope)?;
    may_give(&caller, &scope)?;
    let groups_max = api.config.groups_max;
    let command = users::Command::PutGroup { name: name.clone(), scope, groups_max };
    let committed = submit(&api, Command::User(command, api.config.lives())).await?;
    tracing::info!(group = %name, by = &*caller.0.client_id, "put a group");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}

/// `DELETE /v1/auth/groups/{name}`: one that nobody is in.
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Authenticated,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let unknown = |_| Problem::new(&problem::USER_GROUP_NOT_FOUND);
    let name: GroupName = name.parse().map_err(unknown)?;
    let command = users::Command::RemoveGroup { name: name.clone() };
    let committed = submit(&api, Command::User(command, api.config.lives())).await?;
    tracing::info!(group = %name, by = &*caller.0.client_id, "removed a group");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}
