//! Who asked, by what authority, and in which request.

use std::sync::Arc;

use lombard_chassis::Context;
use lombard_ledger_core::Evidence;
use uuid::Uuid;

use super::{authority::Caller, idempotency::IdempotencyKey};

/// What is kept with every event that a request causes.
pub(crate) fn of(caller: &Caller, context: Context, key: Option<IdempotencyKey>) -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: Uuid::now_v7().as_u128(),
        client_id: caller.client_id().clone(),
        subject: caller.subject().into(),
        token_id: caller.token_id().into(),
        request_id: context.request_id,
        traceparent: context.traceparent,
        idempotency_key: key.map(IdempotencyKey::into_text),
    })
}
