//! How an instance stands: reported by itself, drained before it leaves, taken out by an operator.

use axum::extract::State;
use lombard_chassis::{Json, Problem};
use lombard_registry_core::{Command, InstanceKey};

use super::{
    Api,
    answer::Answer,
    authority::{Operator, Registrant},
    body::{Report, Stands, Why},
};

/// `POST .../report`: how the instance is, in its own words. Needs the lease, besides the scope.
pub(super) async fn report(
    State(api): State<Api>,
    registrant: Registrant,
    Json(body): Json<Report>,
) -> Result<Answer<Json<Stands>>, Problem> {
    let (lease_id, health, note) = body.check()?;
    let Registrant { key, evidence, .. } = registrant;
    let command = Command::Report { key: key.clone(), lease_id, health, note, evidence };
    api.stand("report", key, command).await
}

/// `POST .../drain`: nothing new, please. When it is answered, no reader is told to go there any more.
pub(super) async fn drain(
    State(api): State<Api>,
    registrant: Registrant,
    Json(body): Json<Why>,
) -> Result<Answer<Json<Stands>>, Problem> {
    let note = body.check()?;
    let Registrant { key, is_admin, evidence, .. } = registrant;
    let command = Command::Drain { key: key.clone(), is_admin, note, evidence };
    api.stand("drain", key, command).await
}

/// `PUT .../maintenance`: out of service until an operator says otherwise.
pub(super) async fn take_out(
    State(api): State<Api>,
    operator: Operator,
    Json(body): Json<Why>,
) -> Result<Answer<Json<Stands>>, Problem> {
    let note = body.check()?;
    let Operator(Registrant { key, evidence, .. }) = operator;
    let command = Command::Maintain { key: key.clone(), is_out: true, note, evidence };
    api.stand("maintenance", key, command).await
}

/// `DELETE .../maintenance`: back into service.
pub(super) async fn put_back(
    State(api): State<Api>,
    operator: Operator,
) -> Result<Answer<Json<Stands>>, Problem> {
    let Operator(Registrant { key, evidence, .. }) = operator;
    let note = Why::default().check()?;
    let command = Command::Maintain { key: key.clone(), is_out: false, note, evidence };
    api.stand("maintenance", key, command).await
}

impl Api {
    async fn stand(
        &self,
        operation: &'static str,
        key: InstanceKey,
        command: Command,
    ) -> Result<Answer<Json<Stands>>, Problem> {
        let stood = self.submit(command).await;
        self.count(operation, &stood);
        let position = stood?;
        let (state, index) = self.view.read(|view| {
            let state = view.services().instance(&key).map(|instance| instance.state());
            (state, view.service_index(&key.service))
        });
        // It may be gone a moment later.
        let state = state.unwrap_or("gone");
        let InstanceKey { service, instance } = key;
        let (service, instance) = (service.to_string(), instance.to_string());
        Ok(Answer::ok(Some(position), Json(Stands { service, instance, state, index })))
    }
}
