use lombard_token::PaymentId;
use proptest::prelude::*;

use super::*;

const ISSUER: &str = "https://bank.example";

fn client(scope: &str, types: &[&str]) -> Client {
    Client {
        scope: scope.parse().unwrap(),
        authorization_details_types: types.iter().map(|name| name.parse().unwrap()).collect(),
        ..Client::of_secret([0; 32])
    }
}

fn ask_as(
    client: &Client,
    scope: Option<&str>,
    details: &str,
    resource: Option<&str>,
) -> Result<Granted, GrantError> {
    let scope: Option<ScopeSet> = scope.map(|text| text.parse().unwrap());
    let details = match details {
        "" => AuthorizationDetails::default(),
        text => {
            AuthorizationDetails::parse_request(text, || PaymentId::from_bytes([1; 16])).unwrap()
        }
    };
    let request = Request { scope: scope.as_ref(), authorization_details: &details, resource };
    grant(client, Authority::Client, request, ISSUER)
}

/// What a person with `rights` may allow a client that may ask for `allowed`.
fn allow(allowed: &str, rights: &str, requested: &str) -> Result<String, GrantError> {
    let scope: ScopeSet = requested.parse().unwrap();
    let request = Request {
        scope: Some(&scope).filter(|scope| !scope.is_empty()),
        authorization_details: &AuthorizationDetails::default(),
        resource: None,
    };
    let rights = rights.parse().unwrap();
    let granted = grant(&client(allowed, &[]), Authority::User(&rights), request, ISSUER)?;
    Ok(format!("{} {}", granted.audience.trim_start_matches(ISSUER), granted.scope))
}

#[test]
fn a_person_allows_no_more_than_it_may_do() {
    let app = "openid profile offline_access ledger:read ledger:write";
    for (rights, requested, granted) in [
        ("ledger:read", "ledger:read", "/v1/ledger ledger:read"),
        ("admin", "ledger:read", "/v1/ledger ledger:read"),
        ("ledger:write:a/*", "ledger:write", "/v1/ledger ledger:write:a/*"),
        (
            "ledger:write:a/* ledger:write:b",
            "ledger:write",
            "/v1/ledger ledger:write:a/* ledger:write:b",
        ),
        ("ledger:write:a/*", "ledger:write:a/b", "/v1/ledger ledger:write:a/b"),
        ("ledger:read registry:read", "ledger:read ledger:write", "/v1/ledger ledger:read"),
        ("ledger:read", "openid ledger:read", "/v1/ledger openid ledger:read"),
        ("", "openid offline_access", "/v1/auth openid offline_access"),
    ] {
        assert_eq!(allow(app, rights, requested).as_deref(), Ok(granted), "{rights} {requested}");
    }
    assert_eq!(allow(app, "ledger:read", "ledger:write"), Err(GrantError::UserMayNot));
    assert_eq!(allow(app, "admin", ""), Err(GrantError::NothingAsked));
    let not_allowed = GrantError::NotAllowed("registry:read".parse().unwrap());
    assert_eq!(allow(app, "admin", "registry:read"), Err(not_allowed));
    // A client that may ask for everything gets of one who may do little that little, where it belongs.
    assert_eq!(allow("admin", "ledger:read", "admin"), Err(GrantError::UserMayNot));
    assert_eq!(allow("admin", "auth:read", "admin").as_deref(), Ok("/v1/auth auth:read"));
    // On its own authority it gets nothing of any person's.
    let nobody = |scope: &str| GrantError::NobodyThere(scope.parse().unwrap());
    assert_eq!(ask(app, Some("openid"), None), Err(nobody("openid")));
    assert_eq!(
        ask(app, None, None).as_deref(),
        Ok("https://bank.example/v1/ledger ledger:read ledger:write")
    );
}

proptest! {
    /// Whatever is asked for: what is granted is within what the client may ask for and what the person may do.
    #[test]
    fn a_persons_grant_is_within_both(
        allowed in prop::collection::vec(0usize..7, 1..4),
        rights in prop::collection::vec(0usize..7, 0..4),
        requested in prop::collection::vec(0usize..7, 1..4),
    ) {
        const SCOPES: [&str; 7] = [
            "admin", "openid", "ledger:read", "ledger:write", "ledger:write:a/*", "ledger:write:a/b", "ledger:write:b",
        ];
        let set = |indices: &[usize]| indices.iter().map(|i| SCOPES[*i].parse().unwrap()).collect::<ScopeSet>();
        let (allowed, rights, requested) = (set(&allowed), set(&rights), set(&requested));
        let request = Request {
            scope: Some(&requested),
            authorization_details: &AuthorizationDetails::default(),
            resource: None,
        };
        let client = Client { scope: allowed.clone(), ..Client::of_secret([0; 32]) };
        if let Ok(granted) = grant(&client, Authority::User(&rights), request, ISSUER) {
            prop_assert!(allowed.covers(&granted.scope));
            for scope in granted.scope.iter() {
                prop_assert!(scope.is_identity() || rights.iter().any(|right| right.covers(scope)));
                prop_assert!(requested.iter().any(|asked| asked.covers(scope)));
            }
        }
    }
}

