//! What a client registers: a service with its checks, in terms of ours.

use std::{net::IpAddr, time::Duration};

use lombard_chassis::{Problem, problems};
use lombard_registry_core::{Address, Attributes, Health, InstanceKey, Ttl, Weight};

use super::{active, fields::Fields};
use crate::{Config, problem, view::consul::CHECK_ID};

/// A registration that fits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) key: InstanceKey,
    pub(crate) address: Address,
    pub(crate) attributes: Attributes,
    pub(crate) check: Check,
}

/// How the instance is known to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// Until when it must be heard; `None` where it lives until it is deregistered, or a check finds it critical for long.
    pub(crate) ttl: Option<Ttl>,
    pub(crate) deregister_after: Option<Duration>,
    /// How it is from the start.
    pub(crate) health: Health,
    /// What the registry asks it.
    pub(crate) active: Option<lombard_registry_core::Check>,
}

/// Reads the body of a registration. `peer` is the address where it says none.
pub(crate) fn read(
    fields: &Fields<'_>,
    peer: Option<IpAddr>,
    config: &Config,
) -> Result<Definition, Problem> {
    let name = fields.text("name")?.ok_or_else(|| invalid("Name: must be there"))?;
    let id = fields.text("id")?.unwrap_or(name);
    let key = InstanceKey {
        service: name.parse().map_err(|error| problem::invalid_field("Name", error))?,
        instance: id.parse().map_err(|error| problem::invalid_field("ID", error))?,
    };
    let (check, check_id) = read_checks(fields, config)?;
    Ok(Definition {
        key,
        address: address(fields, peer)?,
        attributes: attributes(fields, check_id, config)?.with_check(check.active.clone()),
        check,
    })
}

/// Reads a service of the catalog, whose name is in `Service`. `host` is the address where it says none.
pub(crate) fn read_external(
    service: &Fields<'_>,
    host: Option<&str>,
    check_id: Option<&str>,
    config: &Config,
) -> Result<Definition, Problem> {
    let name = service.text("service")?.ok_or_else(|| invalid("Service.Service: must be there"))?;
    let id = service.text("id")?.unwrap_or(name);
    let key = InstanceKey {
        service: name.parse().map_err(|error| problem::invalid_field("Service.Service", error))?,
        instance: id.parse().map_err(|error| problem::invalid_field("Service.ID", error))?,
    };
    let host = service.text("address")?.or(host);
    let host = host.ok_or_else(|| invalid("Address: must be there"))?.to_owned();
    let check = Check { ttl: None, deregister_after: None, health: Health::Passing, active: None };
    Ok(Definition {
        key,
        address: address_of(host, service.number("port")?.unwrap_or_default())?,
        attributes: attributes(service, check_id, config)?,
        check,
    })
}

fn address(fields: &Fields<'_>, peer: Option<IpAddr>) -> Result<Address, Problem> {
    let host = match (fields.text("address")?, peer) {
        (Some(host), _) => host.to_owned(),
        (None, Some(peer)) => peer.to_string(),
        (None, None) => return Err(invalid("Address: must be there")),
    };
    address_of(host, fields.number("port")?.unwrap_or_default())
}

fn address_of(host: String, port: u16) -> Result<Address, Problem> {
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    let host = if is_bare_v6 { format!("[{host}]") } else { host };
    let url = format!("http://{host}:{port}");
    url.parse().map_err(|error| problem::invalid_field("Address and Port", error))
}

fn attributes(
    fields: &Fields<'_>,
    check_id: Option<&str>,
    config: &Config,
) -> Result<Attributes, Problem> {
    let mut tags = fields.texts("tags")?;
    tags.sort_unstable();
    tags.dedup();
    let metadata = fields.map("meta")?.into_iter().filter(|(key, _)| *key != CHECK_ID);
    let metadata = metadata.chain(check_id.map(|id| (CHECK_ID, id)));
    let attributes = Attributes::new(None, tags, metadata, config.attribute_limits())
        .map_err(|error| problem::from_attributes_error(&error))?;
    let weights = fields.object("weights")?;
    let weight = weights.map(|weights| weights.number("passing")).transpose()?.flatten();
    // Weight 0 means none there, as it does in their SRV records; here it is said by draining.
    let weight = weight.and_then(Weight::new).unwrap_or_default();
    Ok(attributes.with_weight(weight))
}

/// One check at most.
fn read_checks<'a>(
    fields: &Fields<'a>,
    config: &Config,
) -> Result<(Check, Option<&'a str>), Problem> {
    let mut checks = fields.objects("checks")?;
    checks.extend(fields.object("check")?);
    match checks.as_slice() {
        [] => {
            let (ttl, deregister_after, active) = (None, None, None);
            Ok((Check { ttl, deregister_after, health: Health::Passing, active }, None))
        }
        [check] => read_check(check, config),
        _ => Err(invalid("Checks: one check for each service is served")),
    }
}

