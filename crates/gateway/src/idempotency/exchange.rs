//! A request that is done once: from the claim of its key to what is kept of its answer, also when the client goes away in
//! between. What was begun is never left half done by somebody who does not wait.

use std::{rc::Rc, sync::Arc};

use http::{Request, Response};
use lombard_chassis::Problem;
use lombard_gateway_core::RequestDigest;

use super::{Start, start};
use crate::{
    body::{RequestBody, ResponseBody, UnderWay},
    cluster::Cluster,
    deadline::Deadline,
    forward::{Rules, forward},
    problem::Failure,
    table::Policy,
    worker::Worker,
};

/// What is needed for it.
pub(crate) struct Once {
    pub(crate) client: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) digest: RequestDigest,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) deadline: Option<Deadline>,
}

/// What became of it.
pub(crate) enum Done {
    /// It was done before.
    Replayed(Response<ResponseBody>),
    /// It was sent now.
    Sent(Result<Response<ResponseBody>, Failure>),
}

impl Once {
    /// Does it, in a task of its own.
    pub(crate) async fn run(
        self,
        worker: &Rc<Worker>,
        request: Request<RequestBody>,
        under_way: UnderWay,
    ) -> Result<Done, Problem> {
        let own = Rc::clone(worker);
        let task = worker.tasks.spawn_local(async move {
            Box::pin(self.run_to_the_end(&own, request, under_way)).await
        });
        task.await.unwrap_or(Ok(Done::Sent(Err(Failure::Broken))))
    }

    async fn run_to_the_end(
        self,
        worker: &Rc<Worker>,
        request: Request<RequestBody>,
        under_way: UnderWay,
    ) -> Result<Done, Problem> {
        let Self { client, key, digest, cluster, policy, deadline } = self;
        let claim = match start(worker, (&policy.name, &client, &key), &digest).await? {
            Start::Replay(response) => return Ok(Done::Replayed(*response)),
            Start::Begin(claim) => claim,
        };
        let rules = Rules {
            tries_max: policy.retry.tries_max,
            statuses: &[],
            timeout: policy.timeout,
            try_timeout: policy.retry.try_timeout,
            body_bytes_max: policy.body_bytes_max,
            deadline,
            can_repeat: request.method().is_idempotent(),
        };
        let sent = Box::pin(forward(worker, &cluster, request, &rules, Some(under_way))).await;
        Ok(Done::Sent(claim.finish(worker, sent).await))
    }
}
