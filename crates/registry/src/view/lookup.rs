//! Instances by their ids alone, for protocols in which those need no service's name.

use std::collections::{BTreeMap, BTreeSet};

use lombard_registry_core::{Event, InstanceKey, Services};
use lombard_types::{InstanceId, ServiceName};

use super::consul::CHECK_ID;

/// Which services have an instance of a name, and whose checks have a name of their own.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    by_instance: BTreeMap<InstanceId, BTreeSet<ServiceName>>,
    by_check: BTreeMap<Box<str>, BTreeSet<InstanceKey>>,
    /// How many instances of each service have each tag; all of them under the empty one, which is no tag.
    tag_counts: BTreeMap<ServiceName, BTreeMap<Box<str>, usize>>,
}

impl Lookup {
    /// Before the event is applied: what it takes away. Answers whether that is a service, or a tag of one.
    pub(super) fn before(&mut self, event: &Event, services: &Services) -> bool {
        let Event::Deregistered { key, .. } = event else { return false };
        if let Some(of_id) = self.by_instance.get_mut(&key.instance) {
            of_id.remove(&key.service);
            if of_id.is_empty() {
                self.by_instance.remove(&key.instance);
            }
        }
        let Some(instance) = services.instance(key) else { return false };
        for (_, id) in instance.attributes.metadata().filter(|(name, _)| *name == CHECK_ID) {
            if let Some(of_check) = self.by_check.get_mut(id) {
                of_check.remove(key);
                if of_check.is_empty() {
                    self.by_check.remove(id);
                }
            }
        }
        self.count_down(&key.service, instance.attributes.tags())
    }

    /// What it brings. Answers whether that is a service, or a tag of one.
    pub(super) fn after(&mut self, event: &Event) -> bool {
        let Event::Registered { key, attributes, .. } = event else { return false };
        let of_id = match self.by_instance.get_mut(&key.instance) {
            Some(of_id) => of_id,
            None => self.by_instance.entry(key.instance.clone()).or_default(),
        };
        of_id.insert(key.service.clone());
        for (_, id) in attributes.metadata().filter(|(name, _)| *name == CHECK_ID) {
            self.by_check.entry(id.into()).or_default().insert(key.clone());
        }
        let counts = match self.tag_counts.get_mut(&key.service) {
            Some(counts) => counts,
            None => self.tag_counts.entry(key.service.clone()).or_default(),
        };
        let mut is_new = false;
        for tag in attributes.tags().chain([""]) {
            if let Some(count) = counts.get_mut(tag) {
                *count += 1;
            } else {
                counts.insert(tag.into(), 1);
                is_new = true;
            }
        }
        is_new
    }

    fn count_down<'a>(
        &mut self,
        service: &ServiceName,
        tags: impl Iterator<Item = &'a str>,
    ) -> bool {
        let Some(counts) = self.tag_counts.get_mut(service) else { return false };
        let before = counts.len();
        for tag in tags.chain([""]) {
            if let Some(count) = counts.get_mut(tag) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(tag);
                }
            }
        }
        let is_less = counts.len() < before;
        if counts.is_empty() {
            self.tag_counts.remove(service);
        }
        is_less
    }

    /// All instances with this id.
    pub(super) fn instances(&self, id: &InstanceId) -> Vec<InstanceKey> {
        let services = self.by_instance.get(id).into_iter().flatten();
        services
            .map(|service| InstanceKey { service: service.clone(), instance: id.clone() })
            .collect()
    }

    /// All instances whose check has this id of its own.
    pub(super) fn checks(&self, id: &str) -> Vec<InstanceKey> {
        self.by_check.get(id).into_iter().flatten().cloned().collect()
    }
}
