//! The call: sends what is new whenever something has changed.

use lombard_chassis::{Problem, authenticate, problems};
use lombard_grpc::{Call, Incoming, Outgoing};
use lombard_types::ServiceName;
use prost::Message;

use super::protocol::{Broken, Protocol, Received};
use crate::{
    problem,
    rest::Api,
    watch::{Topic, Waiter},
};

/// Answers until the client goes away, its token expires, or the role drains. Never before it is known what is registered:
/// a restart does not look like an empty registry.
pub(super) async fn run<P>(
    api: Api,
    call: Call,
    mut incoming: Incoming<P::Request>,
    outgoing: &mut Outgoing<P::Response>,
) -> Result<(), Option<Problem>>
where
    P: Protocol<Request: Message + Default, Response: Message>,
{
    if !call.claims.scope.permits("registry", "read", None) {
        return Err(Some(authenticate::insufficient_scope("registry:read")));
    }
    api.reach_start().await?;
    let mut session = P::new(api.config.xds.names_max);
    let mut waiter = enter(&api, &session)?;
    let expires_at = call.token_expires_at();
    // The client learns at once that it may ask.
    outgoing.flush().await.map_err(|_| None)?;
    loop {
        for response in api.view.read(|view| session.due(view)) {
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
fn enter(api: &Api, session: &impl Protocol) -> Result<Waiter, Problem> {
    let only = session.only_name().and_then(|name| name.parse::<ServiceName>().ok());
    let topic = only.map_or(Topic::Overall, Topic::Service);
    let entered = api.watches.enter(topic).map_err(problem::from_too_many_waiters);
    if entered.is_err() {
        api.count("xds", &entered);
    }
    entered
}

fn receive<P: Protocol>(api: &Api, session: &mut P, request: P::Request) -> Result<(), Problem> {
    let node = P::node(&request).to_owned();
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
