//! The page `docs/reference/gateway-config.md`, made from what the program reads.

use serde_json::Value;

use crate::Config;

/// A key: its name, what is said of its value where it is missing, and what it means.
type Key = (&'static str, &'static str, &'static str);

const CONFIG: &[(&str, &str)] = &[
    ("workers", "Threads, each with its own connections and pools; 0: one per core, at most 4. *"),
    ("connections_max", "Connections of one worker at once; more wait in the listen queue. *"),
    (
        "request_body_bytes_max",
        "Longest body of a request, where a route does not say otherwise. *",
    ),
    ("head_bytes_max", "Bytes of a request's head. *"),
    ("headers_max", "Header lines of a request, and of a response. *"),
    ("head_timeout_ms", "How long a head may take to arrive, also on an idle connection. *"),
    ("connect_timeout_ms", "How long a connection to an upstream may take. *"),
    (
        "response_timeout_ms",
        "How long an upstream may take to begin its response, counted from the last byte it was sent. *",
    ),
    ("pool_idle_max", "Idle connections to one address that a worker keeps. *"),
    ("pool_idle_ms_max", "How long it keeps one; below the time after which upstreams close. *"),
    ("services_max", "Resources whose tokens are verified with memory of their own. *"),
    ("drain_timeout_ms", "How long requests under way may take after the drain began. *"),
    (
        "in_flight_max",
        "Requests of one worker under way at once. Those of low priority are refused from a half of it on, normal ones from four fifths. *",
    ),
    (
        "limit_entries_max",
        "Callers and routes that limits remember. Where they are more, the others share one count. *",
    ),
    (
        "limit_peers",
        "Other gateways that keep the same limits, as `host:port`: each is told what this one lets through. A name may stand for several, and for this one too. *",
    ),
    ("limit_exchange_ms", "How often they are told. *"),
    ("zone", "The zone of this gateway: instances there are preferred. *"),
    (
        "expose_services",
        "Whether every registered service can be reached under `/<name>/...` without a route.",
    ),
    (
        "trusted_proxies",
        "Networks whose `Forwarded` and `X-Forwarded-For` are believed, such as `10.0.0.0/8`.",
    ),
    (
        "security_headers",
        "Whether answers say `X-Content-Type-Options`, `X-Frame-Options` and `Referrer-Policy` where the upstream does not.",
    ),
    (
        "tls_listen",
        "Where clients connect with TLS, such as `0.0.0.0:8443`; beside the listener in clear text. *",
    ),
    ("client_auth", "Whether clients show certificates there: `none`, `optional`, `required`."),
    (
        "client_ca_file",
        "Certificates of the authorities whose client certificates are taken (PEM).",
    ),
    ("http2_streams_max", "Requests of one HTTP/2 connection under way at once. *"),
    ("tunnel_idle_ms_max", "How long nothing may move in a WebSocket. *"),
    (
        "idempotency_ms_max",
        "How long a request on a route with `idempotency = \"gateway\"` may take before its outcome counts as unknown. *",
    ),
    ("idempotency_response_bytes_max", "Longest body of a response that is kept there. *"),
    (
        "access_log",
        "Where a line of JSON for each request goes: a file, or `-` for standard output. It is opened again with each reload. *",
    ),
    (
        "audit",
        "Whether an event is appended to the stream `gateway-audit` for each request that may change something. *",
    ),
    (
        "otlp_traces_url",
        "Where spans of requests go: a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`, or with TLS `https://`. *",
    ),
    (
        "otlp_ca_file",
        "Who has signed the collector's certificate (PEM), where its URL is `https://`: such as `/etc/ssl/certs/ca-certificates.crt`. *",
    ),
    (
        "trace_percent",
        "How many of the traces that begin here are recorded; for others the caller has decided. *",
    ),
    (
        "certificate_check_ms",
        "How often the files of TLS are looked at; new ones are used without a reload.",
    ),
    (
        "certificate",
        "What clients are shown with TLS: `[[gateway.certificate]]`. The files are read with each reload, and when they have changed.",
    ),
    ("issuer", "Other authorization servers: `[[gateway.issuer]]`."),
    ("api_key", "Keys of partners that stand for tokens: `[[gateway.api_key]]`."),
    ("upstream", "Where requests can be sent: `[[gateway.upstream]]`."),
    ("route", "Which requests, where to: `[[gateway.route]]`."),
];

const UPSTREAM: &[Key] = &[
    (
        "name",
        "required",
        "What routes call it. The names of roles (`ledger`, `query`, `registry`, `auth`, `eventstore`, `console`) are taken",
    ),
    ("service", "", "A service of the registry, whose instances are told by push"),
    (
        "addresses",
        "",
        "A fixed list: `\"10.0.0.7:8080\"`, or `{ address = \"10.0.0.7:8080\", zone = \"a\" }`",
    ),
    (
        "dns",
        "",
        "`host:port`, whose addresses are looked up again and again; the last ones stay when that fails",
    ),
    ("dns_refresh_ms", "5000", "How often"),
    ("in_flight_max", "4096", "Requests under way at once; one more is refused with `overloaded`"),
    ("slow_start_ms", "10000", "For how long the share of a new instance grows"),
    (
        "spill_over_in_flight",
        "32",
        "Requests under way at an instance of the own zone from which on other zones are used",
    ),
    ("ejection_failures", "3", "Failures in a row (no answer, or 5xx) that eject an instance"),
    ("ejection_ms", "500", "For how long, the first time; doubled each time in a row"),
    ("ejection_ms_max", "30000", "The longest ejection"),
    (
        "ejected_percent_max",
        "50",
        "Most instances ejected at once, rounded down, and never all: of 2 and of 3 instances one",
    ),
    (
        "breaker_failure_percent",
        "80",
        "Failures (no answer, 502, 503, 504) of a window that open the circuit breaker",
    ),
    ("breaker_requests_min", "20", "Requests of a window below which nothing is concluded"),
    ("breaker_window_ms", "10000", "How long a window is"),
    ("breaker_open_ms", "2000", "How long nobody is let through before one request tries"),
    ("retry_percent", "20", "Retries in percent of requests, beyond the first ten"),
    ("protocol", "`\"http1\"`", "`\"http1\"`, or `\"http2\"`, which gRPC takes"),
    ("tls", "none", "TLS to its instances"),
];

const UPSTREAM_TLS: &[Key] = &[
    ("ca_file", "required", "Certificates of the authorities that are trusted (PEM)"),
    ("server_name", "the host", "The name that their certificates must have"),
    ("certificate_file", "none", "What the gateway shows of itself (mTLS), with `key_file`"),
    ("key_file", "none", "Its private key"),
];

const CERTIFICATE: &[Key] = &[
    (
        "names",
        "required",
        "Server names that it is shown for, such as `api.example.com` or `*.example.com`. The first certificate is also shown to clients that name none",
    ),
    ("certificate_file", "required", "The chain (PEM)"),
    ("key_file", "required", "The private key (PEM)"),
];

const ISSUER: &[Key] = &[
    ("name", "required", "What routes call it; `platform` is the platform's own"),
    ("issuer", "required", "The `iss` of its tokens"),
    ("jwks_file", "required", "Its public keys (RFC 7517), read at start and with each reload"),
];

const API_KEY: &[Key] = &[
    ("name", "required", "What routes call it"),
    (
        "sha256",
        "required",
        "The SHA-256 of the key, in hexadecimal digits: `lombard gateway api-key` makes both",
    ),
    (
        "client",
        "the name",
        "The client that it stands for: limits, logs and upstreams know it by that",
    ),
    ("scopes", "none", "What it permits, as a token's scope"),
    ("expires", "never", "From when on it is worth nothing, such as `2027-01-31T00:00:00Z`"),
];

const ROUTE: &[Key] = &[
    ("name", "required", "Its name in metrics and logs: small letters, digits, `-`"),
    ("host", "any", "`api.example.com`, or `*.example.com` for all below it"),
    ("path", "", "The whole path, such as `/customers/{id}`; a parameter stands for one segment"),
    (
        "prefix",
        "",
        "The beginning of the path, in whole segments. Exactly one of `path` and `prefix`",
    ),
    ("methods", "all", "Such as `[\"GET\", \"HEAD\"]`"),
    (
        "headers",
        "none",
        "Headers that a request must have: `{ x-version = \"2\" }`; `\"*\"` for any value",
    ),
    (
        "upstream",
        "",
        "Where to: an upstream of the configuration, a role, or a service of the registry",
    ),
    (
        "split",
        "",
        "Several upstreams by weight: `[{ upstream = \"a\", weight = 95 }, { upstream = \"b\", weight = 5 }]`. Exactly one of `upstream` and `split`",
    ),
    ("mirror", "none", "A copy of some requests, whose answers are thrown away"),
    (
        "rewrite",
        "the path",
        "The path for the upstream, such as `/v2/{id}`; under a prefix it stands for the prefix",
    ),
    (
        "timeout_ms",
        "`response_timeout_ms`",
        "How long the upstream may take to begin its response, all tries together",
    ),
    ("body_bytes_max", "`request_body_bytes_max`", "Longest body of a request"),
    ("auth", "`\"token\"`", "`\"token\"`, or `\"none\"` for what is public"),
    (
        "audience",
        "the first segment",
        "What tokens must be for: a path behind the platform's URL, or a URL",
    ),
    ("issuers", "`[\"platform\"]`", "Whose tokens are taken"),
    ("api_keys", "none", "Keys that are taken beside tokens, in `X-Api-Key`: their names"),
    ("algorithms", "all that are safe", "Of `ES256`, `EdDSA`, `PS256`"),
    (
        "scopes",
        "none",
        "All of them must be covered by the token; `{id}` is a parameter of the path: `ledger:write:customers/{id}/*`",
    ),
    (
        "authorization_details",
        "none",
        "Each must be in the token (RFC 9396): `{ type = \"account_access\", members = { account = \"{id}\" } }`",
    ),
    (
        "acr_values",
        "all",
        "How the person behind the token must have logged in, any of these: `[\"urn:lombard:acr:mfa\", \"urn:lombard:acr:passkey\"]`; others are asked to log in again (RFC 9470)",
    ),
    ("max_age_seconds", "any", "How long ago the person may have logged in"),
    (
        "identity",
        "`\"headers\"`",
        "`\"headers\"`: `X-Lombard-Client`, `-Subject`, `-Scope`; `\"token\"`: `X-Lombard-Identity` too, a token of the gateway's own for a minute; `\"none\"`",
    ),
    ("retry", "3 tries", "When a request is sent again"),
    (
        "priority",
        "`\"normal\"`",
        "`\"low\"`, `\"normal\"`, `\"high\"`: who is refused first when there is too much",
    ),
    ("limits", "none", "How much is let through: a list"),
    ("allow", "all", "Networks that may call, such as `10.0.0.0/8`"),
    ("cors", "none", "Which pages of other origins may call"),
    (
        "idempotency",
        "`\"upstream\"`",
        "`\"gateway\"`: requests that may change something need an `Idempotency-Key`, and are done once for each; the first response is kept in the event store and given again",
    ),
    (
        "openapi_file",
        "none",
        "An OpenAPI document (3.1, JSON) of the upstream: requests that do not fit are refused",
    ),
    (
        "server_timing",
        "false",
        "Whether answers say how long they took (`Server-Timing`): in all, and at the upstream",
    ),
];

const RETRY: &[Key] = &[
    ("tries_max", "3", "Tries in all, each at another instance where there is one; 1 for none"),
    (
        "try_timeout_ms",
        "none",
        "How long one instance may take to begin its response before another one is asked: for idempotent methods, or with an `Idempotency-Key`. Longer than any good answer takes",
    ),
    (
        "statuses",
        "none",
        "Answers of an upstream that lead to another try, of 502, 503, 504: for idempotent methods, or with an `Idempotency-Key`",
    ),
];

const MIRROR: &[Key] = &[
    ("upstream", "required", "Where the copies go"),
    (
        "percent",
        "required",
        "How many of the requests, at random. Those with a body of unknown length or over 64 KiB are not copied",
    ),
];

const LIMIT: &[Key] = &[
    (
        "by",
        "required",
        "Who is counted on their own: `\"client\"`, `\"address\"`, or `\"route\"` for all together",
    ),
    ("requests", "", "A rate (GCRA): so many `per` period, evenly"),
    ("burst", "a tenth of `requests`, at least 2", "How many of them may come at once"),
    ("quota", "", "So many in each `per` period of the calendar (UTC); kept in memory"),
    ("concurrent", "", "So many under way at once"),
    ("per", "", "`\"second\"`, `\"minute\"`, `\"hour\"`, `\"day\"`"),
];

const CORS: &[Key] = &[
    (
        "origins",
        "required",
        "Such as `https://app.example.com`; `[\"*\"]` for all, without credentials",
    ),
    ("methods", "GET, HEAD, POST", "Methods that may be used"),
    ("headers", "none", "Request headers that may be sent"),
    ("exposed_headers", "none", "Response headers that the page may read"),
    ("credentials", "false", "Whether cookies and the like may be sent"),
    ("max_age_seconds", "600", "How long browsers remember the answer"),
];

const HEAD: &str = "# Configuration of the gateway

Made from the program; `lombard gateway check FILE` says every mistake of a file. All of it stands in the table `[gateway]`
of the file that `--config` names. Upstreams, routes, issuers, keys and what is not marked with * take effect when the gateway is
told to reload (SIGHUP, or `lombard gateway reload`), without a request noticing; a file with mistakes changes nothing. What
is marked with * takes effect with the next start.

";

/// The page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## `[gateway]`\n\n| key | default | |\n|---|---|---|\n");
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    for (name, meaning) in CONFIG {
        let default = match defaults.get(*name) {
            Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
            Some(Value::Null) | None => "none".to_owned(),
            Some(value) => value.to_string(),
        };
        line(&mut page, name, &default, meaning);
    }
    for (title, keys) in [
        ("`[[gateway.upstream]]`", UPSTREAM),
        ("`tls` of an upstream", UPSTREAM_TLS),
        ("`[[gateway.certificate]]`", CERTIFICATE),
        ("`[[gateway.issuer]]`", ISSUER),
        ("`[[gateway.api_key]]`", API_KEY),
        ("`[[gateway.route]]`", ROUTE),
        ("`retry` of a route", RETRY),
        ("`mirror` of a route", MIRROR),
        ("One of the `limits` of a route", LIMIT),
        ("`cors` of a route", CORS),
    ] {
        page.push_str(&format!("\n## {title}\n\n| key | default | |\n|---|---|---|\n"));
        for (name, default, meaning) in keys {
            line(&mut page, name, default, meaning);
        }
    }
    page
}

