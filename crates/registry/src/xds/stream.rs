//! The call: sends what is new whenever something has changed.

use lombard_chassis::{Problem, authenticate, problems};
use lombard_grpc::{Call, Incoming, Outgoing};
use lombard_proto::xds::{
    Any,
    discovery::{DiscoveryRequest, DiscoveryResponse},
};
use lombard_types::ServiceName;

use super::{
    kind::Kind,
    resources,
    session::{Broken, Received, Session, Wanted},
};
use crate::{
    problem,
    rest::Api,
    view::RegistryView,
    watch::{Topic, Waiter},
};

/// Answers until the client goes away, its token expires, or the role drains. Never before it is known what is registered:
/// a restart does not look like an empty registry.
pub(super) async fn run(
    api: Api,
    call: Call,
    mut incoming: Incoming<DiscoveryRequest>,
    outgoing: &mut Outgoing<DiscoveryResponse>,
) -> Result<(), Option<Problem>> {
    if !call.claims.scope.permits("registry", "read", None) {
        return Err(Some(authenticate::insufficient_scope("registry:read")));
    }
    api.reach_start().await?;
    let mut session = Session::new(api.config.xds.names_max);
    let mut waiter = enter(&api, &session)?;
    let expires_at = call.token_expires_at();
    // The client learns at once that it may ask.
    outgoing.flush().await.map_err(|_| None)?;
    loop {
        for response in api.view.read(|view| due(&mut session, view)) {
            outgoing.push(&response);
        }
        outgoing.flush().await.map_err(|_| None)?;
        tokio::select! {
            request = incoming.next() => {
                let Some(request) = request? else { return Ok(()) };
                receive(&api, &mut session, request)?;
                // Entered before the view is read again, so that no change is missed in between.
                waiter = enter(&api, &session)?;
            }
            () = waiter.changed() => {}
            () = api.draining.cancelled() => {
                return Err(Some(Problem::new(&problems::STOPPING)));
            }
            () = tokio::time::sleep_until(expires_at) => {
                let detail = "the token has expired: open the stream again";
                return Err(Some(authenticate::unauthenticated(detail, true)));
            }
        }
    }
}

/// A place among those who wait for what concerns the stream.
fn enter(api: &Api, session: &Session) -> Result<Waiter, Problem> {
    let only = session.only_name().and_then(|name| name.parse::<ServiceName>().ok());
    let topic = only.map_or(Topic::Overall, Topic::Service);
    let entered = api.watches.enter(topic).map_err(problem::from_too_many_waiters);
    if entered.is_err() {
        api.count("xds", &entered);
    }
    entered
}

fn receive(api: &Api, session: &mut Session, request: DiscoveryRequest) -> Result<(), Problem> {
    let node = request.node.as_ref().map(|node| node.id.clone()).unwrap_or_default();
    let result = match session.receive(request) {
        Ok(Received::Taken) => "ok",
        Ok(Received::Outdated) => "outdated",
        Ok(Received::Refused(reason)) => {
            tracing::warn!(node, reason, "a client has refused what it was sent");
            "refused"
        }
        Err(broken) => {
            let detail = match broken {
                Broken::UnknownType => {
                    "type_url: must be Listener, RouteConfiguration, Cluster or ClusterLoadAssignment of v3"
                }
                Broken::TooManyNames => "resource_names: are over the limit",
            };
            return Err(Problem::new(&problems::INVALID_BODY).detail(detail));
        }
    };
    api.metrics.count("xds", result);
    Ok(())
}

/// What is to be sent now, in the order in which resources refer to each other.
fn due(session: &mut Session, view: &RegistryView) -> Vec<DiscoveryResponse> {
    let mut responses = Vec::new();
    for kind in Kind::ALL {
        let Some(wanted) = session.wanted(kind) else { continue };
        let shown = shown(kind, &wanted, view);
        let Some(nonce) = session.send(kind, shown) else { continue };
        let Some(wanted) = session.wanted(kind) else { continue };
        responses.push(DiscoveryResponse {
            version_info: view.services().index().to_string(),
            resources: resources_of(kind, &wanted, view),
            type_url: kind.type_url().to_owned(),
            nonce,
        });
    }
    responses
}

/// What an answer depends on: where that is the same, so is the answer.
fn shown(kind: Kind, wanted: &Wanted<'_>, view: &RegistryView) -> Vec<u64> {
    match kind {
        Kind::Endpoints => {
            let index = |name: &String| {
                let name = name.parse::<ServiceName>().ok();
                let service = name.and_then(|name| view.services().get(&name));
                service.map_or(0, lombard_registry_core::Service::index)
            };
            wanted.names.iter().map(index).collect()
        }
        Kind::Cluster if wanted.is_all => vec![view.index_of(&Topic::Names)],
        Kind::Cluster | Kind::Listener | Kind::Route => Vec::new(),
    }
}

fn resources_of(kind: Kind, wanted: &Wanted<'_>, view: &RegistryView) -> Vec<Any> {
    let named = wanted.names.iter().filter_map(|name| name.parse::<ServiceName>().ok());
    // Listeners are for clients that ask by name; a proxy has its own.
    let all = view.services().iter().filter(|_| wanted.is_all && kind == Kind::Cluster);
    let mut names: Vec<ServiceName> = named.chain(all.map(|(name, _)| name.clone())).collect();
    names.sort_unstable();
    names.dedup();
    let resource = |name: &ServiceName| match kind {
        Kind::Cluster => resources::cluster(name.as_str()),
        Kind::Endpoints => view.xds_endpoints(name).to_vec(),
        Kind::Listener => resources::listener(name.as_str()),
        Kind::Route => resources::route(name.as_str()),
    };
    let any = |name| Any { type_url: kind.type_url().to_owned(), value: resource(name) };
    names.iter().map(any).collect()
}
