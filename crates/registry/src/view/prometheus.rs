//! What Prometheus' HTTP service discovery reads: every instance that is registered, also those without traffic, since they
//! too are to be looked at.

use std::collections::BTreeMap;

use bytes::Bytes;
use lombard_registry_core::{Scheme, Services};
use serde::Serialize;

use super::bodies::encode;

/// A target with the labels that relabelling may use. Those that begin with `__` are gone after it.
#[derive(Serialize)]
struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// Those of one service or of all, that have all these tags.
pub(super) fn targets(services: &Services, service: Option<&str>, tags: &[String]) -> Bytes {
    let mut groups = Vec::new();
    for (name, of_name) in services.iter() {
        if service.is_some_and(|wanted| wanted != name.as_str()) {
            continue;
        }
        for (id, instance) in of_name.instances() {
            let attributes = &instance.attributes;
            if !tags.iter().all(|wanted| attributes.tags().any(|tag| tag == wanted)) {
                continue;
            }
            let mut labels: BTreeMap<String, String> = attributes
                .metadata()
                .map(|(key, value)| {
                    (format!("__meta_lombard_metadata_{}", label(key)), value.into())
                })
                .collect();
            // As Prometheus has it for others: with separators at both ends, so that a pattern finds a whole tag.
            let mut tags: String = attributes.tags().flat_map(|tag| [",", tag]).collect();
            if !tags.is_empty() {
                tags.push(',');
            }
            for (key, value) in [
                ("service", name.as_str()),
                ("instance", id.as_str()),
                ("state", instance.state()),
                ("version", attributes.version().unwrap_or_default()),
                ("zone", attributes.zone().unwrap_or_default()),
                ("tags", tags.as_str()),
            ] {
                labels.insert(format!("__meta_lombard_{key}"), value.to_owned());
            }
            labels.insert("job".to_owned(), name.to_string());
            // What Prometheus would take otherwise is http.
            if instance.address.scheme() == Scheme::Https {
                labels.insert("__scheme__".to_owned(), "https".to_owned());
            }
            let target = format!("{}:{}", instance.address.host(), instance.address.port());
            groups.push(Group { targets: [target], labels });
        }
    }
    encode(&groups)
}

/// Names of labels have letters, digits and `_` only.
fn label(key: &str) -> String {
    key.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
