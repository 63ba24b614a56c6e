//! What a caller's token permits here.
//!
//! - `events:append` appends to any stream; `events:append:payments-*` to those whose name begins so.
//! - `events:read` reads everything; `events:read:payments-*` the streams whose name begins so, but not all streams in
//!   their common order.
//! - `events:consume` takes and settles deliveries of any consumer group, and looks after its dead letters;
//!   `events:consume:mail-*` of those whose name begins so. It takes no `events:read`: whoever made the group had it.
//! - `events:manage` makes and deletes consumer groups, or those whose name begins so.
//! - `events:schema` puts the schema of any event type; `events:schema:com.example.*` of those whose name begins so.
//! - `events:erase` erases any data subject; `events:erase:customer-*` those whose name begins so.
//! - `admin` permits everything.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Authenticated, Problem, authenticate, problems};
use lombard_eventstore_core::{EventType, Evidence};
use lombard_token::Claims;
use lombard_types::{ClientId, ConsumerName, GroupName, StreamName, Timestamp};

use crate::problem;

const FAMILY: &str = "events";
const READ: &str = "read";
const APPEND: &str = "append";
const CONSUME: &str = "consume";
const MANAGE: &str = "manage";
const SCHEMA: &str = "schema";
const ERASE: &str = "erase";

/// Whose request it is. An extractor: without a good token the request ends with 401.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Authenticated);

impl Caller {
    /// Whose claims were verified elsewhere.
    pub(crate) const fn new(claims: Arc<Claims>) -> Self {
        Self(Authenticated(claims))
    }

    /// Must be permitted to append to a stream.
    pub(crate) fn append(&self, stream: &StreamName) -> Result<(), Problem> {
        self.0.require(FAMILY, APPEND, Some(stream.as_str())).map(drop)
    }

    /// Must be permitted to read a stream.
    pub(crate) fn read(&self, stream: &StreamName) -> Result<(), Problem> {
        self.0.require(FAMILY, READ, Some(stream.as_str())).map(drop)
    }

    pub(crate) fn may_read(&self, stream: &StreamName) -> bool {
        self.0.0.scope.permits(FAMILY, READ, Some(stream.as_str()))
    }

    /// Must be permitted to read everything.
    fn read_all(&self) -> Result<(), Problem> {
        self.0.require(FAMILY, READ, None).map(drop)
    }

    /// Must be permitted to read every stream whose name begins so, whatever else it is named.
    pub(crate) fn read_prefix(&self, prefix: Option<&str>) -> Result<(), Problem> {
        match prefix {
            // A pattern that ends in a star permits a prefix where it permits every name that the prefix begins.
            Some(prefix) => {
                let any = format!("{prefix}*");
                self.0.require(FAMILY, READ, Some(&any)).map(drop)
            }
            None => self.read_all(),
        }
    }

    /// Must be permitted to read something, whatever it is.
    pub(crate) fn read_anything(&self) -> Result<(), Problem> {
        let wanted = authenticate::required_scope(FAMILY, READ, None);
        let is_some = self.0.0.scope.iter().any(|scope| {
            let rest = scope.as_str().strip_prefix(wanted.as_str());
            scope.is_admin() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        });
        if is_some { Ok(()) } else { Err(authenticate::insufficient_scope(&wanted)) }
    }

    /// Must be permitted to consume what a group delivers.
    pub(crate) fn consume(&self, group: &GroupName) -> Result<(), Problem> {
        self.0.require(FAMILY, CONSUME, Some(group.as_str())).map(drop)
    }

    /// Who takes deliveries: as the request says, or else the client.
    pub(crate) fn consumer(&self, text: Option<&str>) -> Result<ConsumerName, Problem> {
        let client = self.client_id()?;
        let text = text.unwrap_or(client.as_str());
        text.parse().map_err(|error| problem::invalid_member("consumer", error))
    }

    /// Must be permitted to make or delete a group.
    pub(crate) fn manage_group(&self, group: &GroupName) -> Result<(), Problem> {
        self.0.require(FAMILY, MANAGE, Some(group.as_str())).map(drop)
    }

    /// Must be permitted to do either.
    pub(crate) fn see_group(&self, group: &GroupName) -> Result<(), Problem> {
        self.manage_group(group).or_else(|_| self.consume(group))
    }

    /// Whose token it is.
    pub(crate) fn client_id(&self) -> Result<ClientId, Problem> {
        self.0.0.client_id.parse().map_err(|error| {
            tracing::error!(%error, "an accepted token has a malformed client id");
            Problem::new(&problems::INTERNAL)
        })
    }

    /// Must be permitted to say what the events of a type look like.
    pub(crate) fn write_schema(&self, event_type: &EventType) -> Result<(), Problem> {
        self.0.require(FAMILY, SCHEMA, Some(event_type.as_str())).map(drop)
    }

    /// Must be permitted to know what the events of a type look like: whoever reads anything is.
    pub(crate) fn read_schema(&self, event_type: &EventType) -> Result<(), Problem> {
        if self.0.0.scope.permits(FAMILY, SCHEMA, Some(event_type.as_str())) {
            return Ok(());
        }
        self.read_anything()
    }

    /// Must be permitted to erase a data subject.
    pub(crate) fn erase(&self, subject: &str) -> Result<(), Problem> {
        self.0.require(FAMILY, ERASE, Some(subject)).map(drop)
    }

    /// How long the token is still good.
    pub(crate) fn expires_in(&self) -> Duration {
        let now = Timestamp::from_system_time(SystemTime::now());
        self.0.0.expires_at.since(now)
    }

    /// What is kept with every event that the request causes.
    pub(crate) fn evidence(&self, context: lombard_chassis::Context) -> Result<Evidence, Problem> {
        let claims = &self.0.0;
        let client_id = self.client_id()?;
        Ok(Evidence {
            client_id,
            subject: claims.subject.clone(),
            token_id: claims.token_id.clone(),
            request_id: context.request_id,
            traceparent: context.traceparent,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Authenticated::from_request_parts(parts, state).await.map(Self)
    }
}
