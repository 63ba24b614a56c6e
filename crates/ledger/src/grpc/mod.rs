//! The edge for gRPC: `lombard.ledger.v1.Ledger`. What each call means is said in `proto/ledger/v1`.

mod action;
mod balance;
mod create;
mod frame;
mod lookup;
pub(crate) mod packed;
mod replays;
mod results;
mod session;

use std::sync::Arc;

use lombard_chassis::{Authenticated, Problem, ProblemType, problems};
use lombard_grpc::{Call, Method, Routes};

use crate::rest::{Api, authority::Caller, sets::Action};

const fn method(path: &'static str, when_late: &'static ProblemType) -> Method {
    Method { path, when_late }
}

const CREATE: Method = method("/lombard.ledger.v1.Ledger/Create", &problems::OUTCOME_UNKNOWN);
const POST: Method = method("/lombard.ledger.v1.Ledger/Post", &problems::OUTCOME_UNKNOWN);
const VOID: Method = method("/lombard.ledger.v1.Ledger/Void", &problems::OUTCOME_UNKNOWN);
const REVERSE: Method = method("/lombard.ledger.v1.Ledger/Reverse", &problems::OUTCOME_UNKNOWN);
const BALANCE: Method =
    method("/lombard.ledger.v1.Ledger/Balance", &lombard_grpc::problems::DEADLINE_EXCEEDED);
const SESSION: Method = method("/lombard.ledger.v1.Ledger/Session", &problems::OUTCOME_UNKNOWN);
const LOOKUP: Method =
    method("/lombard.ledger.v1.Ledger/Lookup", &lombard_grpc::problems::DEADLINE_EXCEEDED);

/// All methods. Each needs a token for this role.
pub(crate) fn routes(api: Api) -> Routes {
    let api = Arc::new(api);
    let (to_create, to_session) = (api.clone(), api.clone());
    let (to_lookup, to_balance) = (api.clone(), api.clone());
    let act = |action: Action| {
        let api = api.clone();
        move |call, request| action::act(api.clone(), call, request, action)
    };
    Routes::new()
        .unary(CREATE, move |call, request| create::create(to_create.clone(), call, request))
        .unary(POST, act(Action::Post))
        .unary(VOID, act(Action::Void))
        .unary(REVERSE, act(Action::Reverse))
        .bidi(SESSION, move |call, incoming, outgoing| {
            Box::pin(session::run(to_session.clone(), call, incoming, outgoing))
        })
        .unary(LOOKUP, move |call, request| lookup::lookup(to_lookup.clone(), call, request))
        .unary(BALANCE, move |call, request| balance::balance(to_balance.clone(), call, request))
}

fn caller(call: &Call) -> Result<Caller, Problem> {
    Caller::new(Authenticated(call.claims.clone()))
}
