//! The edge for gRPC: `lombard.registry.v1.Registry`. What each call means is said in `proto/registry/v1`.

mod watch;

use lombard_grpc::{Method, Routes};

use crate::rest::Api;

const WATCH: Method = Method {
    path: "/lombard.registry.v1.Registry/Watch",
    when_late: &lombard_grpc::problems::DEADLINE_EXCEEDED,
};

/// All methods beside others.
pub(crate) fn routes(others: Routes, api: Api) -> Routes {
    others.server_stream(WATCH, move |call, request, outgoing| {
        Box::pin(watch::run(api.clone(), call, request, outgoing))
    })
}
