//! Consumer groups: events that several consumers share between them.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{EventStore, PREFIX, RecordedEvent, number};
use crate::{Call, Error};

/// Longest wait of one pull, below what the ways in between allow.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// One consumer group, as one client sees it.
#[derive(Clone, Debug)]
pub struct ConsumerGroup {
    events: EventStore,
    name: String,
}

/// How a group delivers: fixed when it is made. What is left out is as the store says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GroupSettings {
    /// Streams whose name begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Events of any of these types with all of these tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Vec<super::Criterion>>,
    /// `beginning`, `end`, or `after:POSITION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// What is delivered one after the other: `stream`, `nothing`, `tag:BEGIN`, or `attribute:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_by: Option<String>,
    /// Attempts before an event becomes a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
    /// Delay after the first failed attempt; it doubles from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms_min: Option<u64>,
    /// Longest delay between two attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms_max: Option<u64>,
    /// How long a consumer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_ms: Option<u64>,
    /// Events that all consumers together may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u32>,
    /// Events that one consumer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_in_flight_max: Option<u32>,
}

/// An event for a consumer.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// The same for every attempt at this event: remember it with what you do, and do nothing twice.
    #[serde(rename = "delivery_id")]
    pub id: String,
    /// What settles this attempt.
    pub receipt: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// When it is taken back (RFC 3339).
    pub deadline: String,
    /// The event.
    pub event: RecordedEvent,
}

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settled {
    /// As it was asked.
    Done,
    /// It had been settled before: a repetition.
    AlreadySettled,
    /// The time was over, and somebody else has the event; or it had been refused.
    Lost,
    /// The event is a dead letter.
    Dead,
    /// The group made no such delivery.
    Unknown,
}

/// How a group is doing.
#[derive(Clone, Debug, Deserialize)]
pub struct GroupState {
    /// Its name.
    pub group: String,
    /// How it delivers.
    pub settings: Value,
    /// Every event before it is settled, or a dead letter.
    #[serde(deserialize_with = "number")]
    pub cursor: u64,
    /// Events that are not settled, or not yet looked at.
    pub lag: u64,
    /// Events that consumers have.
    pub in_flight: u64,
    /// Events that were given up.
    pub dead_letters: u64,
    /// Attempts beyond the first of an event.
    pub redelivered: u64,
}

/// An event that was given up.
#[derive(Clone, Debug, Deserialize)]
pub struct DeadLetter {
    /// What names it: the position of its event.
    #[serde(deserialize_with = "number")]
    pub position: u64,
    /// The id of all its deliveries.
    pub delivery_id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// `timed_out` or `refused`.
    pub cause: String,
    /// What the consumer said.
    pub reason: Option<String>,
    /// When it was given up (RFC 3339).
    pub dead_at: String,
    /// The event.
    pub event: RecordedEvent,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl EventStore {
    /// A consumer group; nothing is sent.
    pub fn group(&self, name: impl Into<String>) -> ConsumerGroup {
        ConsumerGroup { events: self.clone(), name: name.into() }
    }

    /// The groups that the client may see.
    pub async fn groups(&self) -> Result<Vec<GroupState>, Error> {
        self.all("/groups", None).await
    }

    /// All pages of a list.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: Option<(&'static str, &str)>,
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let asked = after.take();
            let call = |url| {
                let call = Call::new(Method::GET, url);
                let query =
                    filter.into_iter().chain(asked.as_deref().map(|after| ("after", after)));
                query.fold(call, |call, (name, value)| call.query(name, value))
            };
            let page: Page<T> = self.platform.call(PREFIX, path, call).await?.body;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }
}

impl ConsumerGroup {
    fn path(&self, rest: &str) -> String {
        format!("/groups/{}{rest}", self.name)
    }

    async fn post<T: DeserializeOwned>(&self, rest: &str, body: Value) -> Result<T, Error> {
        let call = |url| Call::new(Method::POST, url).json(body).repeatable();
        Ok(self.events.platform.call(PREFIX, &self.path(rest), call).await?.body)
    }

