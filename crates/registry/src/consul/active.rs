//! A check that Consul makes itself, in terms of ours.

use axum::http::Uri;
use lombard_chassis::Problem;
use lombard_registry_core::{Address, Check, Question};

use super::{definition::invalid, fields::Fields};
use crate::{ChecksConfig, problem};

/// How long an answer may take where it is not said, as in Consul.
const TIMEOUT_MS: u32 = 10_000;
/// What of Consul's is not served: it runs programs, speaks other protocols, or would have secrets stored.
const NOT_SERVED: [&str; 13] = [
    "script",
    "args",
    "dockercontainerid",
    "shell",
    "udp",
    "h2ping",
    "osservice",
    "aliasservice",
    "aliasnode",
    "body",
    "header",
    "grpcusetls",
    "tcpusetls",
];

/// `None` where it is one with a TTL. Durations beyond the limits are brought to the nearest that is within, as Consul does.
pub(super) fn read(
    fields: &Fields<'_>,
    begins_passing: bool,
    config: &ChecksConfig,
) -> Result<Option<Check>, Problem> {
    if NOT_SERVED.into_iter().any(|name| fields.is_asked_for(name)) {
        let detail = "Check: only TTL, and HTTP (GET), TCP and GRPC in clear text without headers, are served here";
        return Err(invalid(detail));
    }
    let (http, tcp, grpc) = (fields.text("http")?, fields.text("tcp")?, fields.text("grpc")?);
    let (question, at) = match (http, tcp, grpc) {
        (None, None, None) => return Ok(None),
        (Some(url), None, None) => read_http(fields, url)?,
        (None, Some(address), None) => (Question::Tcp, parse_address(address, "TCP")?),
        (None, None, Some(target)) => read_grpc(target)?,
        _ => return Err(invalid("Check: HTTP, TCP or GRPC: only one of them")),
    };
    let interval = fields.duration("interval")?;
    let interval = interval.ok_or_else(|| invalid("Check: Interval: must be there"))?;
    let millis = |duration: std::time::Duration| u32::try_from(duration.as_millis());
    let interval_ms = millis(interval).unwrap_or(u32::MAX);
    let interval_ms = interval_ms.clamp(config.interval_ms_min, config.interval_ms_max);
    let timeout = fields.duration("timeout")?.filter(|timeout| !timeout.is_zero());
    let timeout_ms = timeout.map_or(TIMEOUT_MS, |timeout| millis(timeout).unwrap_or(u32::MAX));
    let count = |name| -> Result<u8, Problem> {
        let count = fields.number(name)?.unwrap_or_default();
        Ok(u8::try_from(count.max(1)).unwrap_or(u8::MAX))
    };
    Ok(Some(Check {
        question,
        at: Some(at),
        interval_ms,
        timeout_ms: timeout_ms.clamp(1, config.timeout_ms_max),
        successes_min: count("successbeforepassing")?,
        failures_min: count("failuresbeforecritical")?,
        begins_passing,
    }))
}

fn read_http(fields: &Fields<'_>, url: &str) -> Result<(Question, Address), Problem> {
    if fields.text("method")?.is_some_and(|method| !method.eq_ignore_ascii_case("get")) {
        return Err(invalid("Check: Method: only GET is served"));
    }
    let wrong = || invalid("Check: HTTP: must be a URL such as http://10.0.0.1:8080/health");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("http") {
        return Err(invalid("Check: HTTP: checks over TLS are not served here"));
    }
    let authority = uri.authority().ok_or_else(wrong)?;
    let address = match authority.port() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|error| problem::invalid_field("HTTP", error))?;
    Ok((Question::Http { path }, parse_address(&address, "HTTP")?))
}

/// `host:port`, or `host:port/service`.
fn read_grpc(target: &str) -> Result<(Question, Address), Problem> {
    let (address, service) = target.split_once('/').unwrap_or((target, ""));
    let service = service.parse().map_err(|error| problem::invalid_field("GRPC", error))?;
    Ok((Question::Grpc { service }, parse_address(address, "GRPC")?))
}

fn parse_address(address: &str, field: &'static str) -> Result<Address, Problem> {
    format!("http://{address}").parse().map_err(|error| problem::invalid_field(field, error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fields, *};

    fn read_body(body: &Value) -> Result<Option<Check>, String> {
        let object = fields::object(body.to_string().as_bytes()).unwrap();
        read(&Fields::new(&object), false, &ChecksConfig::default())
            .map_err(|problem| problem.detail_text().to_owned())
    }

    #[test]
    fn checks_in_terms_of_ours() {
        let http = json!({ "HTTP": "http://10.0.0.1/health?a=1", "Interval": "10s", "timeout": "1s",
            "success_before_passing": 2, "FailuresBeforeCritical": 3, "Header": {}, "TLSSkipVerify": true });
        let found = read_body(&http).unwrap().unwrap();
        assert_eq!(found.question, Question::Http { path: "/health?a=1".parse().unwrap() });
        assert_eq!(found.at.unwrap().to_string(), "http://10.0.0.1:80");
        assert_eq!((found.interval_ms, found.timeout_ms), (10_000, 1000));
        assert_eq!((found.successes_min, found.failures_min), (2, 3));
        let tcp = json!({ "tcp": "db.internal:5432", "interval": "10ms", "timeout": "1h" });
        let found = read_body(&tcp).unwrap().unwrap();
        assert_eq!((found.question, found.interval_ms), (Question::Tcp, 1000));
        assert_eq!((found.timeout_ms, found.successes_min, found.failures_min), (30_000, 1, 1));
        let grpc = json!({ "GRPC": "[::1]:9000/pay.Pay", "Interval": "10s", "GRPCUseTLS": false });
        let found = read_body(&grpc).unwrap().unwrap();
        assert_eq!(found.question, Question::Grpc { service: "pay.Pay".parse().unwrap() });
        assert_eq!(found.at.unwrap().to_string(), "http://[::1]:9000");
        assert_eq!(read_body(&json!({ "TTL": "1s" })), Ok(None));
    }

    #[test]
    fn what_is_not_served_is_refused_in_words() {
        for (body, said) in [
            (json!({ "HTTP": "http://a:1/" }), "Interval"),
            (json!({ "HTTP": "https://a:1/", "Interval": "1s" }), "TLS"),
            (json!({ "HTTP": "http://169.254.169.254/", "Interval": "1s" }), "link-local"),
            (json!({ "HTTP": "http://u:p@a:1/", "Interval": "1s" }), "user"),
            (json!({ "HTTP": "/health", "Interval": "1s" }), "TLS"),
            (json!({ "HTTP": "http://a:1/", "Method": "POST", "Interval": "1s" }), "GET"),
            (json!({ "HTTP": "http://a:1/", "TCP": "a:1", "Interval": "1s" }), "only one"),
            (
                json!({ "HTTP": "http://a:1/", "Header": { "A": ["b"] }, "Interval": "1s" }),
                "headers",
            ),
            (json!({ "GRPC": "a:1", "GRPCUseTLS": true, "Interval": "1s" }), "clear text"),
            (json!({ "GRPC": "a:1/b c", "Interval": "1s" }), "gRPC"),
            (json!({ "TCP": "a", "Interval": "1s" }), "port"),
            (json!({ "Args": ["rm"], "Interval": "1s" }), "only TTL"),
        ] {
            let refused = read_body(&body).unwrap_err();
            assert!(refused.contains(said), "{body}: {refused}");
        }
    }
}
