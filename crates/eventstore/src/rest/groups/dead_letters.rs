//! `.../dead-letters`: events that were given up.

use axum::extract::State;
use lombard_chassis::{Json, Path, Problem, Query, problems};
use lombard_eventstore_core::{
    EventPosition,
    group::{Cause, Command, DeadLetter, Rejection, Reply, Which},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{group_of, manage::unexpected};
use crate::{
    Config, api::Api, authority::Caller, cloud_event, groups::ShownEvent, problem, rest::paging,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Page {
    items: Vec<DeadLetterView>,
    /// What to ask the next page with, as `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct DeadLetterView {
    /// What names it in a replay: the position of its event.
    position: String,
    delivery_id: String,
    attempts: u32,
    /// `timed_out`, or `refused` by a consumer.
    cause: &'static str,
    /// What the consumer said.
    reason: Option<String>,
    dead_at: String,
    event: Box<RawValue>,
}

/// The dead letters with their events, in the order of these. Needs `events:consume` for the group.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page>, Problem> {
    let group = group_of(&group)?;
    caller.consume(&group)?;
    let most = usize::try_from(api.config.group_deliveries_max).unwrap_or(usize::MAX);
    let limit = paging::limit(listing.limit.as_deref(), &api.config)?.min(most);
    let after: Option<EventPosition> = paging::parameter("after", listing.after.as_deref())?;
    let (name, from) = (group.clone(), after.map_or(EventPosition::START, EventPosition::next));
    let letters = api
        .groups
        .ask(move |groups| {
            let letters = groups.get(&name)?.dead_letters().range(from..);
            let letters = letters.map(|(position, letter)| (*position, letter.clone()));
            Some(letters.take(limit.saturating_add(1)).collect::<Vec<_>>())
        })
        .await?;
    let not_found = || problem::from_group_rejection(&Rejection::NotFound { group: group.clone() });
    let mut letters = letters.ok_or_else(not_found)?;
    let has_more = letters.len() > limit;
    letters.truncate(limit);
    let positions: Vec<EventPosition> = letters.iter().map(|(position, _)| *position).collect();
    let next = positions.last().filter(|_| has_more).map(ToString::to_string);
    let events = api.groups.events(&group, &positions, cloud_event::to_json).await?;
    let items = letters.into_iter().zip(events).map(view).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next }))
}

fn view(
    ((position, letter), shown): ((EventPosition, DeadLetter), ShownEvent<String>),
) -> Result<DeadLetterView, Problem> {
    let DeadLetter { attempts, cause, at, .. } = letter;
    let event = RawValue::from_string(shown.event).map_err(|error| {
        tracing::error!(%error, "an event was written that is not JSON");
        Problem::new(&problems::INTERNAL)
    })?;
    let (cause, reason) = match cause {
        Cause::TimedOut => ("timed_out", None),
        Cause::Refused(reason) => ("refused", Some(reason.into_string())),
    };
    Ok(DeadLetterView {
        position: position.to_string(),
        delivery_id: shown.id,
        attempts,
        cause,
        reason,
        dead_at: at.to_string(),
        event,
    })
}

/// Either all, or those of these positions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichForm {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    positions: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Moved {
    /// How many; fewer than were asked for where they are no dead letters, or the group's window has no room.
    count: usize,
}

impl WhichForm {
    fn read(self, config: &Config) -> Result<Which, Problem> {
        let most = config.group_receipts_max;
        match (self.all, self.positions.len()) {
            (true, 0) => Ok(Which::All),
            (false, count) if (1..=most).contains(&count) => {
                let read = |text: &String| {
                    text.parse().map_err(|error| problem::invalid_member("positions", error))
                };
                self.positions.iter().map(read).collect::<Result<_, _>>().map(Which::These)
            }
            _ => {
                let expected = format!("say all: true, or 1 to {most} positions");
                Err(problem::invalid_member("positions", expected))
            }
        }
    }
}

/// Delivers dead letters again, with all attempts before them. Needs `events:consume` for the group.
pub(super) async fn replay(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<WhichForm>,
) -> Result<Json<Moved>, Problem> {
    let group = group_of(&group)?;
    caller.consume(&group)?;
    let which = form.read(&api.config)?;
    let command = Command::Replay { group: group.clone(), which };
    let Reply::Moved { count, .. } = api.groups.submit_and_wake(&group, command).await? else {
        return Err(unexpected());
    };
    tracing::info!(%group, client = %caller.client_id()?, count, "dead letters are tried again");
    Ok(Json(Moved { count }))
}

/// Settles dead letters as they are. Needs `events:consume` for the group.
pub(super) async fn discard(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<WhichForm>,
) -> Result<Json<Moved>, Problem> {
    let group = group_of(&group)?;
    caller.consume(&group)?;
    let which = form.read(&api.config)?;
    let command = Command::Discard { group: group.clone(), which };
    let Reply::Moved { count, .. } = api.groups.submit_and_wake(&group, command).await? else {
        return Err(unexpected());
    };
    tracing::info!(%group, client = %caller.client_id()?, count, "dead letters were discarded");
    Ok(Json(Moved { count }))
}
