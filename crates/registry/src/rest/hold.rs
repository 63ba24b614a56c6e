//! Leases bound to a stream: `POST .../renew` asked for with `Accept: text/event-stream`.
//!
//! The lease is renewed, and from then on ends soon after the stream breaks, as it does when the process dies. Renewals go
//! on beside it: a host that is gone breaks no stream. The stream says `lost` when the lease has ended for another reason,
//! so that an instance that is not served any more knows it.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use lombard_chassis::{Problem, event_stream};
use lombard_registry_core::{InstanceKey, Lease, LeaseId};

use super::{
    Api,
    body::LeaseBody,
    lull::{ALIVE, Lull, Turn},
};
use crate::{
    lessor::Binding,
    problem,
    watch::{Topic, Waiter},
};

struct Holder {
    api: Api,
    key: InstanceKey,
    lease: Lease,
    binding: Binding,
    waiter: Waiter,
    lull: Lull,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was said yet.
    Begun,
    Held,
    /// All was said.
    Over,
}

/// Answers until the stream or the lease ends, the token expires, or the role drains.
pub(super) async fn respond(
    api: Api,
    key: InstanceKey,
    id: LeaseId,
    expires_in: Duration,
) -> Result<Response, Problem> {
    let topic = Topic::Service(key.service.clone());
    let entered = api.watches.enter(topic).map_err(problem::from_too_many_waiters);
    api.count("hold", &entered);
    let waiter = entered?;
    let lease = api.renew(&key, id).await?;
    let binding = api.lessor.bind(id, &key).ok_or_else(problem::lease_unknown)?;
    let lull = Lull::new(&api.draining, expires_in);
    let holder = Holder { api, key, lease, binding, waiter, lull, stage: Stage::Begun };
    let events = stream::unfold(holder, |mut holder| async move {
        let event = holder.next().await?;
        Some((Ok::<_, Infallible>(event), holder))
    });
    Ok(event_stream::respond(Body::from_stream(events)))
}

impl Holder {
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Begun => {
                self.stage = Stage::Held;
                let body = serde_json::to_string(&LeaseBody::new(self.lease)).ok()?;
                return Some(format!("event: held\ndata: {body}\n\n").into());
            }
            Stage::Held => {}
            Stage::Over => return None,
        }
        loop {
            let is_known = self
                .api
                .view
                .read(|view| view.services().under_lease(&self.key, self.lease.id).is_some());
            if !is_known {
                self.binding.end();
                self.stage = Stage::Over;
                return Some(Bytes::from_static(b"event: lost\ndata: {}\n\n"));
            }
            match self.lull.end(&mut self.waiter).await {
                Turn::Changed => {}
                Turn::Quiet => return Some(Bytes::from_static(ALIVE)),
                Turn::Over => break,
            }
        }
        self.binding.end();
        None
    }
}
