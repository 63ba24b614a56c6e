//! Registering an instance, keeping it, and taking it out.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use lombard_chassis::{Json, Problem, event_stream};
use lombard_registry_core::{Command, InstanceKey, Lease, LeaseId, Liveness, Recorded, Ttl};
use lombard_types::{Position, Timestamp};
use uuid::Uuid;

use super::{
    Api,
    answer::Answer,
    authority::Registrant,
    body::{Checked, Deregistered, LeaseBody, Registered, Registration, Renewal},
    hold,
};
use crate::problem;

/// `PUT /services/{service}/instances/{instance}`: always a new lease, so that a retry whose first answer was lost has
/// one that it knows.
pub(super) async fn register(
    State(api): State<Api>,
    registrant: Registrant,
    Json(body): Json<Registration>,
) -> Result<Answer<Json<Registered>>, Problem> {
    let registered = api.register(registrant, body).await;
    api.count("register", &registered);
    registered
}

/// `POST /services/{service}/instances/{instance}/renew`: knowing the lease's id is enough, besides the scope. With
/// `Accept: text/event-stream` the lease is also bound to the answer, which then goes on.
pub(super) async fn renew(
    State(api): State<Api>,
    registrant: Registrant,
    headers: HeaderMap,
    Json(body): Json<Renewal>,
) -> Result<Response, Problem> {
    let id = body.check()?;
    let Registrant { key, expires_in, .. } = registrant;
    if event_stream::is_wanted(&headers) {
        return hold::respond(api, key, id, expires_in).await;
    }
    let renewed = api.renew(&key, id).await;
    api.count("renew", &renewed);
    let lease = renewed?;
    let position = api.view.position().previous();
    Ok(Answer::ok(position, Json(LeaseBody::new(lease))).into_response())
}

/// `DELETE /services/{service}/instances/{instance}`.
pub(super) async fn deregister(
    State(api): State<Api>,
    registrant: Registrant,
) -> Result<Answer<Json<Deregistered>>, Problem> {
    let Registrant { key, is_admin, evidence, .. } = registrant;
    let gone = api.submit(Command::Deregister { key, is_admin, evidence }).await;
    api.count("deregister", &gone);
    let position = gone?;
    Ok(Answer::ok(Some(position), Json(Deregistered { index: index(position) })))
}

impl Api {
    async fn register(
        &self,
        registrant: Registrant,
        body: Registration,
    ) -> Result<Answer<Json<Registered>>, Problem> {
        let Checked { address, ttl, deregister_after_seconds, attributes, health } =
            body.check(&self.config)?;
        let Registrant { key, evidence, .. } = registrant;
        let id = LeaseId::from_u128(Uuid::new_v4().as_u128());
        let is_permanent = ttl.is_none();
        let ttl = ttl.unwrap_or(Ttl::MAX);
        let lease = Lease { id, ttl, deregister_after_seconds, is_permanent };
        let position = self
            .submit(Command::Register {
                key: key.clone(),
                lease,
                address: address.clone(),
                attributes,
                health,
                evidence,
            })
            .await?;
        let registered = Registered::new(&key, &address, lease, index(position));
        Ok(Answer::created(position, registered))
    }

    /// Renews a lease. An instance that was in doubt, or without traffic because of it, is confirmed before this is
    /// answered.
    pub(crate) async fn renew(&self, key: &InstanceKey, id: LeaseId) -> Result<Lease, Problem> {
        self.reach_start().await?;
        if self.lessor.renew(id, key).is_none() {
            // It may have been granted a moment ago, and the read side be behind. Who is told that the lease is unknown
            // registers again, so this must be certain.
            self.reach_writer().await?;
            self.lessor.renew(id, key).ok_or_else(problem::lease_unknown)?;
        }
        let found = self.view.read(|view| {
            let instance = view.services().under_lease(key, id)?;
            Some((instance.lease, instance.liveness == Liveness::Confirmed))
        });
        let (lease, is_confirmed) = found.ok_or_else(problem::lease_unknown)?;
        if !is_confirmed {
            let confirm = Command::Confirm { key: key.clone(), lease_id: id };
            // The lease is renewed whatever becomes of this; the next renewal says it again.
            if let Err(problem) = self.submit(confirm).await {
                tracing::warn!(instance = %key, problem = problem.kind().slug, "failed to confirm");
            }
        }
        Ok(lease)
    }
}

fn index(position: Position) -> u64 {
    Recorded { position, time: Timestamp::EPOCH }.index()
}
