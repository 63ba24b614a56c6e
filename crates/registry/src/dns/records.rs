//! Records of instances.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::rr::{
    Name, RData, Record,
    rdata::{A, AAAA, CNAME, SRV},
};
use lombard_registry_core::{Instance, Service};

use super::{
    order::{self, Dice},
    question::digits,
};

/// The priority of all: who is preferred is said by weights, and who is no choice is left out.
const PRIORITY: u16 = 1;

/// Which records of an address are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Families {
    pub(super) v4: bool,
    pub(super) v6: bool,
}

impl Families {
    const fn want(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// Those of a service with this tag that take traffic, shuffled. `None` where none has the tag, whether it takes traffic
/// or not: then the name does not exist.
pub(super) fn choose<'a>(
    service: &'a Service,
    tag: Option<&str>,
    dice: &mut Dice,
) -> Option<Vec<&'a Instance>> {
    let has_tag = |instance: &Instance| {
        tag.is_none_or(|tag| instance.attributes.tags().any(|each| each.eq_ignore_ascii_case(tag)))
    };
    let tagged: Vec<&Instance> =
        service.instances().map(|(_, instance)| instance).filter(|each| has_tag(each)).collect();
    if tagged.is_empty() {
        return None;
    }
    let mut chosen: Vec<&Instance> =
        tagged.into_iter().filter(|instance| instance.takes_traffic()).collect();
    order::shuffle(&mut chosen, dice, |instance| instance.attributes.weight().get());
    Some(chosen)
}

/// How long an answer about these may be kept.
pub(super) fn ttl(chosen: &[&Instance], ttl_max: u32) -> u32 {
    let leases = chosen.iter().map(|instance| u32::from(instance.lease.ttl.seconds()));
    leases.min().map_or(ttl_max, |lease| lease.min(ttl_max))
}

/// The addresses of instances, each once. Those that are known by a name are an alias of it, of which a name has one, and
/// nothing beside it: so the first of them where none has an address.
pub(super) fn addresses(
    owner: &Name,
    chosen: &[&Instance],
    families: Families,
    ttl: u32,
) -> Vec<Record> {
    let found: Vec<IpAddr> = chosen.iter().filter_map(|instance| instance.address.ip()).collect();
    if found.is_empty() {
        let first = chosen.iter().find_map(|instance| host_name(instance));
        let alias = first.map(|host| RData::CNAME(CNAME(host)));
        return alias
            .map(|data| Record::from_rdata(owner.clone(), ttl, data))
            .into_iter()
            .collect();
    }
    let mut seen = BTreeSet::new();
    found
        .into_iter()
        .filter(|address| families.want(*address) && seen.insert(*address))
        .map(|address| address_record(owner.clone(), address, ttl))
        .collect()
}

/// Where instances are, with their ports, and the addresses of what these records point to.
pub(super) fn locations(
    owner: &Name,
    domain: &Name,
    chosen: &[&Instance],
    ttl: u32,
) -> (Vec<Record>, Vec<Record>) {
    let (mut locations, mut additional) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for instance in chosen {
        let address = instance.address.ip();
        let target = match address {
            Some(address) => address_name(address, domain),
            None => host_name(instance),
        };
        let Some(target) = target else { continue };
        let (weight, port) = (instance.attributes.weight().get(), instance.address.port());
        let data = RData::SRV(SRV::new(PRIORITY, weight, port, target.clone()));
        locations.push(Record::from_rdata(owner.clone(), ttl, data));
        additional.extend(
            address
                .filter(|address| seen.insert(*address))
                .map(|address| address_record(target, address, ttl)),
        );
    }
    (locations, additional)
}

pub(super) fn address_record(owner: Name, address: IpAddr, ttl: u32) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(owner, ttl, data)
}

/// The record of an address, if it is of a wanted family.
pub(super) fn wanted_address(
    owner: &Name,
    address: IpAddr,
    families: Families,
    ttl: u32,
) -> Option<Record> {
    families.want(address).then(|| address_record(owner.clone(), address, ttl))
}

/// The name that is an address. `None` where the domain is too long for it.
fn address_name(address: IpAddr, domain: &Name) -> Option<Name> {
    let relative = Name::from_labels([digits(address).as_bytes(), b"addr"]).ok()?;
    relative.append_domain(domain).ok()
}

fn host_name(instance: &Instance) -> Option<Name> {
    let mut name = Name::from_ascii(instance.address.host()).ok()?;
    name.set_fqdn(true);
    Some(name)
}
