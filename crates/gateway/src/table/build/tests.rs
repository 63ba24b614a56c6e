use std::cell::RefCell;

use super::*;

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

const GOOD: &str = r#"
trusted_proxies = ["10.0.0.0/8", "::1"]

[[upstream]]
name = "old"
service = "payments"

[[upstream]]
name = "new"
addresses = ["10.0.0.7:8080", { address = "[::1]:8080", zone = "b" }]
ejected_percent_max = 34

[[upstream]]
name = "partner"
dns = "partner.example.com:8443"
dns_refresh_ms = 1000

[[route]]
name = "customer-payments"
host = "*.example.com"
prefix = "/customers/{id}/payments"
methods = ["GET", "POST"]
headers = { X-Version = "2", x-debug = "*" }
split = [{ upstream = "old", weight = 95 }, { upstream = "new", weight = 5 }]
mirror = { upstream = "partner", percent = 10 }
rewrite = "/v2/{id}"
timeout_ms = 5000
body_bytes_max = 1000
audience = "/customers"
issuers = ["platform"]
algorithms = ["ES256", "EdDSA"]
scopes = ["ledger:write:customers/{id}/*"]
authorization_details = [{ type = "account_access", members = { account = "customers/{id}" } }]
identity = "token"
retry = { tries_max = 2, statuses = [503] }
priority = "high"
limits = [
  { by = "client", requests = 100, per = "second" },
  { by = "route", quota = 1000000, per = "day" },
  { by = "address", concurrent = 10 },
]
allow = ["192.0.2.0/24"]
cors = { origins = ["https://app.example.com"], methods = ["GET"], headers = ["authorization"], credentials = true }

[[route]]
name = "books"
prefix = "/v1/ledger"
upstream = "ledger"
limits = [{ by = "client", requests = 10, burst = 5, per = "minute" }]

[[route]]
name = "public"
path = "/status"
upstream = "status-page"
auth = "none"
"#;

#[test]
fn a_whole_configuration() {
    let table = build(config(GOOD).into(), &Nowhere, None).unwrap();
    let names: Vec<&str> = table.policies.iter().map(|policy| &*policy.name).collect();
    assert_eq!(names, ["customer-payments", "books", "public"]);
    let mut clusters: Vec<&str> = table.clusters.keys().map(|name| &**name).collect();
    clusters.sort_unstable();
    assert_eq!(clusters, ["new", "old", "partner", "status-page"]);
    let policy = &table.policies[0];
    assert_eq!(
        policy.limits[0].header.as_ref().unwrap(),
        "\"customer-payments-client-1\";q=100;w=1"
    );
    assert_eq!(
        policy.limits[1].header.as_ref().unwrap(),
        "\"customer-payments-route-2\";q=1000000;w=86400"
    );
}

/// A gateway's own things: they are the same each time that they are asked for.
#[derive(Default)]
struct Lasting(RefCell<HashMap<String, Arc<Cluster>>>);

impl Surroundings for Lasting {
    fn role(&self, _: &str) -> Option<Arc<Cluster>> {
        None
    }

    fn cluster(
        &self,
        name: &str,
        source: Source,
        rules: ClusterRules,
        transport: Transport,
        fixed: &[Address],
    ) -> Arc<Cluster> {
        let key = format!("{name} {source:?} {rules:?}");
        let new = || Nowhere.cluster(name, source, rules, transport, fixed);
        Arc::clone(self.0.borrow_mut().entry(key).or_insert_with(new))
    }

    fn verifier(
        &self,
        issuer: Option<&IssuerSettings>,
        audience: &str,
    ) -> Result<Verifier, String> {
        Nowhere.verifier(issuer, audience)
    }

    fn issuer(&self) -> &str {
        Nowhere.issuer()
    }

    fn counters(&self, route: &str) -> RouteCounters {
        Nowhere.counters(route)
    }
}

const THREE: &str = r#"
[[upstream]]
name = "one"
service = "one"
[[route]]
name = "a"
prefix = "/a"
upstream = "one"
[[route]]
name = "b"
prefix = "/b"
split = [{ upstream = "one", weight = 1 }, { upstream = "two", weight = 1 }]
[[route]]
name = "c"
prefix = "/c"
upstream = "two"
mirror = { upstream = "one", percent = 1 }
"#;

/// Which routes are made anew where one text is changed for another, or what is wrong then.
#[test]
fn only_what_has_changed_is_made_anew() {
    let surroundings = Lasting::default();
    let before = build(config(THREE).into(), &surroundings, None).unwrap();
    for (old, new, expected) in [
        ("", "", Ok("")),
        ("prefix = \"/b\"", "path = \"/b\"", Ok("b")),
        ("name = \"b\"", "name = \"z\"", Ok("z")),
        ("service = \"one\"", "service = \"another\"", Ok("abc")),
        ("service = \"one\"", "service = \"one\"\nretry_percent = 7", Ok("abc")),
        ("[[upstream]]", "[[upstream]]\nname = \"two\"\ndns = \"x:1\"\n[[upstream]]", Ok("bc")),
        ("[[upstream]]", "response_timeout_ms = 7\n[[upstream]]", Ok("abc")),
        ("[[upstream]]", "request_body_bytes_max = 7\n[[upstream]]", Ok("abc")),
        // The same at another place.
        (
            "[[route]]",
            "[[route]]\nname = \"new\"\npath = \"/n\"\nupstream = \"one\"\n[[route]]",
            Ok("new"),
        ),
        ("prefix = \"/b\"", "prefix = \"/b\"\ntimeout_ms = 0", Err("timeout_ms")),
        ("service = \"one\"", "", Err("exactly one of")),
        ("name = \"b\"\nprefix = \"/b\"\n", "name = \"a\"\nprefix = \"/a\"\n", Err("another one")),
    ] {
        let text = THREE.replacen(old, new, 1);
        let made = build(config(&text).into(), &surroundings, Some(&before)).map(|table| {
            assert_eq!(table.config.route.len(), table.policies.len());
            for (rule, policy) in table.index.rules().iter().zip(&table.policies) {
                // A route that is kept is what a new one would be.
                let anew = build(config(&text).into(), &surroundings, None).unwrap();
                let names = anew.policies.iter();
                let number = names.into_iter().position(|other| other.name == policy.name).unwrap();
                assert_eq!(anew.index.rules()[number], *rule);
            }
            let is_new = |policy: &&Arc<Policy>| {
                !before.policies.iter().any(|before| Arc::ptr_eq(before, policy))
            };
            table.policies.iter().filter(is_new).map(|policy| &*policy.name).collect::<String>()
        });
        match (made, expected) {
            (Ok(made), Ok(expected)) => assert_eq!(made, expected, "{text}"),
            (Err(mistakes), Err(word)) => {
                assert!(mistakes.iter().any(|mistake| mistake.contains(word)), "{mistakes:?}");
            }
            (made, expected) => panic!("{made:?} and not {expected:?} of {text}"),
        }
    }
}

