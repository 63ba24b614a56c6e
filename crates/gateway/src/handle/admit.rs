//! Whether a request may be sent at all: who asks, how often, and whether there is room for it.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use lombard_chassis::Problem;
use lombard_token::Claims;

use super::Exchange;
use crate::{
    body::UnderWay,
    bound, client,
    cluster::Cluster,
    deadline::Deadline,
    limits::{Caller, Permitted},
    metrics::Shed,
    plan::Forwarding,
    problem::{self, Failure},
};

/// A request that may be sent, and what counts it.
pub(super) struct Admission {
    pub(super) address: IpAddr,
    pub(super) deadline: Option<Deadline>,
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) limit_headers: Vec<(HeaderValue, HeaderValue)>,
    pub(super) under_way: UnderWay,
}

impl Exchange<'_> {
    /// Whether a request may be sent at all.
    pub(super) async fn admit(
        &self,
        forwarding: &Forwarding,
        request: &Request<Incoming>,
    ) -> Result<Admission, Problem> {
        let (worker, policy) = (self.worker, &forwarding.policy);
        let (metrics, headers) = (&worker.shared.metrics, request.headers());
        let address = client::address(self.peer.address.ip(), headers, &self.table.trusted_proxies);
        self.address.set(Some(address));
        if !policy.allow.is_empty() && !policy.allow.iter().any(|network| network.contains(address))
        {
            return Err(problem::address_not_allowed());
        }
        if worker.in_flight.get() >= forwarding.priority().limit(worker.config.in_flight_max) {
            metrics.shed(Shed::Overloaded);
            return Err(problem::overloaded());
        }
        let in_flight = metrics.begin(&worker.in_flight);
        let deadline = Deadline::of(headers, self.start)?;
        let claims = forwarding.authorize(worker, headers).await?;
        if let Some(claims) = &claims {
            let asked = (request.method(), request.uri(), headers);
            bound::check(&worker.shared.verifiers, claims, self.peer, asked)?;
        }
        self.claims.replace(claims.clone());
        let permitted = self.limit(forwarding, claims.as_deref(), address)?;
        check_length(policy.body_bytes_max, request)?;
        let cluster = forwarding.target(worker)?;
        let admitted = cluster.admit(worker.shared.endpoints.clock.now()).map_err(|reason| {
            metrics.shed(Shed::CircuitOpen);
            problem::not_admitted(&cluster.name, reason)
        })?;
        if deadline.is_some_and(|deadline| deadline.left().is_zero()) {
            return Err(Failure::DeadlineBefore.problem(&cluster.name, true));
        }
        let Permitted { running, headers: limit_headers } = permitted;
        let under_way = UnderWay { _in_flight: in_flight, _admitted: admitted, _running: running };
        Ok(Admission { address, deadline, claims, cluster, limit_headers, under_way })
    }

    fn limit(
        &self,
        forwarding: &Forwarding,
        claims: Option<&Claims>,
        address: std::net::IpAddr,
    ) -> Result<Permitted, Problem> {
        let limits = &forwarding.policy.limits;
        if limits.is_empty() {
            return Ok(Permitted::default());
        }
        let caller = Caller { client: claims.map(|claims| &*claims.client_id), address };
        self.worker.shared.limits.admit(limits, caller, &self.values).map_err(|exceeded| {
            self.worker.shared.metrics.shed(Shed::Limited);
            problem::limit_exceeded(&exceeded)
        })
    }
}

/// A body that says it is too long is refused before anything is sent.
fn check_length(bytes_max: u64, request: &Request<Incoming>) -> Result<(), Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(Failure::BodyTooLarge { bytes_max }.problem("", false));
    }
    Ok(())
}
