//! `Session`: many frames of packed transfers in flight on one call.

use std::sync::Arc;

use bytes::Bytes;
use lombard_chassis::Problem;
use lombard_grpc::{Call, Incoming, Outgoing, session, status};
use lombard_ledger_core::{Command, CreateTransfers, Evidence};
use lombard_proto::ledger::v1::{SessionRequest, SessionResponse, session_response};
use lombard_types::RequestId;

use super::{
    frame::{self, Frame},
    results::{self, Asked},
};
use crate::{
    problem,
    rest::{Api, evidence},
};

struct TransferSession {
    api: Arc<Api>,
    request_id: RequestId,
}

/// What the token permits is checked for each record.
pub(super) async fn run(
    api: Arc<Api>,
    call: Call,
    incoming: Incoming<SessionRequest>,
    outgoing: &mut Outgoing<SessionResponse>,
) -> Result<(), Option<Problem>> {
    let request_id = call.context.request_id.clone();
    session::run(&TransferSession { api, request_id }, call, incoming, outgoing).await
}

/// A frame that may be carried out.
pub(super) struct Permitted {
    frame: Frame,
    /// As it arrived.
    packed: Bytes,
    evidence: Arc<Evidence>,
}

impl session::Session for TransferSession {
    type Request = SessionRequest;
    type Response = SessionResponse;
    type Prepared = Result<Permitted, Problem>;

    fn in_flight_max(&self) -> usize {
        self.api.config.session_frames_max
    }

    fn sequence(request: &SessionRequest) -> u64 {
        request.sequence
    }

    async fn prepare(&self, call: &Call, request: SessionRequest) -> Self::Prepared {
        let caller = super::caller(call)?;
        let packed = request.transfers;
        let frame = frame::prepare(&self.api, &caller, &packed).await?;
        Ok(Permitted { frame, packed, evidence: evidence::of(&caller, call.context.clone(), None) })
    }

    async fn answer(&self, sequence: u64, prepared: Self::Prepared) -> SessionResponse {
        let result = match self.carry_out(prepared).await {
            Ok(results) => session_response::Result::Results(results),
            Err(problem) => {
                session_response::Result::Error(status::status(&problem, Some(&self.request_id)))
            }
        };
        SessionResponse { sequence, result: Some(result) }
    }
}

impl TransferSession {
    async fn carry_out(&self, permitted: Result<Permitted, Problem>) -> Result<Bytes, Problem> {
        let Permitted { frame: Frame { transfers, notes }, packed, evidence } = permitted?;
        // Looked at again only where an id was spent before.
        let asked = Asked { packed, notes: notes.clone() };
        let command = CreateTransfers { transfers, notes, evidence };
        let submitted = self.api.writer.submit(Command::CreateTransfers(command)).await;
        let submitted = submitted.inspect_err(|_| self.api.metrics.transfer_failed());
        let committed = submitted.map_err(problem::from_submit_error)?;
        results::pack(&self.api, &asked, committed).await
    }
}
