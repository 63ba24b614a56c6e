//! `GET /v1/auth/audit`: what was decided, oldest first, in pages.

use axum::{extract::State, response::Response};
use lombard_chassis::{Authenticated, Json, Problem, Query, problems};
use lombard_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::private;
use crate::{
    audit::{self, Filter, Place, Shown},
    service::Api,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    limit: Option<usize>,
    after: Option<String>,
    /// RFC 3339; `until` is the first instant that is not meant.
    since: Option<String>,
    until: Option<String>,
    client_id: Option<String>,
    subject: Option<String>,
    address: Option<String>,
    action: Option<String>,
    /// `allowed` or `refused`.
    outcome: Option<String>,
}

/// An entry as it is shown.
#[derive(Serialize)]
struct ShownEntry<'a> {
    /// Names it, and is where the next page goes on.
    id: String,
    /// The record of the log that it is in, which can be proved: `/v1/auth/log`.
    position: u64,
    at: String,
    action: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    address: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

impl<'a> ShownEntry<'a> {
    fn new(shown: &'a Shown) -> Self {
        let Shown { place, entry } = shown;
        Self {
            id: place.to_string(),
            position: place.position.get(),
            at: entry.at.to_string(),
            action: &entry.action,
            outcome: if entry.refused.is_some() { "refused" } else { "allowed" },
            error: entry.refused.as_deref(),
            client_id: &entry.client,
            subject: &entry.subject,
            address: &entry.address,
            request_id: &entry.request_id,
            detail: &entry.detail,
        }
    }
}

impl Question {
    fn read(self, api: &Api) -> Result<(Filter, Option<Place>, usize), Problem> {
        let invalid = |detail: String| Problem::new(&problems::INVALID_QUERY).detail(detail);
        let limit_max = api.config.page_items_max;
        let limit = self.limit.unwrap_or(100.min(limit_max));
        if !(1..=limit_max).contains(&limit) {
            return Err(invalid(format!("limit must be 1 to {limit_max}")));
        }
        let time = |name: &str, text: Option<String>| {
            let parsed = text.map(|text| text.parse::<Timestamp>()).transpose();
            parsed.map_err(|error| invalid(format!("{name}: {error}")))
        };
        let after = self.after.map(|after| after.parse()).transpose();
        let after = after.map_err(|error| invalid(format!("after: {error}")))?;
        let is_refused = match self.outcome.as_deref() {
            None => None,
            Some("allowed") => Some(false),
            Some("refused") => Some(true),
            Some(_) => return Err(invalid("outcome: allowed or refused".to_owned())),
        };
        let filter = Filter {
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            client: self.client_id,
            subject: self.subject,
            address: self.address,
            action: self.action,
            is_refused,
        };
        Ok((filter, after, limit))
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    caller: Authenticated,
    Query(question): Query<Question>,
) -> Result<Response, Problem> {
    caller.require("auth", "audit", None)?;
    let (filter, after, limit) = question.read(&api)?;
    let limits = (limit, api.config.audit_examined_max);
    let (entries, next) = audit::page(&api.log, &filter, after, limits).await.map_err(|error| {
        tracing::error!(%error, "failed to read the audit");
        Problem::new(&problems::INTERNAL)
    })?;
    let items: Vec<_> = entries.iter().map(ShownEntry::new).collect();
    let next = next.map(|place| place.to_string());
    Ok(private(Json(json!({ "items": items, "next": next }))))
}
