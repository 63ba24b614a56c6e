//! Where a request goes, and what it must show.

use lombard_token::Claims;
use lombard_types::ServiceName;

use crate::NormalPath;

/// A role that the gateway forwards to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Double-entry books.
    Ledger,
    /// Reads of the books that are answered from indexes, where a process of its own answers them.
    Query,
    /// Services and their instances.
    Registry,
    /// Clients, tokens and keys.
    Auth,
    /// Streams of events.
    Eventstore,
    /// Pages for people.
    Console,
}

/// What the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnEndpoint {
    /// `/livez`
    Live,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/v1/gateway`: for operators.
    Admin,
}

/// Who answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The gateway.
    Own(OwnEndpoint),
    /// One of the platform's roles.
    Role(Role),
    /// A service of the registry.
    Service(ServiceName),
}

/// What a request must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the target authenticates by itself, or has nothing to protect.
    Public,
    /// An access token.
    Token {
        /// The resource that the token must be for, as a path; the issuer's URL goes before it.
        resource: Box<str>,
        /// What its scopes must permit.
        required: Required,
    },
}

/// What a token must permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    /// Anything of a family, by scope or by authorization details; the target checks which operation, since only it knows what a path means.
    Family(&'static str),
    /// An operation of a service.
    Operation {
        /// The service's name.
        family: ServiceName,
        /// `read` or `write`.
        operation: &'static str,
    },
}

impl Required {
    /// Whether a token with these claims permits it.
    pub fn is_met_by(&self, claims: &Claims) -> bool {
        match self {
            Self::Family(family) => claims.concerns(family),
            Self::Operation { family, operation } => {
                claims.scope.permits(family.as_str(), operation, None)
            }
        }
    }

    /// The scope to ask for, as text.
    pub fn scope(&self) -> String {
        match self {
            Self::Family(family) => format!("{family}:read"),
            Self::Operation { family, operation } => format!("{family}:{operation}"),
        }
    }
}

/// A closed set of kinds of routes, to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteFamily {
    /// `/livez`, `/readyz`, `/metrics`
    Own,
    /// A role.
    Role(Role),
    /// Any service.
    Service,
    /// No route.
    None,
}

impl RouteFamily {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Own,
        Self::Role(Role::Ledger),
        Self::Role(Role::Query),
        Self::Role(Role::Registry),
        Self::Role(Role::Auth),
        Self::Role(Role::Eventstore),
        Self::Role(Role::Console),
        Self::Service,
        Self::None,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Role(role) => role.name(),
            Self::Service => "service",
            Self::None => "none",
        }
    }
}

impl Role {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Query => "query",
            Self::Registry => "registry",
            Self::Auth => "auth",
            Self::Eventstore => "eventstore",
            Self::Console => "console",
        }
    }
}

/// What operators ask the gateway itself.
const ADMIN_PREFIX: &str = "/v1/gateway";

/// Prefix, role, and the family of scopes where a token is asked for.
const ROLE_ROUTES: [(&str, Role, Option<&str>); 7] = [
    ("/v1/ledger", Role::Ledger, Some("ledger")),
    ("/v1/registry", Role::Registry, Some("registry")),
    ("/v1/eventstore", Role::Eventstore, Some("events")),
    ("/v1/auth", Role::Auth, Some("auth")),
    // Clients get their tokens here, so they cannot have one yet.
    ("/oauth", Role::Auth, None),
    ("/.well-known", Role::Auth, None),
    // People sign in there.
    ("/console", Role::Console, None),
];

/// Below `/v1/ledger`: what the read side answers, with `*` for an account and `**` for whatever follows. A test of the
/// program holds this to the routes that the read side has.
const LEDGER_READS: [&[&str]; 15] = [
    &["accounts"],
    &["accounts", "*"],
    &["accounts", "*", "balance"],
    &["accounts", "*", "entries"],
    &["accounts", "*", "reservations"],
    &["accounts", "*", "statements"],
    &["accounts", "*", "statements", "*"],
    &["accounts", "by-path", "**"],
    &["assets"],
    &["explain", "**"],
    &["export", "**"],
    &["totals"],
    &["transfers"],
    &["transfers", "*"],
    &["trial-balance"],
];

/// Whether a path below `/v1/ledger` is one that the read side answers.
fn is_ledger_read(below: &str) -> bool {
    let segments = below.split('/').filter(|segment| !segment.is_empty());
    LEDGER_READS.iter().any(|pattern| {
        let mut segments = segments.clone();
        for expected in *pattern {
            match (*expected, segments.next()) {
                ("**", Some(_)) => return true,
                (_, None) => return false,
                // Behind it stands the path of an account, which may end in anything.
                ("*", Some("by-path")) => return false,
                ("*", Some(_)) => {}
                (name, Some(segment)) if name == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    })
}

/// Whether a path below `/v1/ledger` is about projections: they run where the reads are answered.
fn is_of_projections(below: &str) -> bool {
    below.split('/').find(|segment| !segment.is_empty()) == Some("projections")
}

/// Where a request goes, under which path, and what it must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who answers it.
    pub target: Target,
    /// What it must show.
    pub access: Access,
    /// The path that the target sees.
    pub path: Box<str>,
}

impl Route {
    /// The route of a request; `is_safe` where its method only reads (GET or HEAD). `None`: no such path.
    pub fn of(path: &NormalPath, is_safe: bool) -> Option<Self> {
        let own = match path.as_str() {
            "/livez" => Some(OwnEndpoint::Live),
            "/readyz" => Some(OwnEndpoint::Ready),
            "/metrics" => Some(OwnEndpoint::Metrics),
            _ => None,
        };
        if let Some(own) = own {
            let target = Target::Own(own);
            return Some(Self { target, access: Access::Public, path: path.as_str().into() });
        }
        if path.after(ADMIN_PREFIX).is_some() {
            let required = Required::Family("gateway");
            // The gateway's public key has nothing to protect.
            let access = match path.as_str() {
                "/v1/gateway/jwks" => Access::Public,
                _ => Access::Token { resource: ADMIN_PREFIX.into(), required },
            };
            let target = Target::Own(OwnEndpoint::Admin);
            return Some(Self { target, access, path: path.as_str().into() });
        }
        for (prefix, role, family) in ROLE_ROUTES {
            let Some(below) = path.after(prefix) else { continue };
            let role = match role {
                Role::Ledger if is_safe && is_ledger_read(below) => Role::Query,
                Role::Ledger if is_of_projections(below) => Role::Query,
                role => role,
            };
            let access = match family {
                None => Access::Public,
                Some(family) => {
                    Access::Token { resource: prefix.into(), required: Required::Family(family) }
                }
            };
            return Some(Self { target: Target::Role(role), access, path: path.as_str().into() });
        }
        Self::of_service(path, is_safe)
    }

    fn of_service(path: &NormalPath, is_safe: bool) -> Option<Self> {
        // The grammar of names leaves out what is the platform's own, so `/v1/other` is nobody's.
        let service: ServiceName = path.first_segment().parse().ok()?;
        let resource = format!("/{service}");
        let path = path.after(&resource)?.into();
        let operation = if is_safe { "read" } else { "write" };
        let required = Required::Operation { family: service.clone(), operation };
        let access = Access::Token { resource: resource.into(), required };
        Some(Self { target: Target::Service(service), access, path })
    }

    /// What it counts as.
    pub const fn family(&self) -> RouteFamily {
        match &self.target {
            Target::Own(_) => RouteFamily::Own,
            Target::Role(role) => RouteFamily::Role(*role),
            Target::Service(_) => RouteFamily::Service,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(raw: &str, is_safe: bool) -> Option<Route> {
        Route::of(&NormalPath::parse(raw).unwrap(), is_safe)
    }

    /// Target, resource, scope and path, as text; this is also the list of what is public.
    fn described(raw: &str, is_safe: bool) -> String {
        let Some(route) = route(raw, is_safe) else { return "none".to_owned() };
        let target = match &route.target {
            Target::Own(own) => format!("{own:?}"),
            Target::Role(role) => role.name().to_owned(),
            Target::Service(service) => format!("service {service}"),
        };
        let access = match &route.access {
            Access::Public => "public".to_owned(),
            Access::Token { resource, required } => format!("{resource} {}", required.scope()),
        };
        format!("{target} | {access} | {}", route.path)
    }

    #[test]
    fn routes() {
        for (raw, is_safe, expected) in [
            ("/livez", true, "Live | public | /livez"),
            ("/readyz", true, "Ready | public | /readyz"),
            ("/metrics", true, "Metrics | public | /metrics"),
            ("/v1/gateway/routes", true, "Admin | /v1/gateway gateway:read | /v1/gateway/routes"),
            ("/v1/gateway/jwks", true, "Admin | public | /v1/gateway/jwks"),
            ("/oauth/token", false, "auth | public | /oauth/token"),
            ("/.well-known/x", true, "auth | public | /.well-known/x"),
            ("/console", true, "console | public | /console"),
            ("/console/a.css", true, "console | public | /console/a.css"),
            ("/v1/ledger/x", true, "ledger | /v1/ledger ledger:read | /v1/ledger/x"),
            ("/v1/ledger/totals", true, "query | /v1/ledger ledger:read | /v1/ledger/totals"),
            ("/v1/ledger/totals", false, "ledger | /v1/ledger ledger:read | /v1/ledger/totals"),
            ("/v1/ledger/totals/x", true, "ledger | /v1/ledger ledger:read | /v1/ledger/totals/x"),
            (
                "/v1/ledger/accounts/7/balance",
                true,
                "query | /v1/ledger ledger:read | /v1/ledger/accounts/7/balance",
            ),
            (
                "/v1/ledger/accounts/by-path/balance",
                true,
                "query | /v1/ledger ledger:read | /v1/ledger/accounts/by-path/balance",
            ),
            (
                "/v1/ledger/accounts/7",
                true,
                "query | /v1/ledger ledger:read | /v1/ledger/accounts/7",
            ),
            (
                "/v1/ledger/accounts/7",
                false,
                "ledger | /v1/ledger ledger:read | /v1/ledger/accounts/7",
            ),
            (
                "/v1/ledger/transfers/7/post",
                true,
                "ledger | /v1/ledger ledger:read | /v1/ledger/transfers/7/post",
            ),
            (
                "/v1/ledger/export/hledger",
                true,
                "query | /v1/ledger ledger:read | /v1/ledger/export/hledger",
            ),
            (
                "/v1/ledger/projections/a/rebuild",
                false,
                "query | /v1/ledger ledger:read | /v1/ledger/projections/a/rebuild",
            ),
            (
                "/v1/ledger/log/records",
                true,
                "ledger | /v1/ledger ledger:read | /v1/ledger/log/records",
            ),
            ("/v1/registry", false, "registry | /v1/registry registry:read | /v1/registry"),
            ("/v1/eventstore/", true, "eventstore | /v1/eventstore events:read | /v1/eventstore/"),
            ("/v1/auth/clients", false, "auth | /v1/auth auth:read | /v1/auth/clients"),
            ("/payments/v1/x", true, "service payments | /payments payments:read | /v1/x"),
            ("/payments/v1/x", false, "service payments | /payments payments:write | /v1/x"),
            ("/payments", true, "service payments | /payments payments:read | /"),
            ("/payments/", true, "service payments | /payments payments:read | /"),
            ("/%70ayments/x", true, "service payments | /payments payments:read | /x"),
            ("/ledger/x", true, "none"),
            ("/consoles", true, "service consoles | /consoles consoles:read | /"),
            ("/", true, "none"),
            ("/v1", true, "none"),
            ("/v1/", true, "none"),
            ("/v1/other", true, "none"),
            ("/v1/ledgers", true, "none"),
            ("/livez/x", true, "none"),
            ("/metrics/x", true, "none"),
            ("/Payments/x", true, "none"),
            ("/.hidden", true, "none"),
            ("/pay_ments", true, "none"),
        ] {
            assert_eq!(described(raw, is_safe), expected, "{raw}");
        }
    }

    #[test]
    fn scopes() {
        let is_met = |raw, is_safe, scopes: &str| match route(raw, is_safe).unwrap().access {
            Access::Public => true,
            Access::Token { required, .. } => {
                let scope = scopes.parse().unwrap();
                required.is_met_by(&Claims { scope, ..Claims::default() })
            }
        };
        for (raw, is_safe, scopes, expected) in [
            ("/v1/ledger/x", false, "ledger:read", true),
            ("/v1/ledger/x", false, "ledger:write:customers/*", true),
            ("/v1/ledger/x", true, "events:read", false),
            ("/v1/ledger/x", true, "admin", true),
            ("/v1/ledger/x", true, "", false),
            ("/v1/eventstore/x", true, "events:append:a-*", true),
            ("/payments/x", true, "payments:read", true),
            ("/payments/x", false, "payments:read", false),
            ("/payments/x", false, "payments:write", true),
            ("/payments/x", true, "payments:write", false),
            ("/payments/x", true, "ledger:read", false),
            ("/payments/x", false, "admin", true),
        ] {
            assert_eq!(is_met(raw, is_safe, scopes), expected, "{raw} {is_safe} {scopes}");
        }
    }

    /// Neither by path nor by scope may a service be taken for a role.
    #[test]
    fn no_service_has_the_name_of_something_else() {
        for (prefix, _, family) in ROLE_ROUTES {
            let path = NormalPath::parse(prefix).unwrap();
            for name in [path.first_segment()].into_iter().chain(family) {
                assert!(name.parse::<ServiceName>().is_err(), "{name}");
            }
        }
        for name in ["livez", "readyz", "metrics"] {
            assert!(name.parse::<ServiceName>().is_err(), "{name}");
        }
    }
}