fn ask(
    allowed: &str,
    requested: Option<&str>,
    resource: Option<&str>,
) -> Result<String, GrantError> {
    ask_as(&client(allowed, &[]), requested, "", resource)
        .map(|granted| format!("{} {}", granted.audience, granted.scope))
}

const PAYMENT: &str = r#"{"type":"payment","amount":"5.00","asset":"EUR","debtor_account":"shop/till","creditor_account":"bank"}"#;
const STATEMENT: &str = r#"{"type":"statement","locations":["https://bank.example/reports"]}"#;

#[test]
fn details() {
    let shop =
        client("ledger:read ledger:write:shop/* reports:read", &["payment", "statement", "free"]);
    let granted = |scope, details: &str, resource| {
        let granted = ask_as(&shop, scope, details, resource);
        granted.map(|g| {
            format!("{} {} {}", g.audience, g.scope, g.authorization_details.iter().count())
        })
    };
    let ledger = "https://bank.example/v1/ledger";
    let reports = "https://bank.example/reports";
    let free = r#"{"type":"free"}"#;
    for (scope, details, resource, expected) in [
        // Details alone bring no scope with them.
        (None, format!("[{PAYMENT}]"), None, format!("{ledger}  1")),
        (None, format!("[{PAYMENT},{PAYMENT}]"), Some(ledger), format!("{ledger}  2")),
        (Some("ledger:read"), format!("[{PAYMENT}]"), None, format!("{ledger} ledger:read 1")),
        (None, format!("[{STATEMENT}]"), None, format!("{reports}  1")),
        (
            Some("reports:read"),
            format!("[{free}]"),
            Some(reports),
            format!("{reports} reports:read 1"),
        ),
    ] {
        assert_eq!(granted(scope, &details, resource), Ok(expected), "{details}");
    }
    let wrong = |scope, details: &str, resource| granted(scope, details, resource).unwrap_err();
    use GrantError as E;
    let elsewhere = PAYMENT.replace("shop/till", "customers/42");
    let error = wrong(None, &format!("[{elsewhere}]"), None);
    assert_eq!(error, E::DebtorNotAllowed("customers/42".parse().unwrap()));
    let error = wrong(None, r#"[{"type":"other"}]"#, None);
    assert_eq!(error, E::TypeNotAllowed("other".parse().unwrap()));
    assert_eq!(wrong(None, &format!("[{free}]"), None), E::DetailWithoutResource);
    for (details, resource) in [
        (format!("[{PAYMENT}]"), Some(reports)),
        (format!("[{STATEMENT}]"), Some(ledger)),
        (format!("[{PAYMENT},{STATEMENT}]"), None),
        (format!("[{STATEMENT},{PAYMENT}]"), None),
    ] {
        let error = wrong(None, &details, resource);
        assert!(matches!(error, E::DetailAtWrongResource { .. }), "{details}: {error:?}");
    }
    let error = wrong(Some("reports:read"), &format!("[{PAYMENT}]"), None);
    assert!(matches!(error, E::WrongResource { .. }), "{error:?}");
    let foreign = STATEMENT.replace("bank.example", "evil.example");
    assert!(matches!(wrong(None, &format!("[{foreign}]"), None), E::InvalidTarget { .. }));
    // Who may read may not pay.
    let reader = client("ledger:read", &["payment"]);
    let error = ask_as(&reader, None, &format!("[{PAYMENT}]"), None).unwrap_err();
    assert_eq!(error, E::DebtorNotAllowed("shop/till".parse().unwrap()));
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
    // Each part of the platform that takes tokens is something that they can be for.
    for part in ["ledger", "registry", "auth", "eventstore", "gateway"] {
        let resource = format!("https://bank.example/v1/{part}");
        let granted = ask("ledger:read admin", None, Some(&resource));
        assert!(granted.is_ok(), "{resource}: {granted:?}");
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
        let client = client(&allowed.join(" "), &[]);
        let allowed = &client.scope;
        let requested = requested.map(|list| list.join(" "));
        if let Ok(granted) = ask_as(&client, requested.as_deref(), "", resource.as_deref()) {
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
