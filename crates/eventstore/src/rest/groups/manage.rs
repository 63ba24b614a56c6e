//! Making, showing and forgetting groups.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use lombard_chassis::{Json, Path, Problem, Query, problems};
use lombard_eventstore_core::{
    EventPosition,
    group::{Command, Create, Rejection, Reply, Start},
};
use lombard_types::GroupName;
use serde::{Deserialize, Serialize};

use super::{
    group_of,
    settings::{SettingsForm, first_of},
    view::GroupView,
};
use crate::{api::Api, authority::Caller, problem, rest::paging};

/// Makes a group: 201, or 200 where it is there with the same settings, which are fixed. Needs `events:manage` for the
/// group, and `events:read` for what its filter lets through.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<SettingsForm>,
) -> Result<Response, Problem> {
    let group = group_of(&group)?;
    caller.manage_group(&group)?;
    let settings = form.read(&api.config)?;
    caller.read_prefix(settings.filter.stream_prefix.as_deref())?;
    let end = match settings.start {
        Start::End => api.groups.end().await?,
        Start::Beginning | Start::After(_) => EventPosition::START,
    };
    let (first, created_by) = (first_of(settings.start, end), caller.client_id()?);
    let create = Create { group: group.clone(), settings, first, created_by };
    let status = match api.groups.submit(Command::Create(create)).await? {
        Reply::Created { is_new: true } => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    Ok((status, Json(view(&api, group).await?)).into_response())
}

/// A group's settings and state. Needs `events:consume` or `events:manage` for the group.
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
) -> Result<Json<GroupView>, Problem> {
    let group = group_of(&group)?;
    caller.see_group(&group)?;
    view(&api, group).await.map(Json)
}

async fn view(api: &Api, group: GroupName) -> Result<GroupView, Problem> {
    let groups = api.groups.clone();
    let name = group.clone();
    let found = api
        .groups
        .ask(move |all| all.get(&name).map(|group| GroupView::new(&groups, &name, group)))
        .await?;
    found.ok_or_else(|| problem::from_group_rejection(&Rejection::NotFound { group }))
}

/// Forgets a group with its cursor and dead letters; its consumers get 404. Needs `events:manage` for the group.
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
) -> Result<StatusCode, Problem> {
    let group = group_of(&group)?;
    caller.manage_group(&group)?;
    let client = caller.client_id()?;
    api.groups.delete(group.clone()).await?;
    tracing::info!(%group, %client, "a consumer group was deleted");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Page {
    items: Vec<GroupView>,
    /// What to ask the next page with, as `after`; null on the last.
    next: Option<String>,
}

/// The groups that the caller may see, by name.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<Page>, Problem> {
    let limit = paging::limit(listing.limit.as_deref(), &api.config)?;
    let after: Option<GroupName> = paging::parameter("after", listing.after.as_deref())?;
    let groups = api.groups.clone();
    let mut items: Vec<(GroupName, GroupView)> = api
        .groups
        .ask(move |all| {
            let later = all.iter().filter(|(name, _)| after.as_ref().is_none_or(|it| it < *name));
            let seen = later.filter(|(name, _)| caller.see_group(name).is_ok());
            let view =
                |(name, group)| (GroupName::clone(name), GroupView::new(&groups, name, group));
            seen.map(view).take(limit.saturating_add(1)).collect()
        })
        .await?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|(name, _)| name.to_string());
    Ok(Json(Page { items: items.into_iter().map(|(_, view)| view).collect(), next }))
}

/// A reply that the command does not have.
pub(super) fn unexpected() -> Problem {
    tracing::error!("a command about a group was answered as another");
    Problem::new(&problems::INTERNAL)
}
