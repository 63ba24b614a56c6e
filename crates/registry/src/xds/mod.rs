//! xDS: endpoints pushed to clients of gRPC (`xds:///name`) and to Envoy, over one stream (ADS).
//!
//! - `session.rs` is the protocol, state of the world: what is subscribed to, what was sent, what was refused. Pure.
//! - `delta.rs` is the incremental one, and `protocol.rs` what both have in common.
//! - `answers.rs` makes their answers of what is registered.
//! - `resources.rs` makes what is the same for every service: a listener, its route and its cluster. Endpoints are encoded
//!   once a change, by the view.
//! - `stream.rs` is the call.
//!
//! A service that does not exist has a listener, a route, a cluster and no endpoints: clients that are not answered for a
//! name wait, and one that comes later is then found. Instances without traffic are left out, so that a client never has
//! a reason to use all of them in its panic.

mod answers;
mod delta;
mod kind;
mod protocol;
pub(crate) mod resources;
mod session;
mod stream;

use lombard_grpc::{Limits, Method, Routes};
use lombard_token::Claims;
use serde::{Deserialize, Serialize};

use self::{delta::Delta, session::Session};
use crate::rest::Api;

const STREAM: Method = Method {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    when_late: &lombard_grpc::problems::DEADLINE_EXCEEDED,
};

const DELTA: Method = Method {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    when_late: &lombard_grpc::problems::DEADLINE_EXCEEDED,
};

/// `[registry.xds]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XdsConfig {
    /// Names that one stream may ask for, of each type of resource.
    pub names_max: usize,
    /// Connections, calls, messages and times of gRPC.
    pub grpc: Limits,
}

impl Default for XdsConfig {
    fn default() -> Self {
        let grpc =
            Limits { connections_max: 10_000, message_bytes_max: 1 << 20, ..Limits::default() };
        Self { names_max: 1000, grpc }
    }
}

impl XdsConfig {
    /// Every mistake in it, one line each.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let of_grpc = self.grpc.mistakes().into_iter().map(|mistake| format!("xds.grpc.{mistake}"));
        let none = (self.names_max == 0).then(|| "xds.names_max is 0".to_owned());
        none.into_iter().chain(of_grpc).collect()
    }
}

/// The methods, for callers with a token that may read, and, unless that is switched off, for programs on this machine.
pub(crate) fn routes(api: Api) -> Routes {
    let is_open = api.config.compatibility.anonymous_reads;
    let incremental = api.clone();
    let routes = Routes::new()
        .bidi(STREAM, move |call, incoming, outgoing| {
            Box::pin(stream::run::<Session>(api.clone(), call, incoming, outgoing))
        })
        .bidi(DELTA, move |call, incoming, outgoing| {
            Box::pin(stream::run::<Delta>(incremental.clone(), call, incoming, outgoing))
        });
    if is_open { routes.with_local_caller(local_caller()) } else { routes }
}

/// Whom a program on this machine is taken for that has no token: those clients have no way to renew one.
fn local_caller() -> Claims {
    Claims {
        subject: "local".into(),
        client_id: "local".into(),
        scope: "registry:read".parse().unwrap_or_default(),
        ..Claims::default()
    }
}
