//! The edge for gRPC: `lombard.eventstore.v1.EventStore`. What each call means is said in `proto/eventstore/v1`.

mod append;
mod consume;
mod read;
mod read_message;
mod session;
mod subscribe;
mod write_message;

use lombard_chassis::problems;
use lombard_grpc::{Method, Routes};

use crate::api::Api;

const fn method(path: &'static str, when_late: &'static lombard_chassis::ProblemType) -> Method {
    Method { path, when_late }
}

const APPEND: Method =
    method("/lombard.eventstore.v1.EventStore/Append", &problems::OUTCOME_UNKNOWN);
const APPEND_SESSION: Method =
    method("/lombard.eventstore.v1.EventStore/AppendSession", &problems::OUTCOME_UNKNOWN);
const READ: Method =
    method("/lombard.eventstore.v1.EventStore/Read", &lombard_grpc::problems::DEADLINE_EXCEEDED);
const SUBSCRIBE: Method = method(
    "/lombard.eventstore.v1.EventStore/Subscribe",
    &lombard_grpc::problems::DEADLINE_EXCEEDED,
);

const CONSUME: Method =
    method("/lombard.eventstore.v1.EventStore/Consume", &problems::OUTCOME_UNKNOWN);

/// All methods. Each needs a token for this role.
pub(crate) fn routes(api: Api) -> Routes {
    let (to_append, to_session, to_read) = (api.clone(), api.clone(), api.clone());
    let to_consume = api.clone();
    Routes::new()
        .unary(APPEND, move |call, request| append::append(to_append.clone(), call, request))
        .bidi(APPEND_SESSION, move |call, incoming, outgoing| {
            Box::pin(session::run(to_session.clone(), call, incoming, outgoing))
        })
        .bidi(CONSUME, move |call, incoming, outgoing| {
            Box::pin(consume::consume(to_consume.clone(), call, incoming, outgoing))
        })
        .server_stream(READ, move |call, request, outgoing| {
            Box::pin(read::read(to_read.clone(), call, request, outgoing))
        })
        .server_stream(SUBSCRIBE, move |call, request, outgoing| {
            Box::pin(subscribe::subscribe(api.clone(), call, request, outgoing))
        })
}