    /// Makes the group, or finds it there with the same settings. Needs the scope `events:manage:<group>`, and
    /// `events:read` for what it selects.
    pub async fn create(&self, settings: &GroupSettings) -> Result<GroupState, Error> {
        let body =
            serde_json::to_value(settings).map_err(|error| Error::Invalid(error.to_string()))?;
        let call = |url| Call::new(Method::PUT, url).json(body).repeatable();
        Ok(self.events.platform.call(PREFIX, &self.path(""), call).await?.body)
    }

    /// How it is doing.
    pub async fn state(&self) -> Result<GroupState, Error> {
        let call = |url| Call::new(Method::GET, url);
        Ok(self.events.platform.call(PREFIX, &self.path(""), call).await?.body)
    }

    /// Forgets the group with its cursor and dead letters. Needs the scope `events:manage:<group>`.
    pub async fn delete(&self) -> Result<(), Error> {
        let platform = &self.events.platform;
        let url = format!("{}{PREFIX}{}", platform.issuer(), self.path(""));
        platform.send(PREFIX, &Call::new(Method::DELETE, url)).await.map(drop)
    }

    /// Up to `count` deliveries for a consumer; none after a few seconds without any. Needs the scope
    /// `events:consume:<group>`, as everything that follows. Where the answer is lost on the way, its deliveries come back
    /// when their time is over.
    pub async fn pull(&self, consumer: &str, count: u32) -> Result<Vec<Delivery>, Error> {
        #[derive(Deserialize)]
        struct Pulled {
            deliveries: Vec<Delivery>,
        }
        let wait_ms = u64::try_from(WAIT_MAX.as_millis()).unwrap_or(u64::MAX);
        let body = json!({ "consumer": consumer, "count": count, "wait_ms": wait_ms });
        let pulled: Pulled = self.post("/deliveries", body).await?;
        Ok(pulled.deliveries)
    }

    /// These were processed. Answers what became of each.
    pub async fn ack(&self, deliveries: &[Delivery]) -> Result<Vec<Settled>, Error> {
        self.settle("/acks", json!({ "receipts": receipts(deliveries) })).await
    }

    /// These were not: they are tried again after a delay, or given up after the last attempt.
    pub async fn nack(&self, deliveries: &[Delivery], reason: &str) -> Result<Vec<Settled>, Error> {
        let body = json!({ "receipts": receipts(deliveries), "reason": reason });
        self.settle("/nacks", body).await
    }

    /// These need so much more time, from now on.
    pub async fn extend(
        &self,
        deliveries: &[Delivery],
        visibility: Duration,
    ) -> Result<Vec<Settled>, Error> {
        let visibility_ms = u64::try_from(visibility.as_millis()).unwrap_or(u64::MAX);
        let body = json!({ "receipts": receipts(deliveries), "visibility_ms": visibility_ms });
        self.settle("/extensions", body).await
    }

    async fn settle(&self, rest: &str, body: Value) -> Result<Vec<Settled>, Error> {
        #[derive(Deserialize)]
        struct Results {
            results: Vec<OneResult>,
        }
        #[derive(Deserialize)]
        struct OneResult {
            result: Settled,
        }
        let results: Results = self.post(rest, body).await?;
        Ok(results.results.into_iter().map(|one| one.result).collect())
    }

    /// The events that were given up.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        self.events.all(&self.path("/dead-letters"), None).await
    }

    /// Delivers dead letters again, those of these positions or all. Answers how many; fewer than there are where the
    /// group has no room for more at once.
    pub async fn replay(&self, positions: Option<&[u64]>) -> Result<u64, Error> {
        self.move_dead("/dead-letters/replay", positions).await
    }

    /// Settles dead letters as they are.
    pub async fn discard(&self, positions: Option<&[u64]>) -> Result<u64, Error> {
        self.move_dead("/dead-letters/discard", positions).await
    }

    async fn move_dead(&self, rest: &str, positions: Option<&[u64]>) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Moved {
            count: u64,
        }
        let body = match positions {
            None => json!({ "all": true }),
            Some(positions) => {
                let positions: Vec<String> = positions.iter().map(ToString::to_string).collect();
                json!({ "positions": positions })
            }
        };
        let moved: Moved = self.post(rest, body).await?;
        Ok(moved.count)
    }
}

fn receipts(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.receipt.as_str()).collect()
}
