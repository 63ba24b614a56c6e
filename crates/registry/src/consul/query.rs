//! The query strings of Consul's endpoints. What is not known is ignored, as Consul does, but a filter is refused: an
//! answer that is not filtered would be taken for one that is.

use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Problem, problems};

use super::{
    answer::{self, Refused},
    duration,
};
use crate::{rest::Api, view::consul::Filter, watch::Topic};

/// How long a blocking query waits where it does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);
/// Of the wait, at most this part more, so that many who began together do not come back together.
const JITTER_PART: u32 = 16;

/// An extractor.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsulQuery(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for ConsulQuery {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let read = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Ok(axum::extract::Query(pairs)) = read else {
            return Err(invalid("the query string is malformed").into());
        };
        let query = Self(pairs);
        if query.get("filter").is_some_and(|filter| !filter.is_empty()) {
            return Err(invalid("filter: is not served; filter by tag, or in the client").into());
        }
        Ok(query)
    }
}

impl ConsulQuery {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Flags are on where they are there, with nothing, `1` or `true`, in whatever case.
    pub(super) fn flag(&self, name: &str) -> bool {
        let is_on = |value: &str| matches!(value, "" | "1") || value.eq_ignore_ascii_case("true");
        self.get(name).is_some_and(is_on)
    }

    pub(super) fn filter(&self) -> Filter {
        let tags = self.0.iter().filter(|(key, value)| key == "tag" && !value.is_empty());
        Filter {
            is_passing: self.flag("passing"),
            tags: tags.map(|(_, value)| value.clone()).collect(),
        }
    }

    /// Waits as a blocking query does, if it is one.
    pub(super) async fn block(&self, api: &Api, topic: Topic) -> Result<(), Problem> {
        api.reach_start().await?;
        let index = self.get("index").filter(|index| !index.is_empty());
        let index = index.map(str::parse::<u64>).transpose();
        let index = index.map_err(|_| invalid("index: must be a number"))?;
        let Some(index) = index.and_then(answer::from_client) else { return Ok(()) };
        let wait = match self.get("wait").filter(|wait| !wait.is_empty()) {
            None => WAIT_DEFAULT,
            Some(wait) => duration::parse(wait).map_err(|error| {
                Problem::new(&problems::INVALID_QUERY).detail(format!("wait: {error}"))
            })?,
        };
        let wait = if wait.is_zero() { WAIT_DEFAULT } else { wait.min(WAIT_MAX) };
        let jitter = wait.mul_f64(random_share()) / JITTER_PART;
        api.wait_for_change(topic, index, wait + jitter).await
    }
}

/// From 0 to 1.
fn random_share() -> f64 {
    let byte = uuid::Uuid::new_v4().as_bytes().last().copied().unwrap_or_default();
    f64::from(byte) / f64::from(u8::MAX)
}

pub(super) fn invalid(detail: &'static str) -> Problem {
    Problem::new(&problems::INVALID_QUERY).detail(detail)
}