/// What a file says may be another thing though the routes are the same.
#[test]
fn what_depends_on_files_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    std::fs::write(&keys, r#"{"keys":[]}"#).unwrap();
    let surroundings = Lasting::default();
    for (issuer, of_route, is_kept) in [
        ("other", "", true),
        ("other", "issuers = [\"other\"]", false),
        // The name of the platform's own, which routes have that name none.
        ("platform", "", false),
    ] {
        let text = format!(
            "[[issuer]]\nname = \"{issuer}\"\nissuer = \"https://a\"\njwks_file = \"{}\"\n\
             [[route]]\nname = \"r\"\npath = \"/r\"\nupstream = \"one\"\n{of_route}",
            keys.display()
        );
        let before = build(config(&text).into(), &surroundings, None).unwrap();
        let after = build(config(&text).into(), &surroundings, Some(&before)).unwrap();
        let same = Arc::ptr_eq(&before.policies[0], &after.policies[0]);
        assert_eq!(same, is_kept, "{text}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let text = r#"
trusted_proxies = ["10.0.0.0/33"]

[[upstream]]
name = "ledger"
service = "payments"

[[upstream]]
name = "two"
service = "payments"
dns = "x:1"

[[upstream]]
name = "nothing"

[[upstream]]
name = "bad-address"
addresses = ["10.0.0.7"]
retry_percent = 200

[[upstream]]
name = "typo"
servise = "payments"

[[route]]
name = "Name"
path = "/a//b"
upstream = "payments"

[[route]]
name = "both"
path = "/a"
prefix = "/a"
upstream = "payments"
split = [{ upstream = "payments", weight = 1 }]

[[route]]
name = "own"
prefix = "/v1/gateway/x"
upstream = "Nobody"
methods = ["get", "CONNECT"]
timeout_ms = 0

[[route]]
name = "tokens"
prefix = "/{any}"
upstream = "payments"
issuers = ["other"]
algorithms = ["HS256"]
acr_values = ["a b"]
scopes = ["ledger:write:{id}"]
retry = { tries_max = 0, statuses = [500] }
limits = [{ by = "client", requests = 1 }]
allow = ["here"]
cors = { origins = ["*"], credentials = true }

[[route]]
name = "public"
prefix = "/public"
upstream = "two"
auth = "none"
scopes = ["a:b"]
limits = [{ by = "client", concurrent = 1 }]

[[route]]
name = "public"
prefix = "/other"
upstream = "bad-address"
colour = "red"
"#;
    let mistakes = build(config(text).into(), &Nowhere, None).unwrap_err();
    for (place, word) in [
        ("trusted_proxies", "10.0.0.0/33"),
        ("upstream ledger", "not that of a role"),
        ("upstream two", "exactly one of"),
        ("upstream nothing", "exactly one of"),
        ("upstream bad-address", "host:port"),
        ("upstream bad-address", "retry_percent"),
        ("upstream 5 (typo)", "servise"),
        ("route Name", "small letters"),
        ("route Name", "path:"),
        ("route both", "exactly one of path"),
        ("route both", "exactly one of upstream"),
        ("route own", "gateway itself"),
        ("route own", "Nobody"),
        ("route own", "methods: get"),
        ("route own", "methods: CONNECT"),
        ("route own", "timeout_ms"),
        ("route tokens", "audience"),
        ("route tokens", "HS256"),
        ("route tokens", "acr_values"),
        ("route tokens", "scopes"),
        ("route tokens", "tries_max"),
        ("route tokens", "statuses"),
        ("route tokens", "limits 1"),
        ("route tokens", "here"),
        ("route tokens", "credentials"),
        ("route public", "something is said of tokens"),
        ("route public", "by client"),
        ("route 6 (public)", "colour"),
        ("route public", "another one"),
    ] {
        let is_named = |mistake: &String| mistake.starts_with(place) && mistake.contains(word);
        assert!(mistakes.iter().any(is_named), "{place} {word}: {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 29, "{mistakes:#?}");
    assert_eq!(super::mistakes(&config(text)), mistakes);
}

#[test]
fn the_reference_is_of_this_program() {
    assert_eq!(crate::settings::reference::differences(), Vec::<String>::new());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/gateway-config.md");
    let page = crate::reference_page();
    if std::env::var_os("LOMBARD_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(stored, page, "run the test with LOMBARD_BLESS=1 and look at the difference");
}
