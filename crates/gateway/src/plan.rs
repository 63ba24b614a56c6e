//! What happens to a request: by a configured route, or by its path where there is none.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use http::{HeaderMap, Method, header};
use lombard_chassis::{
    Problem,
    authenticate::{
        authenticate_unproved, bearer_token, insufficient_scope, refusal, unauthenticated,
    },
};
use lombard_gateway_core::{
    Access as PathAccess, Captures, NormalPath, OwnEndpoint, Priority, Route, RouteFamily, Target,
};
use lombard_token::{Algorithm, Claims, Verifier, VerifyError};
use lombard_types::Timestamp;

use crate::{
    api_key::{self, ApiKey},
    cluster::Cluster,
    problem,
    table::{Access, Policy, Table},
    worker::Worker,
};

/// Who answers.
pub(crate) enum Plan {
    /// The gateway itself.
    Own(OwnEndpoint),
    /// An upstream.
    Forward(Forwarding),
}

/// A request on its way to an upstream.
pub(crate) struct Forwarding {
    pub(crate) policy: Arc<Policy>,
    /// The path as it came, normalized: what is authorized.
    pub(crate) path: NormalPath,
    captures: Captures,
    /// Where no route is configured.
    by_path: Option<Route>,
}

/// What requests are counted as.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Family(RouteFamily),
    Route(Arc<Policy>),
}

impl Plan {
    /// The plan of a request; `None` where there is no such path.
    pub(crate) fn of(
        table: &Table,
        path: NormalPath,
        method: &Method,
        headers: &HeaderMap,
        authority: Option<&str>,
    ) -> Option<Self> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let found = table.find(host.or(authority).unwrap_or_default(), &path, method, headers);
        if let Some((policy, captures)) = found {
            return Some(Self::Forward(Forwarding { policy, path, captures, by_path: None }));
        }
        let is_safe = matches!(*method, Method::GET | Method::HEAD);
        let route = Route::of(&path, is_safe)?;
        match route.target {
            Target::Own(own) => return Some(Self::Own(own)),
            Target::Service(_) if !table.exposes_services => return None,
            Target::Service(_) | Target::Role(_) => {}
        }
        let policy = Arc::clone(&table.fallback);
        let captures = Captures::default();
        Some(Self::Forward(Forwarding { policy, path, captures, by_path: Some(route) }))
    }

    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Own(_) => Label::Family(RouteFamily::Own),
            Self::Forward(Forwarding { by_path: Some(route), .. }) => Label::Family(route.family()),
            Self::Forward(Forwarding { policy, .. }) => Label::Route(Arc::clone(policy)),
        }
    }
}

impl Forwarding {
    /// Payments are refused last: they go to the ledger.
    pub(crate) fn priority(&self) -> Priority {
        match &self.by_path {
            Some(route) if matches!(route.target, Target::Role(_)) => Priority::High,
            Some(_) => Priority::Normal,
            None => self.policy.priority,
        }
    }

