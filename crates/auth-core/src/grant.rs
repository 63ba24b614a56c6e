//! What a token may say: how wide, and for whom.

use lombard_token::{AuthorizationDetail, AuthorizationDetails, DetailType, Scope, ScopeSet};
use lombard_types::{AccountPath, ServiceName};

use crate::Client;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Scopes, where some are named.
    pub scope: Option<&'a ScopeSet>,
    /// Authorization details (RFC 9396), often none.
    pub authorization_details: &'a AuthorizationDetails,
    /// The parameter `resource` (RFC 8707).
    pub resource: Option<&'a str>,
}

/// Who gives the right.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// The client itself, which asks for what it may do anyway.
    Client,
    /// A person, who may do this.
    User(&'a ScopeSet),
}

/// What a grant settles on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The one resource that the token is for: a URL prefix at the gateway.
    pub audience: String,
    /// What it permits there.
    pub scope: ScopeSet,
    /// What it permits there beyond that.
    pub authorization_details: AuthorizationDetails,
}

/// Why nothing is granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The resource is none of this platform's (RFC 8707: `invalid_target`).
    #[error("the resource is not a URL prefix that this platform serves, such as {example}")]
    InvalidTarget {
        /// One that is.
        example: String,
    },
    /// The client is not registered for this scope.
    #[error("the client may not ask for {0}")]
    NotAllowed(Scope),
    /// The scope is about a person, and there is none.
    #[error("{0} is about a person, and this grant has none")]
    NobodyThere(Scope),
    /// Nothing was asked for.
    #[error("say what is asked for: scope or authorization_details")]
    NothingAsked,
    /// The person may do nothing of what is asked for.
    #[error("the person may allow nothing of what is asked for")]
    UserMayNot,
    /// A scope has no meaning at the resource.
    #[error("{scope} has no meaning at {resource}")]
    WrongResource {
        /// The scope.
        scope: Scope,
        /// The resource that was asked for.
        resource: String,
    },
    /// The scopes belong to several resources, and a token is for one.
    #[error(
        "the scopes are for several resources: name one with the parameter resource, such as {example}"
    )]
    SeveralResources {
        /// One of them.
        example: String,
    },
    /// Nothing would be permitted.
    #[error("the client is registered for nothing at this resource")]
    Nothing,
    /// The client is not registered for details of this type.
    #[error("the client may not ask for authorization details of type {0}")]
    TypeNotAllowed(DetailType),
    /// Who gives the right may not give away what the payment takes.
    #[error("{0} may not be debited on this authority")]
    DebtorNotAllowed(AccountPath),
    /// A detail is for another resource than the token.
    #[error("authorization details of type {detail_type} have no meaning at {resource}")]
    DetailAtWrongResource {
        /// The type.
        detail_type: DetailType,
        /// What the token would be for.
        resource: String,
    },
    /// Nothing says which resource the details are for.
    #[error(
        "name the resource of the authorization details, with locations or the parameter resource"
    )]
    DetailWithoutResource,
}

/// The path prefix that scopes of this family are about: a role's API, or the service of that name.
pub fn resource_of_family(family: &str) -> String {
    match family {
        "ledger" | "registry" | "auth" | "gateway" => format!("/v1/{family}"),
        "events" => "/v1/eventstore".to_owned(),
        service => format!("/{service}"),
    }
}

/// Where `admin` belongs when nothing else says it.
const ADMIN_RESOURCE: &str = "/v1/auth";

/// Settles a grant: what is requested must be within what the client is registered for, and everything must be about
/// one resource, which is the one that is named, or what the scopes and details are about (RFC 9068 section 3).
///
/// On the client's own authority, without scope and details, everything that it is registered for is requested; with
/// details alone, no scope is. On a person's authority something must be requested, and of that what the person may do is
/// granted: of `ledger:write`, a person who may write to one account grants that.
pub fn grant(
    client: &Client,
    authority: Authority<'_>,
    request: Request<'_>,
    issuer: &str,
) -> Result<Granted, GrantError> {
    let Request { scope: requested, authorization_details, resource } = request;
    let wanted = wanted(client, authority, request)?;
    authorization_details.iter().try_for_each(|detail| may_ask_for(client, authority, detail))?;
    let prefix = match resource {
        Some(resource) => prefix_of(resource, issuer)?,
        None => match authorization_details.iter().next() {
            Some(detail) => prefix_of_detail(detail, issuer)?,
            None => infer(&wanted, issuer)?,
        },
    };
    let audience = format!("{issuer}{prefix}");
    let fits =
        |scope: &Scope| scope.family().is_none_or(|family| resource_of_family(family) == prefix);
    if let Some(scope) = requested.into_iter().flat_map(ScopeSet::iter).find(|scope| !fits(scope)) {
        return Err(GrantError::WrongResource { scope: scope.clone(), resource: audience });
    }
    if let Some(detail) =
        authorization_details.iter().find(|detail| !is_at(detail, &prefix, &audience))
    {
        let detail_type = detail.detail_type();
        return Err(GrantError::DetailAtWrongResource { detail_type, resource: audience });
    }
    let permitted = match authority {
        Authority::Client => wanted,
        Authority::User(rights) => wanted.within(rights),
    };
    let scope: ScopeSet = permitted.iter().filter(|scope| fits(scope)).cloned().collect();
    if scope.is_empty() && authorization_details.is_empty() {
        return Err(match authority {
            Authority::Client => GrantError::Nothing,
            Authority::User(_) => GrantError::UserMayNot,
        });
    }
    Ok(Granted { audience, scope, authorization_details: authorization_details.clone() })
}

