//! What a caller's token permits here.
//!
//! - `registry:read` reads everything; `registry:read:payments` that service only.
//! - `registry:register:payments` registers, renews and takes out instances of that service; `registry:register` of any.
//! - `registry:suspect` says of any instance that it fails; for who sends them their traffic.
//! - `admin` permits everything, also taking out what another client registered, and maintenance.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Authenticated, Context, Path, Problem, authenticate};
use lombard_registry_core::{Evidence, InstanceKey};
use lombard_token::{Claims, Scope};
use lombard_types::{ServiceName, Timestamp};

use crate::problem;

const FAMILY: &str = "registry";
const READ: &str = "read";
const REGISTER: &str = "register";
const SUSPECT: &str = "suspect";

/// May read everything. An extractor: else the request ends with 401 or 403.
#[derive(Debug)]
pub(super) struct Reader {
    /// How long its token is good for: no watch lasts longer.
    pub(super) expires_in: Duration,
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = Authenticated::from_request_parts(parts, state).await?;
        let claims = token.require(FAMILY, READ, None)?;
        Ok(Self { expires_in: expires_in(claims) })
    }
}

/// May read the service that the path names. An extractor.
#[derive(Debug)]
pub(super) struct ServiceReader {
    pub(super) service: ServiceName,
    /// How long its token is good for.
    pub(super) expires_in: Duration,
}

impl<S: Send + Sync> FromRequestParts<S> for ServiceReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = Authenticated::from_request_parts(parts, state).await?;
        let Path(service) = Path::<String>::from_request_parts(parts, state).await?;
        let service = service_name(&service)?;
        let claims = token.require(FAMILY, READ, Some(service.as_str()))?;
        let expires_in = expires_in(claims);
        Ok(Self { service, expires_in })
    }
}

/// May register the instance that the path names. An extractor, so that it is decided before the body is read.
#[derive(Debug)]
pub(super) struct Registrant {
    pub(super) key: InstanceKey,
    /// Whether it may take out what others registered.
    pub(super) is_admin: bool,
    pub(super) evidence: Arc<Evidence>,
    /// How long its token is good for: no stream lasts longer.
    pub(super) expires_in: Duration,
}

impl<S: Send + Sync> FromRequestParts<S> for Registrant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = Authenticated::from_request_parts(parts, state).await?;
        let names = Path::<(String, String)>::from_request_parts(parts, state).await?;
        let Path((service, instance)) = names;
        let service = service_name(&service)?;
        let instance =
            instance.parse().map_err(|error| problem::invalid_path("instance", error))?;
        let claims = token.require(FAMILY, REGISTER, Some(service.as_str()))?;
        Ok(Self {
            key: InstanceKey { service, instance },
            is_admin: claims.scope.iter().any(Scope::is_admin),
            expires_in: expires_in(claims),
            evidence: evidence(claims, parts, state).await?,
        })
    }
}

/// May say of instances that they fail. An extractor.
#[derive(Debug)]
pub(super) struct Witness(pub(super) Arc<Evidence>);

impl<S: Send + Sync> FromRequestParts<S> for Witness {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = Authenticated::from_request_parts(parts, state).await?;
        let claims = token.require(FAMILY, SUSPECT, None)?;
        evidence(claims, parts, state).await.map(Self)
    }
}

async fn evidence<S: Send + Sync>(
    claims: &Claims,
    parts: &mut Parts,
    state: &S,
) -> Result<Arc<Evidence>, Problem> {
    let client_id = claims.client_id.parse().map_err(|error| {
        authenticate::unauthenticated(format!("the token's client_id: {error}"), true)
    })?;
    let Ok(Context { request_id, traceparent }) = Context::from_request_parts(parts, state).await;
    Ok(Arc::new(Evidence {
        client_id,
        subject: claims.subject.clone(),
        token_id: claims.token_id.clone(),
        request_id,
        traceparent,
    }))
}

/// May also do what only operators may. An extractor.
#[derive(Debug)]
pub(super) struct Operator(pub(super) Registrant);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let registrant = Registrant::from_request_parts(parts, state).await?;
        if !registrant.is_admin {
            return Err(authenticate::insufficient_scope("admin"));
        }
        Ok(Self(registrant))
    }
}

fn expires_in(claims: &Claims) -> Duration {
    claims.expires_at.since(Timestamp::from_system_time(SystemTime::now()))
}

fn service_name(text: &str) -> Result<ServiceName, Problem> {
    text.parse().map_err(|error| problem::invalid_path("service", error))
}