    /// Whether the request may be sent, and on whose behalf.
    pub(crate) async fn authorize(
        &self,
        worker: &Worker,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<Claims>>, Problem> {
        match (&self.policy.access, &self.by_path) {
            (Access::Public, _) | (Access::ByPath, None) => Ok(None),
            (Access::ByPath, Some(route)) => by_path(worker, headers, &route.access).await,
            (Access::Token { verifiers, algorithms, scopes, details, login, api_keys }, _) => {
                let claims = match with_api_key(api_keys, headers)? {
                    Some(claims) => claims,
                    None => {
                        check_algorithm(headers, algorithms)?;
                        verify(verifiers, headers).await?
                    }
                };
                for required in scopes {
                    if !required.is_met_by(&claims.scope, &self.path, &self.captures) {
                        return Err(insufficient_scope(&required.text(&self.path, &self.captures)));
                    }
                }
                for required in details {
                    if !required.is_met_by(&claims, &self.path, &self.captures) {
                        return Err(problem::insufficient_details(required.detail_type.as_str()));
                    }
                }
                if !login.is_met_by(&claims, Timestamp::from_system_time(SystemTime::now())) {
                    return Err(problem::insufficient_user_authentication(login));
                }
                Ok(Some(claims))
            }
        }
    }

    /// The upstream that gets it.
    pub(crate) fn target(&self, worker: &Worker) -> Result<Arc<Cluster>, Problem> {
        let Some(route) = &self.by_path else {
            let targets = &self.policy.targets;
            let chosen = match &self.policy.split {
                Some(split) => targets.get(split.choose(worker.random.next())),
                None => targets.first(),
            };
            let cluster = chosen.ok_or_else(problem::not_found)?;
            if cluster.is_empty() {
                return Err(problem::no_instances(&cluster.name));
            }
            return Ok(Arc::clone(cluster));
        };
        match &route.target {
            Target::Role(role) => {
                worker.shared.endpoints.role(*role).ok_or_else(problem::not_found)
            }
            Target::Service(service) => {
                let cluster = worker.shared.endpoints.service(service);
                let cluster = cluster.filter(|cluster| !cluster.is_empty());
                cluster.ok_or_else(|| problem::no_instances(service.as_str()))
            }
            Target::Own(_) => Err(problem::not_found()),
        }
    }

    /// Whether a request may have an API key, which ends here.
    pub(crate) fn takes_api_keys(&self) -> bool {
        matches!(&self.policy.access, Access::Token { api_keys, .. } if !api_keys.is_empty())
    }

    /// The path that the upstream sees.
    pub(crate) fn path_for_upstream(&self) -> Cow<'_, str> {
        match (&self.by_path, &self.policy.rewrite) {
            (Some(route), _) => Cow::Borrowed(&route.path),
            (None, Some(rewrite)) => rewrite.apply(&self.path, &self.captures).into(),
            (None, None) => self.path.as_str().into(),
        }
    }
}

async fn by_path(
    worker: &Worker,
    headers: &HeaderMap,
    access: &PathAccess,
) -> Result<Option<Arc<Claims>>, Problem> {
    let PathAccess::Token { resource, required } = access else { return Ok(None) };
    let (verifier, is_kept) = worker.shared.verifiers.of(resource);
    let claims = authenticate_unproved(&verifier, headers).await?;
    if !is_kept {
        worker.shared.verifiers.keep(resource, verifier);
    }
    if required.is_met_by(&claims) {
        return Ok(Some(claims));
    }
    Err(insufficient_scope(&required.scope()))
}

/// Who asks, where the route takes API keys and the request has one.
fn with_api_key(
    api_keys: &[Arc<ApiKey>],
    headers: &HeaderMap,
) -> Result<Option<Arc<Claims>>, Problem> {
    if api_keys.is_empty() {
        return Ok(None);
    }
    api_key::authenticate(api_keys, headers)
}

/// Verifies a token that any of several issuers may have made.
async fn verify(verifiers: &[Verifier], headers: &HeaderMap) -> Result<Arc<Claims>, Problem> {
    let (last, others) = verifiers.split_last().ok_or_else(problem::not_found)?;
    if others.is_empty() {
        return authenticate_unproved(last, headers).await;
    }
    let token = bearer_token(headers)?;
    let mut error = VerifyError::UnknownKey;
    // First with the keys that are known, so that a token of the last issuer makes none of the others fetch.
    for verifier in verifiers {
        match verifier.inspect(token) {
            Ok(claims) => return Ok(claims),
            Err(VerifyError::UnknownKey) => {}
            Err(other) => error = other,
        }
    }
    for verifier in verifiers {
        match verifier.inspect_or_refresh(token).await {
            Ok(claims) => return Ok(claims),
            Err(VerifyError::UnknownKey) => {}
            Err(other) => error = other,
        }
    }
    Err(refusal(&error))
}

/// A verifier holds a token's `alg` to the key's own, so the header can be believed once the token is verified.
fn check_algorithm(headers: &HeaderMap, algorithms: &[Algorithm]) -> Result<(), Problem> {
    if algorithms.is_empty() {
        return Ok(());
    }
    let token = bearer_token(headers)?;
    if algorithm_of(token).is_some_and(|algorithm| algorithms.contains(&algorithm)) {
        return Ok(());
    }
    Err(unauthenticated("the access token is not signed with an algorithm of this route", true))
}

fn algorithm_of(token: &str) -> Option<Algorithm> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    Algorithm::from_name(header.get("alg")?.as_str()?)
}
