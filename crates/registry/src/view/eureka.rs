//! What readers of the Eureka-compatible interface are sent.

use std::collections::BTreeMap;

use lombard_registry_core::{Instance, InstanceKey, Mode, Scheme, Service, Services};
use lombard_types::{InstanceId, ServiceName, Timestamp};
use serde_json::{Value, json};

use super::{consul::CHECK_ID, recent::Recent};
use crate::eureka::profile::{PROFILE, Profile};

/// A name under which instances of one or more applications are found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vip<'a> {
    Plain(&'a str),
    Secure(&'a str),
}

/// `GET /apps`.
pub(super) fn applications(services: &Services) -> Value {
    chosen(services, |_, _| true).0
}

/// `GET /apps/delta`: what changed lately, each instance once, as it is now or as it was when it went. Clients take it over
/// what they have, compare the hash, and fetch everything where it is another.
pub(super) fn delta(services: &Services, recent: &Recent, since: Timestamp) -> Value {
    let mut changed: BTreeMap<&ServiceName, Vec<Value>> = BTreeMap::new();
    for (key, (is_new, gone)) in recent.since(since) {
        let (instance, action) = match (services.instance(key), gone) {
            (Some(instance), _) => (instance, if is_new { "ADDED" } else { "MODIFIED" }),
            (None, Some(gone)) => (gone, "DELETED"),
            (None, None) => continue,
        };
        let mut value = instance_value(&key.service, &key.instance, instance);
        if let Some(said) = value.get_mut("actionType") {
            *said = action.into();
        }
        changed.entry(&key.service).or_default().push(value);
    }
    let applications: Vec<Value> =
        changed.into_iter().map(|(name, instances)| application_value(name, instances)).collect();
    json!({ "applications": {
        "versions__delta": services.index().to_string(),
        "apps__hashcode": hash(&statuses(services)),
        "application": applications,
    } })
}

/// How many instances have which status.
fn statuses(services: &Services) -> BTreeMap<&'static str, usize> {
    let mut statuses = BTreeMap::new();
    let instances = services.iter().flat_map(|(_, service)| service.instances());
    for (_, instance) in instances {
        *statuses.entry(status(instance)).or_default() += 1;
    }
    statuses
}

/// Clients compare it with what they have.
fn hash(statuses: &BTreeMap<&'static str, usize>) -> String {
    statuses.iter().map(|(status, count)| format!("{status}_{count}_")).collect()
}

/// `GET /vips/{vip}` and `/svips/{vip}`; `None` where nobody has it.
pub(super) fn with_vip(services: &Services, vip: Vip<'_>) -> Option<Value> {
    let has_it = |name: &ServiceName, instance: &Instance| {
        let profile = Profile::of(instance);
        let (given, wanted) = match vip {
            Vip::Plain(wanted) => {
                (Some(profile.vip_address.unwrap_or_else(|| name.to_string())), wanted)
            }
            Vip::Secure(wanted) => (profile.secure_vip_address, wanted),
        };
        given.is_some_and(|given| given.split(',').any(|each| each == wanted))
    };
    let (value, count) = chosen(services, has_it);
    (count > 0).then_some(value)
}

/// `GET /apps/{app}`; `None` where there is none.
pub(super) fn application(name: &ServiceName, service: Option<&Service>) -> Option<Value> {
    let instances = service?.instances();
    let instances = instances.map(|(id, instance)| instance_value(name, id, instance)).collect();
    Some(json!({ "application": application_value(name, instances) }))
}

/// `GET /apps/{app}/{id}`; `None` where there is none.
pub(super) fn instance(services: &Services, key: &InstanceKey) -> Option<Value> {
    let found = services.instance(key)?;
    Some(json!({ "instance": instance_value(&key.service, &key.instance, found) }))
}

/// Those that are chosen, and how many.
fn chosen(
    services: &Services,
    is_chosen: impl Fn(&ServiceName, &Instance) -> bool,
) -> (Value, usize) {
    let mut statuses: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut applications = Vec::new();
    for (name, service) in services.iter() {
        let mut instances = Vec::new();
        for (id, instance) in service.instances() {
            if is_chosen(name, instance) {
                *statuses.entry(status(instance)).or_default() += 1;
                instances.push(instance_value(name, id, instance));
            }
        }
        if !instances.is_empty() {
            applications.push(application_value(name, instances));
        }
    }
    let value = json!({ "applications": {
        "versions__delta": services.index().to_string(),
        "apps__hashcode": hash(&statuses),
        "application": applications,
    } });
    (value, statuses.values().sum())
}

fn application_value(name: &ServiceName, instances: Vec<Value>) -> Value {
    json!({ "name": capitals(name), "instance": instances })
}

fn capitals(name: &ServiceName) -> String {
    name.as_str().to_ascii_uppercase()
}

fn status(instance: &Instance) -> &'static str {
    match instance.standing.mode {
        Mode::Draining | Mode::Maintenance => "OUT_OF_SERVICE",
        Mode::Serving if instance.takes_traffic() => "UP",
        Mode::Serving if instance.state() == "starting" => "STARTING",
        Mode::Serving => "DOWN",
    }
}

fn instance_value(name: &ServiceName, id: &InstanceId, instance: &Instance) -> Value {
    let profile = Profile::of(instance);
    let host = instance.address.host();
    let host = host.trim_matches(['[', ']']);
    let registered = instance.registered_at.unix_nanos() / 1_000_000;
    let ttl = instance.lease.ttl.seconds();
    let attributes = &instance.attributes;
    let metadata = attributes.metadata().filter(|(key, _)| ![PROFILE, CHECK_ID].contains(key));
    let zone = attributes.zone().map(|zone| ("zone", zone));
    let metadata: BTreeMap<&str, &str> = metadata.chain(zone).collect();
    let is_out = instance.standing.mode != Mode::Serving;
    let (is_secure, port) = (instance.address.scheme() == Scheme::Https, instance.address.port());
    let (plain, secure) = if is_secure { (80, port) } else { (port, 443) };
    let mut value = json!({
        "instanceId": id.as_str(),
        "hostName": profile.host_name.as_deref().unwrap_or(host),
        "app": capitals(name),
        "ipAddr": host,
        "status": status(instance),
        "overriddenstatus": if is_out { "OUT_OF_SERVICE" } else { "UNKNOWN" },
        "port": { "$": plain, "@enabled": (!is_secure).to_string() },
        "securePort": { "$": secure, "@enabled": is_secure.to_string() },
        "countryId": 1,
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
        },
        "leaseInfo": {
            "renewalIntervalInSecs": (ttl / 3).max(1), "durationInSecs": ttl,
            "registrationTimestamp": registered, "lastRenewalTimestamp": registered,
            "evictionTimestamp": 0, "serviceUpTimestamp": registered,
        },
        "metadata": metadata,
        "vipAddress": name.as_str(),
        "isCoordinatingDiscoveryServer": "false",
        "lastUpdatedTimestamp": registered.to_string(),
        "lastDirtyTimestamp": registered.to_string(),
        "actionType": "ADDED",
    });
    // Addresses and pages, as they came.
    let said = serde_json::to_value(&profile);
    if let (Some(value), Ok(Value::Object(said))) = (value.as_object_mut(), said) {
        value.extend(said);
    }
    value
}
