//! What the bodies of requests and the answers to writes say.

use std::{collections::BTreeMap, fmt};

use lombard_chassis::Problem;
use lombard_registry_core::{
    Address, Attributes, Health, InstanceKey, Lease, LeaseId, Note, Ttl, Weight,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

use super::check::CheckBody;
use crate::{Config, problem};

/// `PUT` of an instance.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    url: String,
    /// May be left out where there is a check: the lease is then for as long as nobody takes it back.
    ttl_seconds: Option<u64>,
    #[serde(default)]
    deregister_after_seconds: u32,
    version: Option<String>,
    zone: Option<String>,
    weight: Option<u16>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    metadata: Metadata,
    health: Option<String>,
    check: Option<CheckBody>,
}

impl Registration {
    /// Checks the members in the order in which they stand above; the first that does not fit is answered.
    pub(super) fn check(self, config: &Config) -> Result<Checked, Problem> {
        let address: Address = self.url.parse().map_err(problem::from_parse_address_error)?;
        let ttl = match (self.ttl_seconds, &self.check) {
            (Some(seconds), _) => Some(checked_ttl(seconds, config)?),
            (None, Some(_)) => None,
            (None, None) => {
                let expected = "must be there, unless there is a check";
                return Err(problem::invalid_field("ttl_seconds", expected));
            }
        };
        let deregister_after_seconds = self.deregister_after_seconds;
        if deregister_after_seconds > config.deregister_after_seconds_max {
            let expected = format!("must be at most {}", config.deregister_after_seconds_max);
            return Err(problem::invalid_field("deregister_after_seconds", expected));
        }
        let limits = config.attribute_limits();
        let attributes = Attributes::new(self.version, self.tags, self.metadata.0, limits)
            .and_then(|attributes| attributes.in_zone(self.zone))
            .map_err(|error| problem::from_attributes_error(&error))?;
        let weight = self.weight.map_or(Some(Weight::default()), Weight::new);
        let weight =
            weight.ok_or_else(|| problem::invalid_field("weight", "must be at least 1"))?;
        let check = self.check.map(|check| check.check(&address, &config.checks)).transpose()?;
        let attributes = attributes.with_weight(weight).with_check(check);
        let health = self.health.as_deref().map_or(Ok(Health::default()), parse_health)?;
        Ok(Checked { address, ttl, deregister_after_seconds, attributes, health })
    }
}

/// A registration whose members fit.
pub(super) struct Checked {
    pub(super) address: Address,
    /// `None` for ever.
    pub(super) ttl: Option<Ttl>,
    pub(super) deregister_after_seconds: u32,
    pub(super) attributes: Attributes,
    pub(super) health: Health,
}

fn checked_ttl(seconds: u64, config: &Config) -> Result<Ttl, Problem> {
    let (seconds_min, seconds_max) = (config.ttl_seconds_min, config.ttl_seconds_max);
    let ttl = Ttl::from_seconds(seconds).ok();
    ttl.filter(|_| (seconds_min..=seconds_max).contains(&seconds))
        .ok_or_else(|| problem::ttl_out_of_range(seconds, seconds_min, seconds_max))
}

/// A JSON object of texts that says no key twice.
#[derive(Default)]
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique;

        impl<'de> Visitor<'de> for Unique {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose members are strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if members.insert(key, value).is_some() {
                        return Err(A::Error::custom("metadata: a key is said twice"));
                    }
                }
                Ok(Metadata(members))
            }
        }

        deserializer.deserialize_map(Unique)
    }
}

/// `POST .../renew`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Renewal {
    lease_id: String,
}

impl Renewal {
    pub(super) fn check(&self) -> Result<LeaseId, Problem> {
        self.lease_id.parse().map_err(|error| problem::invalid_field("lease_id", error))
    }
}

/// `POST .../report`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    lease_id: String,
    health: String,
    #[serde(default)]
    note: String,
}

impl Report {
    pub(super) fn check(&self) -> Result<(LeaseId, Health, Note), Problem> {
        let lease_id =
            self.lease_id.parse().map_err(|error| problem::invalid_field("lease_id", error))?;
        Ok((lease_id, parse_health(&self.health)?, parse_note(&self.note)?))
    }
}

fn parse_health(text: &str) -> Result<Health, Problem> {
    text.parse().map_err(|error| problem::invalid_field("health", error))
}

fn parse_note(text: &str) -> Result<Note, Problem> {
    text.parse().map_err(|error| problem::invalid_field("note", error))
}

/// `POST .../drain` and `PUT .../maintenance`: why.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    #[serde(default)]
    note: String,
}

impl Why {
    pub(super) fn check(&self) -> Result<Note, Problem> {
        parse_note(&self.note)
    }
}

/// The answer to what changes how an instance stands.
#[derive(Serialize)]
pub(super) struct Stands {
    pub(super) service: String,
    pub(super) instance: String,
    /// The state that the change led to, or that an operator had led to before.
    pub(super) state: &'static str,
    /// The index of the service.
    pub(super) index: u64,
}

/// The answer to a registration.
#[derive(Serialize)]
pub(super) struct Registered {
    service: String,
    instance: String,
    url: String,
    #[serde(flatten)]
    lease: LeaseBody,
    index: u64,
}

/// A lease, to whom it is granted; also the answer to a renewal.
#[derive(Serialize)]
pub(super) struct LeaseBody {
    lease_id: String,
    /// Both absent where the lease needs not be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_after_seconds: Option<f64>,
}

/// The answer to a deregistration.
#[derive(Serialize)]
pub(super) struct Deregistered {
    pub(super) index: u64,
}

impl Registered {
    pub(super) fn new(key: &InstanceKey, address: &Address, lease: Lease, index: u64) -> Self {
        Self {
            service: key.service.to_string(),
            instance: key.instance.to_string(),
            url: address.to_string(),
            lease: LeaseBody::new(lease),
            index,
        }
    }
}

impl LeaseBody {
    /// Two renewals may be lost before the lease is.
    const RENEWALS_PER_TTL: f64 = 3.0;

    pub(super) fn new(lease: Lease) -> Self {
        let seconds = (!lease.is_permanent).then(|| lease.ttl.seconds());
        Self {
            lease_id: lease.id.to_string(),
            ttl_seconds: seconds,
            renew_after_seconds: seconds.map(|ttl| f64::from(ttl) / Self::RENEWALS_PER_TTL),
        }
    }
}
