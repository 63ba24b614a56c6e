//! Watches: what Server-Sent Events are over HTTP. A message is encoded once a change, by the view, and shared by all who
//! watch.

use bytes::BufMut as _;
use lombard_chassis::{Problem, authenticate, problems};
use lombard_grpc::{Call, Outgoing};
use lombard_proto::registry::v1::{WatchRequest, WatchResponse};
use lombard_types::ServiceName;

use crate::{problem, rest::Api, watch::Topic};

/// Answers until the client goes away, its token expires, or the role drains.
pub(super) async fn run(
    api: Api,
    call: Call,
    request: WatchRequest,
    outgoing: &mut Outgoing<WatchResponse>,
) -> Result<(), Option<Problem>> {
    let WatchRequest { service, mut seen } = request;
    let name: ServiceName =
        service.parse().map_err(|error| problem::invalid_field("service", error))?;
    if !call.claims.scope.permits("registry", "read", Some(name.as_str())) {
        let needed = format!("registry:read:{name}");
        return Err(Some(authenticate::insufficient_scope(&needed)));
    }
    api.reach_start().await?;
    let topic = Topic::Service(name.clone());
    let entered = api.watches.enter(topic.clone()).map_err(problem::from_too_many_waiters);
    api.count("watch", &entered);
    let mut waiter = entered?;
    let expires_at = call.token_expires_at();
    loop {
        let changed = api.view.read(|view| {
            let is_new = seen.is_none_or(|seen| view.has_changed_since(&topic, seen));
            is_new.then(|| view.service_message(&name))
        });
        if let Some((index, message)) = changed {
            seen = Some(index);
            let begun = outgoing.begin();
            outgoing.buffer().put_slice(&message);
            outgoing.end(begun);
        }
        // Also with nothing to say: the client learns at once that it watches.
        outgoing.flush().await?;
        tokio::select! {
            () = waiter.changed() => {}
            () = outgoing.closed() => return Err(None),
            () = api.draining.cancelled() => {
                return Err(Some(Problem::new(&problems::STOPPING)));
            }
            () = tokio::time::sleep_until(expires_at) => {
                let detail = "the token has expired: watch again";
                return Err(Some(authenticate::unauthenticated(detail, true)));
            }
        }
    }
}
