//! What a token may say: how wide, and for whom.

use lombard_token::{Scope, ScopeSet};
use lombard_types::ServiceName;

/// What a `client_credentials` grant settles on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The one resource that the token is for: a URL prefix at the gateway.
    pub audience: String,
    /// What it permits there.
    pub scope: ScopeSet,
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
}

/// The path prefix that scopes of this family are about: a role's API, or the service of that name.
pub fn resource_of_family(family: &str) -> String {
    match family {
        "ledger" | "registry" | "auth" => format!("/v1/{family}"),
        "events" => "/v1/eventstore".to_owned(),
        service => format!("/{service}"),
    }
}

/// Where `admin` belongs when nothing else says it.
const ADMIN_RESOURCE: &str = "/v1/auth";

/// Settles a grant: `requested` must be within `allowed`, and everything must be about one resource, which is
/// `resource` or what the scopes are about (RFC 9068 section 3).
pub fn grant(
    allowed: &ScopeSet,
    requested: Option<&ScopeSet>,
    resource: Option<&str>,
    issuer: &str,
) -> Result<Granted, GrantError> {
    if let Some(requested) = requested {
        for scope in requested.iter() {
            if !allowed.iter().any(|own| own.covers(scope)) {
                return Err(GrantError::NotAllowed(scope.clone()));
            }
        }
    }
    let wanted = requested.unwrap_or(allowed);
    let prefix = match resource {
        Some(resource) => prefix_of(resource, issuer)?,
        None => infer(wanted, issuer)?,
    };
    let fits =
        |scope: &Scope| scope.family().is_none_or(|family| resource_of_family(family) == prefix);
    if let Some(scope) = requested.into_iter().flat_map(ScopeSet::iter).find(|scope| !fits(scope)) {
        let resource = format!("{issuer}{prefix}");
        return Err(GrantError::WrongResource { scope: scope.clone(), resource });
    }
    let scope: ScopeSet = wanted.iter().filter(|scope| fits(scope)).cloned().collect();
    if scope.is_empty() {
        return Err(GrantError::Nothing);
    }
    Ok(Granted { audience: format!("{issuer}{prefix}"), scope })
}

/// The prefix in a `resource` parameter, which is compared as it stands.
fn prefix_of(resource: &str, issuer: &str) -> Result<String, GrantError> {
    let is_known = |prefix: &&str| match prefix.strip_prefix("/v1/") {
        Some(role) => matches!(role, "ledger" | "registry" | "auth" | "eventstore"),
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ISSUER: &str = "https://bank.example";

    fn ask(
        allowed: &str,
        requested: Option<&str>,
        resource: Option<&str>,
    ) -> Result<String, GrantError> {
        let requested: Option<ScopeSet> = requested.map(|text| text.parse().unwrap());
        grant(&allowed.parse().unwrap(), requested.as_ref(), resource, ISSUER)
            .map(|granted| format!("{} {}", granted.audience, granted.scope))
    }

    #[test]
    fn grants() {
        let cases = [
            ("ledger:read", None, None, "https://bank.example/v1/ledger ledger:read"),
            (
                "ledger:read ledger:write",
                Some("ledger:read"),
                None,
                "https://bank.example/v1/ledger ledger:read",
            ),
            (
                "ledger:write:a/*",
                Some("ledger:write:a/b/*"),
                None,
                "https://bank.example/v1/ledger ledger:write:a/b/*",
            ),
            (
                "events:read payments:write",
                Some("payments:write"),
                None,
                "https://bank.example/payments payments:write",
            ),
            (
                "ledger:read registry:read",
                None,
                Some("https://bank.example/v1/registry"),
                "https://bank.example/v1/registry registry:read",
            ),
            ("admin", None, None, "https://bank.example/v1/auth admin"),
            (
                "admin",
                None,
                Some("https://bank.example/v1/ledger"),
                "https://bank.example/v1/ledger admin",
            ),
            (
                "admin",
                Some("ledger:read"),
                Some("https://bank.example/v1/ledger"),
                "https://bank.example/v1/ledger ledger:read",
            ),
            ("events:read", None, None, "https://bank.example/v1/eventstore events:read"),
        ];
        for (allowed, requested, resource, expected) in cases {
            assert_eq!(ask(allowed, requested, resource).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refusals() {
        use GrantError as E;
        let several = ask("ledger:read registry:read", None, None);
        assert!(matches!(several, Err(E::SeveralResources { .. })), "{several:?}");
        let wider = ask("ledger:write:a/*", Some("ledger:write"), None);
        assert!(matches!(wider, Err(E::NotAllowed(_))), "{wider:?}");
        let admin = ask("ledger:read", Some("admin"), None);
        assert!(matches!(admin, Err(E::NotAllowed(_))), "{admin:?}");
        let wrong = ask(
            "ledger:read registry:read",
            Some("ledger:read"),
            Some("https://bank.example/v1/registry"),
        );
        assert!(matches!(wrong, Err(E::WrongResource { .. })), "{wrong:?}");
        assert_eq!(ask("ledger:read", None, Some("https://bank.example/shop")), Err(E::Nothing));
        for resource in [
            "https://bank.example",
            "https://bank.example/",
            "https://bank.example/v1/other",
            "https://bank.example/v1/ledger/",
            "https://bank.example.evil/v1/ledger",
            "https://evil.example/v1/ledger",
            "/v1/ledger",
            "",
        ] {
            let refused = ask("ledger:read admin", None, Some(resource));
            assert!(matches!(refused, Err(E::InvalidTarget { .. })), "{resource}: {refused:?}");
        }
    }

    proptest! {
        /// Whatever is asked for, nothing is granted that the client is not registered for.
        #[test]
        fn never_wider_than_allowed(
            allowed in prop::collection::vec("(admin|(ledger|shop):(read|write)(:[ab]{1,2}\\*?)?)", 1..4),
            requested in prop::option::of(prop::collection::vec("(admin|(ledger|shop):(read|write)(:[ab]{1,2}\\*?)?)", 1..4)),
            resource in prop::option::of("https://bank.example/(v1/ledger|shop)"),
        ) {
            let allowed: ScopeSet = allowed.join(" ").parse().unwrap();
            let requested: Option<ScopeSet> = requested.map(|list| list.join(" ").parse().unwrap());
            if let Ok(granted) = grant(&allowed, requested.as_ref(), resource.as_deref(), ISSUER) {
                prop_assert!(allowed.covers(&granted.scope));
                for path in ["a", "b", "ab", "ba", "abb", "bb/x"] {
                    for (family, operation) in [("ledger", "read"), ("ledger", "write"), ("shop", "write")] {
                        let is_granted = granted.scope.permits(family, operation, Some(path));
                        prop_assert!(!is_granted || allowed.permits(family, operation, Some(path)));
                    }
                }
            }
        }
    }
}
