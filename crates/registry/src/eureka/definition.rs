//! What a client registers, in terms of ours.

use std::time::Duration;

use lombard_chassis::{Problem, problems};
use lombard_registry_core::{Address, Attributes, Health, InstanceKey, Scheme, Ttl};
use lombard_types::ServiceName;
use serde_json::{Map, Value};

use super::{
    profile::{PROFILE, Profile},
    xml,
};
use crate::{Config, problem};

/// A registration that fits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) key: InstanceKey,
    pub(crate) address: Address,
    pub(crate) attributes: Attributes,
    pub(crate) ttl: Ttl,
    pub(crate) health: Health,
}

/// How long a lease is of which nothing is said, as in Eureka.
const DURATION: Duration = Duration::from_secs(90);

/// Reads the body of a registration of an application, in JSON.
pub(crate) fn read(app: &str, body: &[u8], config: &Config) -> Result<Definition, Problem> {
    let body = serde_json::from_slice(body)
        .map_err(|error| Problem::new(&problems::MALFORMED_JSON).detail(error.to_string()))?;
    read_value(app, &body, config)
}

/// The same in XML.
pub(crate) fn read_xml(app: &str, body: &[u8], config: &Config) -> Result<Definition, Problem> {
    read_value(app, &xml::read(body)?, config)
}

fn read_value(app: &str, body: &Value, config: &Config) -> Result<Definition, Problem> {
    let instance = body.get("instance").and_then(Value::as_object);
    let instance = instance.ok_or_else(|| invalid("instance: must be an object"))?;
    let text = |name: &str| instance.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let id = text("instanceId").or(text("hostName"));
    let id = id.ok_or_else(|| invalid("instanceId or hostName: must be there"))?;
    let key = InstanceKey {
        service: service_name(app)?,
        instance: id.parse().map_err(|error| problem::invalid_field("instanceId", error))?,
    };
    Ok(Definition {
        key,
        address: address(instance)?,
        attributes: attributes(instance, config)?,
        ttl: ttl(instance, config),
        health: text("status").map_or(Ok(Health::Passing), health)?,
    })
}

/// Applications are written in capitals.
pub(super) fn service_name(app: &str) -> Result<ServiceName, Problem> {
    app.to_ascii_lowercase().parse().map_err(|error| problem::invalid_path("app", error))
}

/// A status in the words of Eureka.
pub(super) fn health(status: &str) -> Result<Health, Problem> {
    match status {
        "UP" => Ok(Health::Passing),
        "STARTING" | "UNKNOWN" => Ok(Health::Starting),
        "DOWN" | "OUT_OF_SERVICE" => Ok(Health::Critical),
        _ => Err(invalid("status: must be UP, DOWN, STARTING, OUT_OF_SERVICE or UNKNOWN")),
    }
}

/// The address before the name: names need not mean anything to others.
fn address(instance: &Map<String, Value>) -> Result<Address, Problem> {
    let text = |name: &str| instance.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let host = text("ipAddr").or(text("hostName"));
    let host = host.ok_or_else(|| invalid("ipAddr or hostName: must be there"))?;
    let is_enabled = |port: &Value| port.get("@enabled").is_none_or(is_true);
    let plain = instance.get("port").filter(|port| is_enabled(port));
    // Clients say 443 where they have none, and that it is not enabled.
    let is_said = |port: &&Value| port.get("@enabled").is_some_and(is_true);
    let secure = instance.get("securePort").filter(is_said);
    let (scheme, port) = match (plain, secure) {
        (Some(port), _) => (Scheme::Http, port),
        (None, Some(port)) => (Scheme::Https, port),
        (None, None) => return Err(invalid("port or securePort: must be there, and enabled")),
    };
    // `{"$": 8080, "@enabled": "true"}`, or the number alone.
    let number = port.get("$").unwrap_or(port);
    let port = number.as_u64().or_else(|| number.as_str()?.parse().ok());
    let port = port.ok_or_else(|| invalid("port: must be a number"))?;
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    let host = if is_bare_v6 { format!("[{host}]") } else { host.to_owned() };
    let url = format!("{}://{host}:{port}", scheme.name());
    url.parse().map_err(|error| problem::invalid_field("ipAddr and port", error))
}

