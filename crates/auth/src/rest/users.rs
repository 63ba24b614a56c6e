//! Persons who may log in.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{
    Command, GroupName, PersonText, Reply, User, UserId, UserName,
    users::{self, Profile, Reply as UserReply},
};
use lombard_chassis::{Authenticated, Json, Path, Problem, Query, problems};
use lombard_token::ScopeSet;
use lombard_types::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    answer::{created, private, with_position},
    idempotency::{derived_id, idempotency_key},
    page::Page,
};
use crate::{password::PasswordError, problem, service::Api, submit::submit};

/// What is said of a new person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: String,
    display_name: Option<String>,
    email: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    groups: Vec<String>,
    /// Without one the person cannot log in yet.
    password: Option<Zeroizing<String>>,
}

/// What can be changed of a person; what is left out is taken away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidProfile {
    display_name: Option<String>,
    email: Option<String>,
    /// What the person may do, separated by spaces.
    #[serde(default)]
    scope: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    password: Zeroizing<String>,
}

/// A person as it is shown.
#[derive(Serialize)]
struct ShownUser<'a> {
    id: String,
    /// What tokens about the person say (`sub`).
    subject: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    scope: String,
    groups: Vec<&'a str>,
    has_password: bool,
    has_second_factor: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes_left: Option<usize>,
    disabled: bool,
    created_at: String,
    created_by: &'a str,
}

impl<'a> ShownUser<'a> {
    fn new(api: &Api, user: &'a User) -> Self {
        let left = api.view.read(|view| {
            let factor = view.state.second_factors.get(user.id)?;
            Some(factor.recovery_codes_sha256.len())
        });
        Self {
            id: user.id.to_string(),
            subject: user.id.subject(),
            name: user.name.as_str(),
            display_name: user.display_name.as_ref().map(PersonText::as_str),
            email: user.email.as_ref().map(PersonText::as_str),
            scope: user.scope.to_string(),
            groups: user.groups.iter().map(GroupName::as_str).collect(),
            has_password: user.password.is_some(),
            has_second_factor: left.is_some(),
            recovery_codes_left: left,
            disabled: user.is_disabled,
            created_at: user.created_at.to_string(),
            created_by: &user.created_by,
        }
    }
}

fn invalid(member: &str, cause: &dyn std::fmt::Display) -> Problem {
    Problem::new(&problem::INVALID_USER).detail(format!("{member}: {cause}")).with("member", member)
}

impl SaidProfile {
    fn read(self) -> Result<Profile, Problem> {
        let text = |member: &str, text: Option<String>| {
            let parsed = text.map(|text| text.parse::<PersonText>()).transpose();
            parsed.map_err(|error| invalid(member, &error))
        };
        let groups = self.groups.iter().map(|name| name.parse());
        Ok(Profile {
            display_name: text("display_name", self.display_name)?,
            email: text("email", self.email)?,
            scope: read_scope(&self.scope)?,
            groups: groups.collect::<Result<_, _>>().map_err(|error| invalid("groups", &error))?,
        })
    }
}

/// What a person or a group may do: nothing that is about persons.
pub(super) fn read_scope(text: &str) -> Result<ScopeSet, Problem> {
    let scope: ScopeSet = text.parse().map_err(|error| invalid("scope", &error))?;
    if scope.iter().any(|scope| scope.is_identity()) {
        return Err(invalid("scope", &"openid and the like are asked for, not owned"));
    }
    Ok(scope)
}

/// Nobody gives rights that it does not have, unless it administers.
pub(super) fn may_give(caller: &Authenticated, scope: &ScopeSet) -> Result<(), Problem> {
    if caller.0.scope.covers(scope) || caller.0.scope.permits("auth", "write", None) {
        return Ok(());
    }
    Err(lombard_chassis::authenticate::insufficient_scope(&scope.to_string()))
}

fn refused(error: PasswordError) -> Problem {
    match error {
        PasswordError::Refused { .. } => {
            Problem::new(&problem::PASSWORD_REFUSED).detail(error.to_string())
        }
        PasswordError::Busy => Problem::new(&problems::OVERLOADED)
            .detail("nothing was done")
            .retry_after(std::time::Duration::from_secs(1)),
        PasswordError::Failed => {
            tracing::error!("failed to hash a password");
            Problem::new(&problems::INTERNAL)
        }
    }
}

