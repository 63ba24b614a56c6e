use std::sync::Arc;

use lombard_registry_core::{Attributes, Evidence, InstanceKey, Lease, LeaseId, Reason, Ttl};
use lombard_types::Timestamp;

use super::*;

fn view() -> RegistryView {
    let lessor = Lessor::new(crate::Config::default().lease_policy());
    let config = crate::Config::default();
    let prober = Prober::new(config.checks.clone(), config.probe_policy());
    RegistryView::new(lessor, prober, Watches::new(10), 10, 10, Position::START)
}

fn key(service: &str) -> InstanceKey {
    InstanceKey { service: service.parse().unwrap(), instance: "one".parse().unwrap() }
}

fn registered(service: &str, lease: u128) -> Event {
    Event::Registered {
        key: key(service),
        lease: Lease {
            id: LeaseId::from_u128(lease),
            ttl: Ttl::MIN,
            deregister_after_seconds: 0,
            is_permanent: false,
        },
        address: "http://127.0.0.1:9000".parse().unwrap(),
        attributes: Attributes::default(),
        evidence: Arc::new(Evidence {
            client_id: "c".parse().unwrap(),
            subject: "c".into(),
            token_id: "t".into(),
            request_id: "r".parse().unwrap(),
            traceparent: None,
        }),
    }
}

fn gone(service: &str, lease: u128) -> Event {
    let (lease_id, reason) = (LeaseId::from_u128(lease), Reason::Expired);
    Event::Deregistered { key: key(service), lease_id, reason, evidence: None }
}

fn apply(view: &mut RegistryView, events: &[Event]) {
    let position = Position::new(view.services.index());
    for (index, event) in (0..).zip(events) {
        view.apply(event, At { position, index, time: Timestamp::EPOCH });
    }
}

#[test]
fn bodies_are_encoded_once_per_change_of_what_they_show() {
    let mut view = view();
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    apply(&mut view, &[registered("a", 1)]);
    apply(&mut view, &[registered("b", 2)]);
    let (body_a, body_b, catalog) =
        (view.service_body(&a), view.service_body(&b), view.catalog_body());
    assert_eq!(view.catalog_body().as_ptr(), catalog.as_ptr(), "shared");
    apply(&mut view, &[gone("a", 1), registered("a", 3)]);
    assert_ne!(view.service_body(&a), body_a);
    assert_eq!(view.service_body(&b).as_ptr(), body_b.as_ptr(), "another service's change");
    assert_ne!(view.catalog_body(), catalog);
    apply(&mut view, &[gone("b", 2)]);
    let catalog: serde_json::Value = serde_json::from_slice(&view.catalog_body()).unwrap();
    let endpoints = serde_json::json!([{ "instance": "one", "url": "http://127.0.0.1:9000" }]);
    assert_eq!(catalog, serde_json::json!({ "index": 4, "services": { "a": endpoints } }));
}

#[test]
fn a_service_changes_when_it_comes_and_when_it_goes() {
    let mut view = view();
    let topic = Topic::Service("a".parse().unwrap());
    assert!(!view.has_changed_since(&topic, 0), "nothing ever happened");
    assert!(!view.has_changed_since(&Topic::Overall, 0));
    apply(&mut view, &[registered("b", 1)]);
    assert!(view.has_changed_since(&topic, 0), "answered where to go on from");
    assert!(!view.has_changed_since(&topic, 1));
    apply(&mut view, &[registered("a", 2)]);
    assert!(view.has_changed_since(&topic, 1));
    assert!(!view.has_changed_since(&topic, 2));
    apply(&mut view, &[gone("a", 2)]);
    assert!(view.has_changed_since(&topic, 2));
    assert!(!view.has_changed_since(&topic, 3));
    apply(&mut view, &[gone("b", 1)]);
    assert!(!view.has_changed_since(&topic, 3), "another service's change");
    assert!(view.has_changed_since(&Topic::Overall, 3));
    assert!(view.has_changed_since(&topic, 5), "an index of another log");
}
