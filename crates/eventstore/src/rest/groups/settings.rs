//! A group's settings in JSON.

use std::time::Duration;

use lombard_chassis::Problem;
use lombard_eventstore_core::{
    Criterion, EventPosition, Query,
    group::{Backoff, Filter, Order, Settings, Start},
};
use serde::{Deserialize, Serialize};

use crate::{
    Config, problem,
    rest::selection::{CriterionForm, read_query},
};

/// What a group is made with; what is left out is as it is told when the group is read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsForm {
    pub(super) prefix: Option<String>,
    query: Option<Vec<CriterionForm>>,
    start: Option<String>,
    order_by: Option<String>,
    attempts_max: Option<u32>,
    retry_ms_min: Option<u64>,
    retry_ms_max: Option<u64>,
    visibility_ms: Option<u64>,
    in_flight_max: Option<u32>,
    consumer_in_flight_max: Option<u32>,
}

/// The same, whole.
#[derive(Debug, Serialize)]
pub(super) struct SettingsView {
    prefix: Option<String>,
    query: Option<Vec<CriterionView>>,
    start: String,
    order_by: String,
    attempts_max: u32,
    retry_ms_min: u64,
    retry_ms_max: u64,
    visibility_ms: u64,
    in_flight_max: u32,
    consumer_in_flight_max: u32,
}

#[derive(Debug, Serialize)]
struct CriterionView {
    types: Vec<String>,
    tags: Vec<String>,
}

const ATTEMPTS_DEFAULT: u32 = 10;
const RETRY_MS_MIN_DEFAULT: u64 = 1000;
const RETRY_MS_MAX_DEFAULT: u64 = 60_000;
const VISIBILITY_MS_DEFAULT: u64 = 30_000;
const IN_FLIGHT_DEFAULT: u32 = 1000;
const CONSUMER_IN_FLIGHT_DEFAULT: u32 = 100;
/// Longest stream prefix, tag or attribute name.
const TEXT_BYTES_MAX: usize = 255;

impl SettingsForm {
    /// The settings, each within the configured limit.
    pub(super) fn read(self, config: &Config) -> Result<Settings, Problem> {
        let retry_ms_min = self.retry_ms_min.unwrap_or(RETRY_MS_MIN_DEFAULT);
        let delay = |name, millis| problem::within(name, millis, 0, config.group_delay_ms_max);
        let retry_first = delay("retry_ms_min", retry_ms_min)?;
        let retry_most = self.retry_ms_max.unwrap_or(RETRY_MS_MAX_DEFAULT.max(retry_ms_min));
        let retry_most = delay("retry_ms_max", retry_most)?;
        if retry_most < retry_first {
            return Err(problem::invalid_member("retry_ms_max", "is below retry_ms_min"));
        }
        let visibility = self.visibility_ms.unwrap_or(VISIBILITY_MS_DEFAULT);
        let visibility =
            problem::within("visibility_ms", visibility, 1, config.group_visibility_ms_max)?;
        let attempts = self.attempts_max.unwrap_or(ATTEMPTS_DEFAULT.min(config.group_attempts_max));
        let most = config.group_in_flight_max;
        let in_flight = self.in_flight_max.unwrap_or(IN_FLIGHT_DEFAULT.min(most));
        let own = CONSUMER_IN_FLIGHT_DEFAULT.min(in_flight);
        let consumer_in_flight = self.consumer_in_flight_max.unwrap_or(own);
        Ok(Settings {
            filter: read_filter(self.prefix, self.query)?,
            start: read_start(self.start.as_deref())?,
            order: read_order(self.order_by.as_deref())?,
            attempts_max: problem::within("attempts_max", attempts, 1, config.group_attempts_max)?,
            backoff: Backoff {
                first: Duration::from_millis(retry_first),
                most: Duration::from_millis(retry_most),
            },
            visibility: Duration::from_millis(visibility),
            in_flight_max: problem::within("in_flight_max", in_flight, 1, most)?,
            consumer_in_flight_max: problem::within(
                "consumer_in_flight_max",
                consumer_in_flight,
                1,
                most,
            )?,
        })
    }
}

fn read_filter(
    prefix: Option<String>,
    query: Option<Vec<CriterionForm>>,
) -> Result<Filter, Problem> {
    if prefix.as_ref().is_some_and(|prefix| prefix.len() > TEXT_BYTES_MAX) {
        return Err(problem::invalid_member("prefix", "is longer than any stream's name"));
    }
    let query = query.map(read_query).transpose();
    let query = query.map_err(|reason| problem::invalid_member("query", reason))?;
    let stream_prefix = prefix.filter(|prefix| !prefix.is_empty()).map(Into::into);
    Ok(Filter { stream_prefix, query })
}

fn read_start(text: Option<&str>) -> Result<Start, Problem> {
    match text {
        None | Some("beginning") => Ok(Start::Beginning),
        Some("end") => Ok(Start::End),
        Some(text) => {
            let position = text.strip_prefix("after:").and_then(|number| number.parse().ok());
            position.map(Start::After).ok_or_else(|| {
                problem::invalid_member("start", "must be beginning, end, or after:POSITION")
            })
        }
    }
}

fn read_order(text: Option<&str>) -> Result<Order, Problem> {
    let named = |text: &str| {
        let is_named = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.contains(',');
        is_named.then(|| Box::<str>::from(text))
    };
    let order = match text {
        None | Some("stream") => Some(Order::Stream),
        Some("nothing") => Some(Order::Unordered),
        Some(text) => match text.split_once(':') {
            Some(("tag", begin)) => named(begin).map(Order::Tag),
            Some(("attribute", name)) => named(name).map(Order::Attribute),
            _ => None,
        },
    };
    order.ok_or_else(|| {
        problem::invalid_member(
            "order_by",
            "must be stream, nothing, tag:BEGIN such as tag:customer, or attribute:NAME such as attribute:subject",
        )
    })
}

impl From<&Settings> for SettingsView {
    fn from(settings: &Settings) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let Settings { filter, start, order, backoff, .. } = settings;
        Self {
            prefix: filter.stream_prefix.as_deref().map(str::to_owned),
            query: filter.query.as_ref().map(|Query(criteria)| criteria.iter().map(view).collect()),
            start: match start {
                Start::Beginning => "beginning".to_owned(),
                Start::End => "end".to_owned(),
                Start::After(position) => format!("after:{position}"),
            },
            order_by: match order {
                Order::Stream => "stream".to_owned(),
                Order::Unordered => "nothing".to_owned(),
                Order::Tag(begin) => format!("tag:{begin}"),
                Order::Attribute(name) => format!("attribute:{name}"),
            },
            attempts_max: settings.attempts_max,
            retry_ms_min: millis(backoff.first),
            retry_ms_max: millis(backoff.most),
            visibility_ms: millis(settings.visibility),
            in_flight_max: settings.in_flight_max,
            consumer_in_flight_max: settings.consumer_in_flight_max,
        }
    }
}

fn view(criterion: &Criterion) -> CriterionView {
    CriterionView {
        types: criterion.types.iter().map(|kind| kind.as_str().to_owned()).collect(),
        tags: criterion.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
    }
}

/// Where a group begins whose store ends at `end`.
pub(super) const fn first_of(start: Start, end: EventPosition) -> EventPosition {
    match start {
        Start::Beginning => EventPosition::START,
        Start::End => end,
        Start::After(position) => position.next(),
    }
}
