//! `Post`, `Void` and `Reverse`.

use std::sync::Arc;

use lombard_chassis::Problem;
use lombard_grpc::Call;
use lombard_proto::ledger::v1::{ActionRequest, CreateResponse};
use lombard_types::Timestamp;

use super::{create, packed};
use crate::rest::{
    Api,
    body::Decimal,
    sets::{About, Action},
};

/// Needs what the same needs over HTTP.
pub(super) async fn act(
    api: Arc<Api>,
    call: Call,
    request: ActionRequest,
    action: Action,
) -> Result<CreateResponse, Problem> {
    let caller = super::caller(&call)?;
    let is_dry_run = request.dry_run;
    let id = packed::transfer_id("id", &request.id)?;
    let other = packed::transfer_id("other", &request.other)?;
    let other = action.permitted(&api, &caller, other).await?;
    let asked = about(request)?.ask(&api, &caller, id, action, &other).await?;
    create::carry_out(&api, &caller, call, asked, is_dry_run).await
}

/// The action as it would have been read from JSON.
fn about(request: ActionRequest) -> Result<About, Problem> {
    let amounts: Vec<Decimal> = request.amounts.into_iter().map(Decimal::Text).collect();
    let effective_at = request.effective_at.map(Timestamp::from_unix_nanos);
    Ok(About {
        id: None,
        amount: None,
        amounts: (!amounts.is_empty()).then_some(amounts),
        code: create::code(request.code)?,
        effective_at: effective_at.map(|time| time.to_string()),
        override_lock: request.override_lock,
        external_id: request.external_id,
        metadata: create::json(request.metadata)?,
    })
}