/// `POST /v1/auth/users`. With an `Idempotency-Key` a retry makes the same person.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Authenticated,
    headers: HeaderMap,
    Json(body): Json<NewUser>,
) -> Result<Response, Problem> {
    let creator = caller.require("auth", "write", None)?.client_id.clone();
    let name: UserName = body.name.parse().map_err(|error| invalid("name", &error))?;
    let NewUser { display_name, email, scope, groups, .. } = body;
    let profile = SaidProfile { display_name, email, scope, groups };
    let Profile { display_name, email, scope, groups } = profile.read()?;
    may_give(&caller, &scope)?;
    let id = match idempotency_key(&headers)? {
        Some(key) => derived_id(["user", &creator, key]),
        None => Uuid::new_v4(),
    };
    let password = match body.password {
        Some(password) => Some(api.passwords.hash(password).await.map_err(refused)?),
        None => None,
    };
    let user = User {
        id: UserId(id.into_bytes()),
        name,
        display_name,
        email,
        scope,
        groups,
        password,
        is_disabled: false,
        created_at: Timestamp::EPOCH,
        created_by: (*creator).into(),
    };
    let command = users::Command::Create { user, users_max: api.config.users_max };
    let committed = submit(&api, Command::User(command, api.config.lives())).await?;
    let (status, user) = match &committed.reply {
        Reply::User(UserReply::Created(user)) => (StatusCode::CREATED, user),
        Reply::User(UserReply::AlreadyCreated(user)) => (StatusCode::OK, user),
        _ => return Err(Problem::new(&problems::INTERNAL)),
    };
    tracing::info!(user = %user.id, by = &*creator, "made a person known");
    let location = format!("/v1/auth/users/{}", user.id);
    let shown = Json(ShownUser::new(&api, user));
    Ok(with_position(created(status, &location, shown), committed.position))
}

/// `GET /v1/auth/users`: all persons by name, in pages.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Authenticated,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    let page = page.read::<UserName>(&api.config)?;
    let users = api.view.read(|view| page.cut(view.state.users.after(page.after.as_ref())));
    Ok(users.answer(|user| user.name.to_string(), |user| ShownUser::new(&api, user)))
}

/// The person of this id, or of this name.
pub(super) fn find(api: &Api, id: &str) -> Result<std::sync::Arc<User>, Problem> {
    let found = api.view.read(|view| {
        let users = &view.state.users;
        id.parse().ok().and_then(|id| users.get(id)).or_else(|| users.named(id)).cloned()
    });
    found.ok_or_else(|| Problem::new(&problem::USER_NOT_FOUND))
}

/// `GET /v1/auth/users/{id or name}`.
pub(super) async fn get(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    Ok(private(Json(ShownUser::new(&api, &*find(&api, &id)?))))
}

async fn change(
    api: &Api,
    caller: &Authenticated,
    id: &str,
    what: &'static str,
    command: impl FnOnce(UserId) -> users::Command,
) -> Result<Response, Problem> {
    let user = find(api, id)?;
    let command = Command::User(command(user.id), api.config.lives());
    let committed = submit(api, command).await?;
    tracing::info!(user = %user.id, by = &*caller.0.client_id, what, "changed a person");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}

/// `PUT /v1/auth/users/{id}`: what is known of a person, and what the person may do.
pub(super) async fn put(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
    Json(body): Json<SaidProfile>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let profile = body.read()?;
    may_give(&caller, &profile.scope)?;
    change(&api, &caller, &id, "profile", |id| users::Command::Change { id, profile }).await
}

/// `PUT /v1/auth/users/{id}/password`: a new one. Whoever was logged in as the person is so no more.
pub(super) async fn set_password(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
    Json(body): Json<NewPassword>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    find(&api, &id)?;
    let password = api.passwords.hash(body.password).await.map_err(refused)?;
    change(&api, &caller, &id, "password", |id| users::Command::SetPassword { id, password }).await
}

/// `POST /v1/auth/users/{id}/disable`: the person cannot log in; sessions and grants end.
pub(super) async fn disable(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let command = |id| users::Command::SetDisabled { id, is_disabled: true };
    change(&api, &caller, &id, "disabled", command).await
}

/// `POST /v1/auth/users/{id}/enable`.
pub(super) async fn enable(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let command = |id| users::Command::SetDisabled { id, is_disabled: false };
    change(&api, &caller, &id, "enabled", command).await
}

/// `DELETE /v1/auth/users/{id}`.
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    change(&api, &caller, &id, "removed", |id| users::Command::Remove { id }).await
}
