//! `/v1/ledger/period-locks`.

use std::sync::Arc;

use axum::extract::State;
use lombard_chassis::{Context, Json, Path, Problem};
use lombard_ledger_api::Answer;
use lombard_ledger_core::{Command, LockName, PeriodLock, Reply};
use serde::{Deserialize, Serialize};

use super::{
    Api, Done,
    authority::{Caller, Right},
    evidence,
    idempotency::OptionalIdempotencyKey,
    unexpected_reply,
};
use crate::problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLock {
    name: String,
    from: String,
    until: String,
}

#[derive(Debug, Serialize)]
pub(super) struct LockBody {
    name: String,
    from: String,
    /// The first instant that is not locked any more.
    until: String,
}

#[derive(Debug, Serialize)]
pub(super) struct LocksBody {
    items: Vec<LockBody>,
}

/// Locks a period: no transfer may have an effective time in it, unless it overrides locks. 201, or 200 where it was
/// locked so. Needs `ledger:lock`.
pub(super) async fn lock(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Json(body): Json<NewLock>,
) -> Result<Answer<LockBody>, Problem> {
    caller.may_book(Right::Lock)?;
    let lock = PeriodLock {
        name: LockName::new(&body.name).map_err(|error| problem::invalid_field("name", error))?,
        from: body.from.parse().map_err(|error| problem::invalid_field("from", error))?,
        until: body.until.parse().map_err(|error| problem::invalid_field("until", error))?,
    };
    let evidence = evidence::of(&caller, context, key);
    let done = api.submit(Command::LockPeriod { lock, evidence }).await?;
    let location = format!("/v1/ledger/period-locks/{}", body.name);
    let Done { reply: Reply::PeriodLock(lock), position, is_new } = done else {
        return Err(unexpected_reply());
    };
    Ok(match is_new {
        true => Answer::created(position, location, LockBody::from(&lock)),
        false => Answer::ok(Some(position), LockBody::from(&lock)),
    })
}

/// Unlocks a period, and answers what it was. Needs `ledger:lock`.
pub(super) async fn unlock(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Path(name): Path<String>,
) -> Result<Answer<LockBody>, Problem> {
    caller.may_book(Right::Lock)?;
    let name = LockName::new(&name).map_err(problem::invalid_path)?;
    let evidence = evidence::of(&caller, context, key);
    let done = api.submit(Command::UnlockPeriod { name, evidence }).await?;
    match done.reply {
        Reply::PeriodLock(lock) => Ok(Answer::ok(Some(done.position), LockBody::from(&lock))),
        _ => Err(unexpected_reply()),
    }
}

/// All locked periods, by name. Linearizable: the writer is asked. Needs `ledger:read`.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<Answer<LocksBody>, Problem> {
    caller.read_anything()?;
    let asked = api
        .writer
        .query(|machine| machine.book().period_locks().map(LockBody::from).collect::<Vec<_>>());
    let (items, position) = asked.await.map_err(problem::from_query_error)?;
    Ok(Answer::ok(position, LocksBody { items }))
}

impl From<&PeriodLock> for LockBody {
    fn from(lock: &PeriodLock) -> Self {
        let PeriodLock { name, from, until } = lock;
        Self { name: name.as_str().to_owned(), from: from.to_string(), until: until.to_string() }
    }
}
