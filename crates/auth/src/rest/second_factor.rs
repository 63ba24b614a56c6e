//! Second factors of persons, as administrators give and take them.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Command, second_factors};
use lombard_chassis::Json;
use lombard_chassis::{Authenticated, Path, Problem, problems};
use serde_json::json;

use super::{
    answer::{created, with_position},
    users::find,
};
use crate::{
    second_factor::{self, issuer_name},
    service::Api,
    submit::submit,
    totp::TotpSecret,
};

/// `POST /v1/auth/users/{id}/second-factor`: the person's next login asks for a code. What goes into the authenticator app
/// and the recovery codes are in the answer and nowhere else: where it is lost, the factor is removed and made again.
pub(super) async fn enrol(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let by = caller.require("auth", "write", None)?.client_id.clone();
    let user = find(&api, &id)?;
    let failed = |_| Problem::new(&problems::INTERNAL);
    let secret = TotpSecret::generate().map_err(failed)?;
    let (command, codes) = second_factor::new(&api, user.id, &secret, 0, &by).map_err(failed)?;
    let command = Command::SecondFactor(command, api.config.lives());
    let committed = submit(&api, command).await?;
    tracing::info!(user = %user.id, by = &*by, "gave a person a second factor");
    let body = json!({
        "totp_secret": *secret.base32(),
        "totp_uri": *secret.uri(issuer_name(&api), user.name.as_str()),
        "recovery_codes": codes.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
    });
    let location = format!("/v1/auth/users/{}/second-factor", user.id);
    Ok(with_position(created(StatusCode::CREATED, &location, Json(body)), committed.position))
}

/// `DELETE /v1/auth/users/{id}/second-factor`: as when it is lost. Whoever was logged in as the person is so no more.
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let by = caller.require("auth", "write", None)?.client_id.clone();
    let user = find(&api, &id)?;
    let command = second_factors::Command::Remove { user: user.id };
    let committed = submit(&api, Command::SecondFactor(command, api.config.lives())).await?;
    tracing::info!(user = %user.id, by = &*by, "took a person's second factor away");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}