fn is_true(value: &Value) -> bool {
    value.as_bool().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn attributes(instance: &Map<String, Value>, config: &Config) -> Result<Attributes, Problem> {
    let mut metadata: Vec<(String, String)> = Vec::new();
    for (key, value) in instance.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        // How a map without entries looks in what Java's clients make of XML.
        if key == "@class" || key == PROFILE {
            continue;
        }
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        metadata.push((key.clone(), text));
    }
    let zone = instance.get("metadata").and_then(|metadata| metadata.get("zone"));
    let zone = zone.and_then(Value::as_str).map(ToOwned::to_owned);
    let profile = Profile::read(instance).to_text().map(|text| (PROFILE.to_owned(), text));
    let metadata = metadata.into_iter().chain(profile);
    Attributes::new(None, Vec::new(), metadata, config.attribute_limits())
        .and_then(|attributes| attributes.in_zone(zone))
        .map_err(|error| problem::from_attributes_error(&error))
}

/// Durations beyond the limits are brought to the nearest that is within: clients go on renewing as they meant to.
fn ttl(instance: &Map<String, Value>, config: &Config) -> Ttl {
    let duration = instance.get("leaseInfo").and_then(|lease| lease.get("durationInSecs"));
    // In XML everything is a text.
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let seconds = duration.and_then(number).unwrap_or(DURATION.as_secs());
    let seconds = seconds.clamp(config.ttl_seconds_min, config.ttl_seconds_max);
    Ttl::from_seconds(seconds).unwrap_or(Ttl::MAX)
}

pub(super) fn invalid(detail: &'static str) -> Problem {
    Problem::new(&problems::INVALID_BODY).detail(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_body(body: &Value) -> Result<Definition, String> {
        read("PAY", body.to_string().as_bytes(), &Config::default())
            .map_err(|problem| problem.detail_text().to_owned())
    }

    #[test]
    fn a_registration_in_terms_of_ours() {
        let found = read_body(&json!({ "instance": {
            "instanceId": "h:pay:1", "hostName": "h", "app": "PAY", "ipAddr": "10.0.0.1", "status": "STARTING",
            "port": { "$": "8081", "@enabled": "true" }, "vipAddress": "pay", "homePageUrl": "http://h/",
            "leaseInfo": { "durationInSecs": 9000 },
            "metadata": { "zone": "a", "n": 1, "@class": "java.util.Collections$EmptyMap" },
        } }))
        .unwrap();
        assert_eq!(found.key.to_string(), "pay/h:pay:1");
        assert_eq!(found.address.to_string(), "http://10.0.0.1:8081");
        assert_eq!((found.ttl, found.health), (Ttl::MAX, Health::Starting));
        assert_eq!(found.attributes.zone(), Some("a"));
        let metadata: Vec<_> = found.attributes.metadata().map(|(key, _)| key).collect();
        assert_eq!(metadata, [PROFILE, "n", "zone"]);
        let secure = read_body(&json!({ "instance": {
            "hostName": "h", "ipAddr": "10.0.0.1", "port": { "$": 80, "@enabled": "false" },
            "securePort": { "$": 8443, "@enabled": "true" },
        } }))
        .unwrap();
        assert_eq!(secure.address.to_string(), "https://10.0.0.1:8443");
        let bare =
            read_body(&json!({ "instance": { "hostName": "h.example", "port": 1 } })).unwrap();
        assert_eq!((bare.key.instance.as_str(), bare.ttl.seconds()), ("h.example", 90));
    }

    #[test]
    fn a_registration_in_xml_is_the_same() {
        let body = "<instance><instanceId>one</instanceId><ipAddr>10.0.0.1</ipAddr><status>UP</status>\
            <port enabled=\"false\">80</port><securePort enabled=\"true\">8443</securePort>\
            <leaseInfo><durationInSecs>30</durationInSecs></leaseInfo><metadata><zone>a</zone></metadata></instance>";
        let found = read_xml("PAY", body.as_bytes(), &Config::default()).unwrap();
        assert_eq!(found.address.to_string(), "https://10.0.0.1:8443");
        assert_eq!((found.ttl.seconds(), found.attributes.zone()), (30, Some("a")));
    }

    #[test]
    fn what_is_not_served_is_refused_in_words() {
        for (body, said) in [
            (json!({}), "instance"),
            (json!({ "instance": { "port": 1 } }), "instanceId"),
            (json!({ "instance": { "hostName": "h" } }), "port"),
            (
                json!({ "instance": { "hostName": "h", "port": { "$": 1, "@enabled": "false" } } }),
                "securePort",
            ),
            (json!({ "instance": { "hostName": "h", "port": 1, "status": "x" } }), "status"),
            (
                json!({ "instance": { "hostName": "h", "ipAddr": "169.254.1.1", "port": 1 } }),
                "link-local",
            ),
            (json!({ "instance": { "hostName": "a b", "port": 1 } }), "instanceId"),
        ] {
            let refused = read_body(&body).unwrap_err();
            assert!(refused.contains(said), "{body}: {refused}");
        }
    }
}