fn line(page: &mut String, name: &str, default: &str, meaning: &str) {
    page.push_str(&format!("| `{name}` | {default} | {meaning} |\n"));
}

/// The keys that a type takes, as its reader names them.
#[cfg(test)]
fn taken<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let error = serde_json::from_value::<T>(serde_json::json!({ "?": 0 })).err();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    let list = text.split_once("expected").map(|(_, list)| list).unwrap_or_default();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the page leaves out or makes up: a list of keys, for the test.
#[cfg(test)]
pub(crate) fn differences() -> Vec<String> {
    use super::{
        ApiKeySettings, CertificateSettings, CorsSettings, IssuerSettings, LimitSettings,
        RouteSettings, UpstreamSettings, UpstreamTlsSettings,
        route::{MirrorSettings, RetrySettings},
    };

    let names = |keys: &[Key]| keys.iter().map(|key| key.0.to_owned()).collect::<Vec<_>>();
    let config: Vec<String> = CONFIG.iter().map(|key| key.0.to_owned()).collect();
    [
        (config, taken::<Config>()),
        (names(UPSTREAM), taken::<UpstreamSettings>()),
        (names(UPSTREAM_TLS), taken::<UpstreamTlsSettings>()),
        (names(CERTIFICATE), taken::<CertificateSettings>()),
        (names(ISSUER), taken::<IssuerSettings>()),
        (names(API_KEY), taken::<ApiKeySettings>()),
        (names(ROUTE), taken::<RouteSettings>()),
        (names(RETRY), taken::<RetrySettings>()),
        (names(MIRROR), taken::<MirrorSettings>()),
        (names(LIMIT), taken::<LimitSettings>()),
        (names(CORS), taken::<CorsSettings>()),
    ]
    .into_iter()
    .filter(|(said, taken)| said != taken)
    .map(|(said, taken)| format!("said {said:?}, taken {taken:?}"))
    .collect()
}