/// A check by itself, and its own id.
pub(crate) fn read_check<'a>(
    fields: &Fields<'a>,
    config: &Config,
) -> Result<(Check, Option<&'a str>), Problem> {
    let status = match fields.text("status")? {
        // As Consul has it: what was never heard does not pass.
        None => Health::Critical,
        Some(status) => health(status)?,
    };
    let deregister_after = fields.duration("deregistercriticalserviceafter")?;
    let ttl = fields.duration("ttl")?;
    let check = match active::read(fields, status.can_serve(), &config.checks)? {
        Some(active) if ttl.is_none() => {
            // What the registry finds decides; the instance itself says nothing.
            let (health, active) = (Health::Passing, Some(active));
            Check { ttl: None, deregister_after, health, active }
        }
        Some(_) => return Err(invalid("Check: has a TTL or is asked for, not both")),
        None => {
            let ttl = ttl.ok_or_else(|| invalid("Check: TTL, HTTP, TCP or GRPC: must be there"))?;
            let ttl = Some(checked_ttl(ttl, config)?);
            Check { ttl, deregister_after, health: status, active: None }
        }
    };
    Ok((check, fields.text("checkid")?.or(fields.text("id")?)))
}

/// Whole seconds, at least the shortest that is allowed: a lease that lives a little longer than asked for harms nobody.
fn checked_ttl(ttl: Duration, config: &Config) -> Result<Ttl, Problem> {
    let seconds = whole_seconds(ttl).max(config.ttl_seconds_min);
    let fits = Ttl::from_seconds(seconds).ok().filter(|_| seconds <= config.ttl_seconds_max);
    fits.ok_or_else(|| {
        problem::ttl_out_of_range(seconds, config.ttl_seconds_min, config.ttl_seconds_max)
    })
}

/// Rounded up.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A status of a check.
pub(crate) fn health(status: &str) -> Result<Health, Problem> {
    match status {
        "passing" | "pass" => Ok(Health::Passing),
        "warning" | "warn" => Ok(Health::Warning),
        "critical" | "fail" => Ok(Health::Critical),
        _ => Err(invalid("Status: must be passing, warning or critical")),
    }
}

pub(crate) fn invalid(detail: &'static str) -> Problem {
    Problem::new(&problems::INVALID_BODY).detail(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fields, *};

    fn read_body(body: &Value) -> Result<Definition, String> {
        let object = fields::object(body.to_string().as_bytes()).unwrap();
        read(&Fields::new(&object), Some([127, 0, 0, 1].into()), &Config::default())
            .map_err(|problem| problem.detail_text().to_owned())
    }

    #[test]
    fn a_registration_in_terms_of_ours() {
        let found = read_body(&json!({
            "name": "pay", "ID": "pay:1", "Tags": ["b", "a", "b"], "port": 80,
            "Meta": { "Zone": "x" }, "Weights": { "Passing": 10, "Warning": 1 },
            "Check": { "TTL": "1500ms", "deregister_critical_service_after": "90s", "CheckID": "mine" },
        }))
        .unwrap();
        assert_eq!(found.key.to_string(), "pay/pay:1");
        assert_eq!(found.address.to_string(), "http://127.0.0.1:80");
        assert_eq!(found.attributes.tags().collect::<Vec<_>>(), ["a", "b"]);
        let metadata: Vec<_> = found.attributes.metadata().collect();
        assert_eq!(metadata, [("Zone", "x"), (CHECK_ID, "mine")]);
        assert_eq!(found.attributes.weight().get(), 10);
        let check = Check {
            ttl: Ttl::from_seconds(2).ok(),
            deregister_after: Some(Duration::from_secs(90)),
            health: Health::Critical,
            active: None,
        };
        assert_eq!(found.check, check);
        let bare = read_body(&json!({ "Name": "pay", "Port": 1, "Address": "::1" })).unwrap();
        assert_eq!(bare.address.to_string(), "http://[::1]:1");
        assert_eq!((bare.key.instance.as_str(), bare.check.ttl), ("pay", None));
    }

    #[test]
    fn what_is_not_served_is_refused_in_words() {
        for (body, said) in [
            (json!({}), "Name"),
            (json!({ "Name": "Pay", "Port": 1 }), "Name"),
            (json!({ "Name": "pay" }), "port"),
            (json!({ "Name": "pay", "Port": 1, "Check": {} }), "TTL"),
            (json!({ "Name": "pay", "Port": 1, "Check": { "Script": "rm" } }), "only TTL"),
            (json!({ "Name": "pay", "Port": 1, "Check": { "TTL": "2h" } }), "ttl_seconds"),
            (
                json!({ "Name": "pay", "Port": 1, "Check": { "TTL": "1s", "Status": "x" } }),
                "Status",
            ),
            (
                json!({ "Name": "pay", "Port": 1, "Checks": [{ "TTL": "1s" }, { "TTL": "1s" }] }),
                "one",
            ),
            (json!({ "Name": "pay", "Port": 1, "Tags": ["a b"] }), "tags"),
        ] {
            let refused = read_body(&body).unwrap_err();
            assert!(refused.contains(said), "{body}: {refused}");
        }
    }
}
