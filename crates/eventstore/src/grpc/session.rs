//! `AppendSession`: many appends in flight on one call.

use lombard_chassis::Problem;
use lombard_eventstore_core::Evidence;
use lombard_grpc::{Call, Incoming, Outgoing, session, status};
use lombard_proto::eventstore::v1::{
    AppendSessionRequest, AppendSessionResponse, append_session_response,
};
use lombard_types::RequestId;

use super::append;
use crate::{
    api::{Api, Ready},
    authority::Caller,
};

struct AppendSession {
    api: Api,
    caller: Caller,
    evidence: Evidence,
    request_id: RequestId,
}

/// Needs `events:append` for each stream of each append.
pub(super) async fn run(
    api: Api,
    call: Call,
    incoming: Incoming<AppendSessionRequest>,
    outgoing: &mut Outgoing<AppendSessionResponse>,
) -> Result<(), Option<Problem>> {
    let caller = Caller::new(call.claims.clone());
    let evidence = caller.evidence(call.context.clone())?;
    let request_id = call.context.request_id.clone();
    let session = AppendSession { api, caller, evidence, request_id };
    session::run(&session, call, incoming, outgoing).await
}

impl session::Session for AppendSession {
    type Request = AppendSessionRequest;
    type Response = AppendSessionResponse;
    type Prepared = Result<Ready, Problem>;

    fn in_flight_max(&self) -> usize {
        self.api.config.session_appends_max
    }

    fn sequence(request: &AppendSessionRequest) -> u64 {
        request.sequence
    }

    async fn prepare(&self, _: &Call, request: AppendSessionRequest) -> Self::Prepared {
        let append = request.append.unwrap_or_default();
        append::prepare(&self.api, &self.caller, self.evidence.clone(), &append).await
    }

    async fn answer(&self, sequence: u64, prepared: Self::Prepared) -> AppendSessionResponse {
        let outcome = match prepared {
            Ok(append) => self.api.submit(append).await.map(append::response),
            Err(problem) => Err(problem),
        };
        let result = match outcome {
            Ok(appended) => append_session_response::Result::Appended(appended),
            Err(problem) => append_session_response::Result::Error(status::status(
                &problem,
                Some(&self.request_id),
            )),
        };
        AppendSessionResponse { sequence, result: Some(result) }
    }
}
