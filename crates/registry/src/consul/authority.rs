//! Who calls, on the ports that speak other protocols.
//!
//! The token is a Lombard access token for the registry, in `X-Consul-Token` or `Authorization: Bearer`. Without one,
//! programs on this machine may read, unless that is switched off: scrapers, proxies and resolvers that only read have no
//! way to renew a token that lives for minutes. Nobody writes without one.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, RequestPartsExt as _,
    extract::{ConnectInfo, FromRequestParts},
};
use http::request::Parts;
use lombard_chassis::{Context, Problem, authenticate};
use lombard_registry_core::{Evidence, Instance};
use lombard_token::{Claims, Scope, Verifier};
use lombard_types::ServiceName;

use super::answer::Refused;
use crate::rest::Api;

const FAMILY: &str = "registry";

/// May read everything. An extractor.
pub(crate) struct Reader;

impl FromRequestParts<Api> for Reader {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        match claims(parts).await? {
            Some(claims) if claims.scope.permits(FAMILY, "read", None) => Ok(Self),
            Some(_) => Err(authenticate::insufficient_scope("registry:read").into()),
            None if api.config.compatibility.anonymous_reads && is_local(parts) => Ok(Self),
            None => Err(no_token().into()),
        }
    }
}

/// Who has a token; what it permits depends on the service. An extractor.
pub(crate) struct Writer {
    claims: Arc<Claims>,
    evidence: Arc<Evidence>,
    pub(crate) peer: Option<SocketAddr>,
}

impl FromRequestParts<Api> for Writer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let claims = claims(parts).await?.ok_or_else(no_token)?;
        let client_id = claims.client_id.parse().map_err(|error| {
            authenticate::unauthenticated(format!("the token's client_id: {error}"), true)
        })?;
        let Ok(Context { request_id, traceparent }) = Context::from_request_parts(parts, api).await;
        let evidence = Evidence {
            client_id,
            subject: claims.subject.clone(),
            token_id: claims.token_id.clone(),
            request_id,
            traceparent,
        };
        let evidence = Arc::new(evidence);
        Ok(Self { claims, evidence, peer: peer(parts) })
    }
}

impl Writer {
    /// Who asks, if it may register this service.
    pub(crate) fn evidence_for(&self, service: &ServiceName) -> Result<Arc<Evidence>, Problem> {
        let is_permitted = self.claims.scope.permits(FAMILY, "register", Some(service.as_str()));
        if !is_permitted {
            let scope = authenticate::required_scope(FAMILY, "register", Some(service.as_str()));
            return Err(authenticate::insufficient_scope(&scope));
        }
        Ok(Arc::clone(&self.evidence))
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.claims.scope.iter().any(Scope::is_admin)
    }

    /// Whether it has registered the instance itself.
    pub(crate) fn has_registered(&self, instance: &Instance) -> bool {
        *instance.client_id() == self.evidence.client_id
    }
}

async fn claims(parts: &mut Parts) -> Result<Option<Arc<Claims>>, Problem> {
    let Ok(Extension(verifier)) = parts.extract::<Extension<Verifier>>().await else {
        tracing::error!("the router carries no token verifier");
        return Err(Problem::new(&lombard_chassis::problems::INTERNAL));
    };
    let of_consul = parts.headers.get("x-consul-token").and_then(|value| value.to_str().ok());
    let token = match of_consul.filter(|token| !token.is_empty()) {
        Some(token) => token,
        None if parts.headers.contains_key(http::header::AUTHORIZATION) => {
            authenticate::bearer_token(&parts.headers)?
        }
        None => return Ok(None),
    };
    let verified = verifier.verify_or_refresh(token).await;
    verified.map(Some).map_err(|error| authenticate::refusal(&error))
}

fn no_token() -> Problem {
    let detail = "send an access token in X-Consul-Token or Authorization: Bearer";
    authenticate::unauthenticated(detail, false)
}

fn peer(parts: &Parts) -> Option<SocketAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}

fn is_local(parts: &Parts) -> bool {
    peer(parts).is_some_and(|peer| peer.ip().is_loopback())
}
