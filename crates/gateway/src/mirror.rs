//! Copies of requests, whose answers are thrown away: a new version sees real traffic, and nobody waits for it.

use std::{cell::Cell, rc::Rc, sync::Arc};

use http::Request;
use http_body_util::BodyExt as _;

use crate::{body::RequestBody, cluster::Cluster, forward, worker::Worker};

/// Copies of one worker under way at once; more are left out.
const COUNT_MAX: usize = 64;

/// Sends a copy, if there is room for it. The answer is read to its end and forgotten.
pub(crate) fn send(worker: &Rc<Worker>, target: &Arc<Cluster>, request: Request<RequestBody>) {
    let Some(place) = Place::take(&worker.mirrored) else { return };
    let (worker, target) = (Rc::clone(worker), Arc::clone(target));
    tokio::task::spawn_local(async move {
        let rules = forward::Rules {
            tries_max: 1,
            statuses: &[],
            timeout: worker.config.response_timeout(),
            try_timeout: None,
            body_bytes_max: worker.config.request_body_bytes_max,
            deadline: None,
            can_repeat: false,
        };
        let sent = Box::pin(forward::forward(&worker, &target, request, &rules, None)).await;
        match sent {
            Ok(response) => {
                let mut body = response.into_body();
                while let Some(Ok(_)) = body.frame().await {}
            }
            Err(failure) => {
                tracing::debug!(upstream = &*target.name, ?failure, "a copy was not answered");
            }
        }
        drop(place);
    });
}

/// One of the copies under way.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(taken: &Rc<Cell<usize>>) -> Option<Self> {
        if taken.get() >= COUNT_MAX {
            return None;
        }
        taken.set(taken.get() + 1);
        Some(Self(Rc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
