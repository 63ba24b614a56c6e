//! What the fuzzer tries, with what must hold of it. Built for it only.
#![expect(clippy::missing_panics_doc, reason = "a panic is what the fuzzer looks for")]

use std::{
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lombard_registry_core::{
    AttributeLimits, Attributes, Event, Evidence, InstanceKey, Lease, LeaseId, Recorded, Services,
    Ttl,
};
use lombard_types::{Position, Timestamp};

use crate::{
    Config, DnsConfig,
    consul::{definition, duration, fields},
    dns, eureka,
};

/// A question by DNS, over UDP and TCP, to a registry that knows a service.
pub fn dns(message: &[u8]) {
    dns::fuzzing::ask(services(), &DnsConfig::default(), message);
}

/// The body of a registration by Consul's clients, and by Eureka's.
pub fn registration_body(body: &[u8]) {
    let (config, peer) = (Config::default(), Some(Ipv4Addr::LOCALHOST.into()));
    if let Ok(object) = fields::object(body) {
        let fields = fields::Fields::new(&object);
        drop(definition::read_check(&fields, &config));
        if let Ok(read) = definition::read(&fields, peer, &config) {
            assert!(read.check.active.is_none() || read.check.ttl.is_none());
        }
        if let Ok(Some(service)) = fields.object("service") {
            let host = fields.text("address").unwrap_or_default();
            drop(definition::read_external(&service, host, None, &config));
        }
    }
    for read in [eureka::definition::read, eureka::definition::read_xml] {
        if let Ok(read) = read("PAY", body, &config) {
            assert!(u64::from(read.ttl.seconds()) <= config.ttl_seconds_max);
        }
    }
    if let Ok(read) = eureka::xml::read(body) {
        drop(eureka::xml::read(&eureka::xml::write(&read)));
    }
}

/// A duration in Go's syntax.
pub fn go_duration(text: &str) {
    if let Ok(read) = duration::parse(text) {
        assert_eq!(duration::parse(&format!("{}ns", read.as_nanos())), Ok(read));
        assert!(read <= Duration::from_nanos(i64::MAX.unsigned_abs()));
    }
}

fn services() -> &'static Services {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let mut services = Services::default();
        for number in 0..40u8 {
            let Some(event) = registered(number) else { continue };
            let position = Position::new(number.into());
            services.apply(&event, Recorded { position, time: Timestamp::EPOCH });
        }
        services
    })
}

fn registered(number: u8) -> Option<Event> {
    let limits = AttributeLimits::MAX;
    let url = match number {
        0 => "http://host.example:80".to_owned(),
        1 => "http://[2001:db8::1]:80".to_owned(),
        number => format!("http://10.0.0.{number}:80"),
    };
    Some(Event::Registered {
        key: InstanceKey {
            service: "pay".parse().ok()?,
            instance: number.to_string().parse().ok()?,
        },
        lease: Lease {
            id: LeaseId::from_u128(number.into()),
            ttl: Ttl::MIN,
            deregister_after_seconds: 0,
            is_permanent: false,
        },
        address: url.parse().ok()?,
        attributes: Attributes::new(None, ["blue"], [], limits).ok()?,
        evidence: Arc::new(Evidence {
            client_id: "c".parse().ok()?,
            subject: "s".into(),
            token_id: "t".into(),
            request_id: "r".parse().ok()?,
            traceparent: None,
        }),
    })
}
