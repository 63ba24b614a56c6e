//! Registering an instance, keeping it, and taking it out.

use axum::extract::State;
use lombard_chassis::{Json, Problem};
use lombard_registry_core::{Command, InstanceKey, Lease, LeaseId, Recorded, Ttl};
use lombard_types::{Position, Timestamp};
use uuid::Uuid;

use super::{
    Api,
    answer::Answer,
    authority::Registrant,
    body::{Deregistered, LeaseBody, Registered, Registration, Renewal},
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

/// `POST /services/{service}/instances/{instance}/renew`: knowing the lease's id is enough, besides the scope.
pub(super) async fn renew(
    State(api): State<Api>,
    registrant: Registrant,
    Json(body): Json<Renewal>,
) -> Result<Answer<Json<LeaseBody>>, Problem> {
    let renewed = api.renew(&registrant.key, &body).await;
    api.count("renew", &renewed);
    let lease = renewed?;
    let position = api.view.position().previous();
    Ok(Answer::ok(position, Json(LeaseBody::new(lease))))
}

/// `DELETE /services/{service}/instances/{instance}`.
pub(super) async fn deregister(
    State(api): State<Api>,
    registrant: Registrant,
) -> Result<Answer<Json<Deregistered>>, Problem> {
    let Registrant { key, is_admin, evidence } = registrant;
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
        let (address, ttl, attributes, health) = body.check(&self.config)?;
        let Registrant { key, evidence, .. } = registrant;
        let lease = Lease { id: LeaseId::from_u128(Uuid::new_v4().as_u128()), ttl };
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

    async fn renew(&self, key: &InstanceKey, body: &Renewal) -> Result<Lease, Problem> {
        let id = body.check()?;
        self.reach_start().await?;
        let renewed = |ttl: Ttl| Lease { id, ttl };
        if let Some(ttl) = self.lessor.renew(id, key) {
            return Ok(renewed(ttl));
        }
        // It may have been granted a moment ago, and the read side be behind. Who is told that the lease is unknown
        // registers again, so this must be certain.
        self.reach_writer().await?;
        self.lessor.renew(id, key).map(renewed).ok_or_else(problem::lease_unknown)
    }
}

fn index(position: Position) -> u64 {
    Recorded { position, time: Timestamp::EPOCH }.index()
}
