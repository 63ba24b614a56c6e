//! `Lookup`.

use std::sync::Arc;

use lombard_chassis::Problem;
use lombard_grpc::Call;
use lombard_ledger_core::{AccountRef, ExternalId};
use lombard_proto::ledger::v1::{LookupRequest, LookupResponse, lookup_request::Key};
use lombard_types::AccountId;

use super::packed;
use crate::{
    problem,
    rest::{Api, authority::Caller, sets::Stored},
};

/// Needs `ledger:read` for one of the accounts. Who may read only some is not told whether other sets exist.
pub(super) async fn lookup(
    api: Arc<Api>,
    call: Call,
    request: LookupRequest,
) -> Result<LookupResponse, Problem> {
    let caller = super::caller(&call)?;
    caller.read_anything()?;
    let found = match &request.key {
        Some(Key::Id(id)) => api.find_stored(packed::transfer_id("id", id)?).await?,
        Some(Key::ExternalId(text)) => {
            let external_id = ExternalId::new(text);
            let external_id =
                external_id.map_err(|error| problem::invalid_field("external_id", error))?;
            api.find_external(external_id).await?
        }
        None => return Err(problem::invalid_field("key", "is missing")),
    };
    let Some(stored) = found else {
        caller.read_book()?;
        return Err(Problem::new(&problem::TRANSFER_NOT_FOUND));
    };
    readable(&api, &caller, &stored).await?;
    let set = stored.set()?;
    let metadata = set.note.map(|note| note.metadata.as_str()).filter(|json| !json.is_empty());
    let external_id = set.note.and_then(|note| note.external_id.as_ref());
    Ok(LookupResponse {
        transfers: packed::recorded(set.recorded),
        position: stored.recorded.position.get(),
        recorded_at: stored.recorded.time.unix_nanos(),
        external_id: external_id.map(|id| id.as_str().to_owned()),
        metadata: metadata.map(str::to_owned),
    })
}

async fn readable(api: &Api, caller: &Caller, stored: &Stored) -> Result<(), Problem> {
    let Some(first) = stored.set()?.recorded.first() else { return caller.read_book() };
    if read(api, caller, first.transfer.credit_account).await.is_ok() {
        return Ok(());
    }
    read(api, caller, first.transfer.debit_account).await
}

async fn read(api: &Api, caller: &Caller, account: AccountId) -> Result<(), Problem> {
    match api.account_named(&AccountRef::Id(account)).await? {
        Some((_, path)) => caller.read(&path),
        None => caller.read_book(),
    }
}
