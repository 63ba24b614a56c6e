//! The health checking protocol of gRPC: what `/readyz` says over HTTP. It needs no token, like that.

use std::collections::BTreeSet;

use lombard_chassis::{CancellationToken, Health, Problem, problems as common};
use lombard_proto::health::v1::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
};

use crate::{
    Incoming, Outgoing,
    routes::{Ended, Exchange},
};

pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Answers for the services of a server, which are all as healthy as the role.
#[derive(Debug)]
pub(crate) struct HealthService {
    health: Health,
    /// Their full names.
    services: BTreeSet<&'static str>,
}

impl HealthService {
    pub(crate) fn new(health: Health, paths: impl Iterator<Item = &'static str>) -> Self {
        let service = |path: &'static str| path.trim_start_matches('/').split('/').next();
        Self { health, services: paths.filter_map(service).collect() }
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(service)
    }

    fn status(&self, service: &str) -> ServingStatus {
        match self.health.is_ready() {
            _ if !self.knows(service) => ServingStatus::ServiceUnknown,
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        }
    }

    pub(crate) async fn check(&self, exchange: Exchange) -> (Ended, crate::outgoing::Sink) {
        let Exchange { body, mut sink, message_bytes_max, call_max } = exchange;
        let mut incoming = Incoming::<HealthCheckRequest>::new(body, message_bytes_max);
        let asked = tokio::time::timeout(call_max, incoming.only()).await;
        let asked =
            asked.unwrap_or_else(|_| Err(Problem::new(&crate::problems::DEADLINE_EXCEEDED)));
        let ended = match asked {
            Ok(request) if self.knows(&request.service) => {
                sink.push(&response(self.status(&request.service)));
                Ended::Well
            }
            Ok(_) => Ended::Problem(
                Problem::new(&common::NOT_FOUND).detail("there is no service of that name"),
            ),
            Err(problem) => Ended::Problem(problem),
        };
        (ended, sink)
    }

    /// Says how it stands, and each time that it changes, until the client goes away or the server stops.
    pub(crate) async fn watch(
        &self,
        exchange: Exchange,
        drain: CancellationToken,
    ) -> (Ended, crate::outgoing::Sink) {
        let Exchange { body, sink, message_bytes_max, call_max } = exchange;
        let mut incoming = Incoming::<HealthCheckRequest>::new(body, message_bytes_max);
        let mut outgoing = Outgoing::<HealthCheckResponse>::new(sink);
        let asked = tokio::time::timeout(call_max, incoming.only()).await;
        let asked =
            asked.unwrap_or_else(|_| Err(Problem::new(&crate::problems::DEADLINE_EXCEEDED)));
        let ended = match asked {
            Ok(request) => self.tell(&request.service, &mut outgoing, drain).await,
            Err(problem) => Ended::Problem(problem),
        };
        (ended, outgoing.into_sink())
    }

    async fn tell(
        &self,
        service: &str,
        outgoing: &mut Outgoing<HealthCheckResponse>,
        drain: CancellationToken,
    ) -> Ended {
        let mut changes = self.health.changes();
        let mut said = None;
        loop {
            changes.mark_unchanged();
            let status = self.status(service);
            if said.replace(status) != Some(status) {
                outgoing.push(&response(status));
                if outgoing.flush().await.is_err() {
                    return Ended::Gone;
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return Ended::Well;
                },
                () = outgoing.closed() => return Ended::Gone,
                () = drain.cancelled() => {
                    outgoing.push(&response(ServingStatus::NotServing));
                    return Ended::Problem(Problem::new(&common::STOPPING));
                }
            }
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