/// What is asked for, which the client must be registered for.
fn wanted(
    client: &Client,
    authority: Authority<'_>,
    request: Request<'_>,
) -> Result<ScopeSet, GrantError> {
    for scope in request.scope.into_iter().flat_map(ScopeSet::iter) {
        if !client.scope.iter().any(|own| own.covers(scope)) {
            return Err(GrantError::NotAllowed(scope.clone()));
        }
        if matches!(authority, Authority::Client) && scope.is_identity() {
            return Err(GrantError::NobodyThere(scope.clone()));
        }
    }
    match (request.scope, authority) {
        (Some(scope), _) => Ok(scope.clone()),
        (None, _) if !request.authorization_details.is_empty() => Ok(ScopeSet::default()),
        (None, Authority::Client) => {
            Ok(client.scope.iter().filter(|scope| !scope.is_identity()).cloned().collect())
        }
        (None, Authority::User(_)) => Err(GrantError::NothingAsked),
    }
}

/// A client may be granted details of its types only, and a payment only from an account that whoever gives the right may
/// debit anyway.
fn may_ask_for(
    client: &Client,
    authority: Authority<'_>,
    detail: &AuthorizationDetail,
) -> Result<(), GrantError> {
    let detail_type = detail.detail_type();
    if !client.authorization_details_types.contains(&detail_type) {
        return Err(GrantError::TypeNotAllowed(detail_type));
    }
    let rights = match authority {
        Authority::Client => &client.scope,
        Authority::User(rights) => rights,
    };
    match detail {
        AuthorizationDetail::Payment(payment)
            if !rights.permits("ledger", "write", Some(payment.debtor_account.as_str())) =>
        {
            Err(GrantError::DebtorNotAllowed(payment.debtor_account.clone()))
        }
        AuthorizationDetail::Payment(_) | AuthorizationDetail::Opaque(_) => Ok(()),
    }
}

/// Where a detail that comes without the parameter `resource` is for.
fn prefix_of_detail(detail: &AuthorizationDetail, issuer: &str) -> Result<String, GrantError> {
    match detail {
        AuthorizationDetail::Payment(_) => Ok(resource_of_family("ledger")),
        AuthorizationDetail::Opaque(detail) => {
            prefix_of(detail.location().ok_or(GrantError::DetailWithoutResource)?, issuer)
        }
    }
}

/// Whether a detail has a meaning at `audience`, which ends with `prefix`.
fn is_at(detail: &AuthorizationDetail, prefix: &str, audience: &str) -> bool {
    match detail {
        AuthorizationDetail::Payment(_) => prefix == resource_of_family("ledger"),
        AuthorizationDetail::Opaque(detail) => {
            detail.location().is_none_or(|location| location == audience)
        }
    }
}

/// The prefix in a `resource` parameter, which is compared as it stands.
fn prefix_of(resource: &str, issuer: &str) -> Result<String, GrantError> {
    let is_known = |prefix: &&str| match prefix.strip_prefix("/v1/") {
        Some(role) => matches!(role, "ledger" | "registry" | "auth" | "eventstore" | "gateway"),
        None => {
            prefix.strip_prefix('/').is_some_and(|service| service.parse::<ServiceName>().is_ok())
        }
    };
    resource
        .strip_prefix(issuer)
        .filter(is_known)
        .map(str::to_owned)
        .ok_or_else(|| GrantError::InvalidTarget { example: format!("{issuer}/v1/ledger") })
}

fn infer(scopes: &ScopeSet, issuer: &str) -> Result<String, GrantError> {
    let mut prefixes = scopes.iter().filter_map(Scope::family).map(resource_of_family);
    let Some(first) = prefixes.next() else {
        return Ok(ADMIN_RESOURCE.to_owned());
    };
    if prefixes.any(|prefix| prefix != first) {
        return Err(GrantError::SeveralResources { example: format!("{issuer}{first}") });
    }
    Ok(first)
}

#[cfg(test)]
mod tests;
