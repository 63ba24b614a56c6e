use std::{net::Ipv4Addr, sync::Arc};

use lombard_registry_core::{
    AttributeLimits, Attributes, Event, Evidence, Health, InstanceKey, Lease, LeaseId, Mode,
    Recorded, Standing, Ttl, Weight,
};
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;

use super::*;

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
    })
}

/// What is registered, one after the other.
#[derive(Default)]
struct Registered {
    services: Services,
    position: u64,
}

impl Registered {
    fn apply(&mut self, event: &Event) {
        let recorded = Recorded { position: Position::new(self.position), time: Timestamp::EPOCH };
        self.services.apply(event, recorded);
        self.position += 1;
    }

    /// `place` is service/instance, and where it is.
    fn add(&mut self, (service, instance): (&str, &str), url: &str, tags: &[&str], weight: u16) {
        let key =
            InstanceKey { service: service.parse().unwrap(), instance: instance.parse().unwrap() };
        let attributes = Attributes::new(None, tags.to_vec(), [], AttributeLimits::MAX).unwrap();
        self.apply(&Event::Registered {
            key,
            lease: Lease {
                id: LeaseId::from_u128(self.position.into()),
                ttl: Ttl::from_seconds(3).unwrap(),
                deregister_after_seconds: 0,
                is_permanent: false,
            },
            address: url.parse().unwrap(),
            attributes: attributes.with_weight(Weight::new(weight).unwrap()),
            evidence: evidence(),
        });
    }

    fn stand(&mut self, (service, instance): (&str, &str), health: Health) {
        let key =
            InstanceKey { service: service.parse().unwrap(), instance: instance.parse().unwrap() };
        let standing = Standing { health, mode: Mode::Serving, note: "".parse().unwrap() };
        self.apply(&Event::Stood { key, standing, evidence: evidence() });
    }

    fn ask_over(&self, transport: Transport, request: &Message) -> (Message, usize) {
        let zone = Zone::new(&DnsConfig::default());
        let (known, mut dice) = (Known::Services(&self.services), Dice::new(1));
        let reply = reply(&zone, &request.to_vec().unwrap(), transport, known, &mut dice).unwrap();
        (Message::from_vec(&reply.bytes).unwrap(), reply.bytes.len())
    }

    fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.ask_over(Transport::Udp, &question(name, kind)).0
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn three() -> Registered {
    let mut registered = Registered::default();
    registered.add(("pay", "a"), "http://10.0.0.1:80", &["blue"], 1);
    registered.add(("pay", "b"), "http://10.0.0.2:81", &["green"], 9);
    registered.add(("pay", "c"), "http://[2001:db8::1]:82", &[], 5);
    registered.add(("named", "a"), "http://host.example:80", &[], 1);
    registered
}

fn ips(message: &Message) -> Vec<String> {
    let mut found: Vec<String> = message
        .answers
        .iter()
        .map(|record| match &record.data {
            RData::A(address) => address.0.to_string(),
            RData::AAAA(address) => address.0.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    found.sort();
    found
}

#[test]
fn addresses_of_what_takes_traffic() {
    let mut registered = three();
    let found = registered.ask("pay.service.lombard.internal.", RecordType::A);
    assert_eq!(ips(&found), ["10.0.0.1", "10.0.0.2"]);
    assert!(found.metadata.authoritative && !found.metadata.recursion_available);
    assert_eq!(found.answers[0].ttl, 3, "no longer than the shortest lease");
    assert_eq!(ips(&registered.ask("PAY.service.consul.", RecordType::AAAA)), ["2001:db8::1"]);
    let tagged = registered.ask("green.pay.service.consul.", RecordType::A);
    assert_eq!(ips(&tagged), ["10.0.0.2"]);
    registered.stand(("pay", "b"), Health::Critical);
    let found = registered.ask("pay.service.lombard.internal.", RecordType::A);
    assert_eq!(ips(&found), ["10.0.0.1"]);
    let alias = registered.ask("named.service.consul.", RecordType::A);
    assert!(
        matches!(&alias.answers[0].data, RData::CNAME(name) if name.0.to_ascii() == "host.example.")
    );
}

#[test]
fn locations_point_to_names_that_are_answered_too() {
    let registered = three();
    let found = registered.ask("_pay._tcp.lombard.internal.", RecordType::SRV);
    assert_eq!((found.answers.len(), found.additionals.len()), (3, 3));
    for record in &found.answers {
        let RData::SRV(location) = &record.data else { panic!("{record:?}") };
        assert_eq!(location.weight, [1, 9, 5][usize::from(location.port) - 80]);
        let kind = if location.port == 82 { RecordType::AAAA } else { RecordType::A };
        let target = registered.ask(&location.target.to_ascii(), kind);
        let extra = found.additionals.iter().find(|extra| extra.name == location.target).unwrap();
        assert_eq!(target.answers[0].data, extra.data);
    }
    let named = registered.ask("named.service.consul.", RecordType::SRV);
    assert!(
        matches!(&named.answers[0].data, RData::SRV(srv) if srv.target.to_ascii() == "host.example.")
    );
    assert!(named.additionals.is_empty());
}

#[test]
fn nothing_there_and_nothing_of_that_kind_are_told_apart() {
    let mut registered = three();
    registered.stand(("named", "a"), Health::Critical);
    for (name, kind, code) in [
        ("nobody.service.consul.", RecordType::A, ResponseCode::NXDomain),
        ("red.pay.service.consul.", RecordType::A, ResponseCode::NXDomain),
        ("pay.consul.", RecordType::A, ResponseCode::NXDomain),
        ("named.service.consul.", RecordType::A, ResponseCode::NoError),
        ("pay.service.consul.", RecordType::TXT, ResponseCode::NoError),
        ("service.consul.", RecordType::A, ResponseCode::NoError),
    ] {
        let found = registered.ask(name, kind);
        assert_eq!((found.metadata.response_code, found.answers.len()), (code, 0), "{name}");
        let RData::SOA(soa) = &found.authorities[0].data else { panic!("{name}") };
        assert_eq!((soa.minimum, found.authorities[0].ttl), (1, 1));
        assert_eq!(u64::from(soa.serial), registered.services.index());
    }
    let apex = registered.ask("lombard.internal.", RecordType::SOA);
    assert_eq!((apex.answers.len(), apex.authorities.len()), (1, 0));
}

#[test]
fn what_is_not_ours_is_refused() {
    let registered = three();
    let code =
        |request: &Message| registered.ask_over(Transport::Udp, request).0.metadata.response_code;
    assert_eq!(code(&question("example.com.", RecordType::A)), ResponseCode::Refused);
    assert_eq!(code(&question("consul.", RecordType::AXFR)), ResponseCode::Refused);
    let mut update = question("consul.", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&update), ResponseCode::NotImp);
    let mut chaos = question("consul.", RecordType::SOA);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(code(&chaos), ResponseCode::Refused);
    assert_eq!(code(&Message::new(7, MessageType::Query, OpCode::Query)), ResponseCode::FormErr);
    let mut modern = question("pay.service.consul.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    modern.set_edns(edns);
    assert_eq!(u16::from(code(&modern)), u16::from(ResponseCode::BADVERS));
    for (known, expected) in
        [(Known::NotYet, ResponseCode::ServFail), (Known::Secret, ResponseCode::Refused)]
    {
        let zone = Zone::new(&DnsConfig::default());
        let asked = question("pay.service.consul.", RecordType::A).to_vec().unwrap();
        let found = reply(&zone, &asked, Transport::Udp, known, &mut Dice::new(1)).unwrap();
        let found = Message::from_vec(&found.bytes).unwrap();
        assert_eq!((found.metadata.response_code, found.answers.len()), (expected, 0));
    }
}

#[test]
fn what_does_not_fit_says_so_and_fits_over_tcp() {
    let mut registered = Registered::default();
    for number in 0..500u16 {
        let [high, low] = number.to_be_bytes();
        let url = format!("http://{}:80", Ipv4Addr::new(10, 0, high, low));
        registered.add(("pay", &number.to_string()), &url, &[], 1);
    }
    let name = "pay.service.lombard.internal.";
    for kind in [RecordType::A, RecordType::SRV] {
        let mut request = question(name, kind);
        for (payload, bytes_max) in [(None, 512), (Some(4096), 1232), (Some(600), 600)] {
            if let Some(payload) = payload {
                let mut edns = Edns::new();
                edns.set_max_payload(payload);
                request.edns = Some(edns);
            }
            let (found, bytes) = registered.ask_over(Transport::Udp, &request);
            assert!(found.metadata.truncation && bytes <= bytes_max, "{kind} {bytes}");
            assert!(bytes > bytes_max / 2, "there was room for more: {bytes}");
            assert_eq!(found.edns.is_some(), payload.is_some());
        }
        let (found, _) = registered.ask_over(Transport::Tcp, &request);
        assert_eq!((found.answers.len(), found.metadata.truncation), (500, false), "{kind}");
    }
    for number in 500..1500u16 {
        let [high, low] = number.to_be_bytes();
        let url = format!("http://{}:80", Ipv4Addr::new(10, 0, high, low));
        registered.add(("pay", &number.to_string()), &url, &[], 1);
    }
    let (found, _) = registered.ask_over(Transport::Tcp, &question(name, RecordType::SRV));
    assert!(found.metadata.truncation, "more than a message of DNS can hold");
    // Targets of SRV records are not compressed (RFC 2782): 74 bytes each.
    assert!((860..900).contains(&found.answers.len()), "{}", found.answers.len());
    let (found, _) = registered.ask_over(Transport::Tcp, &question(name, RecordType::A));
    assert_eq!((found.answers.len(), found.metadata.truncation), (1500, false));
}

#[test]
fn answers_are_not_answered() {
    let zone = Zone::new(&DnsConfig::default());
    let mut answered = question("pay.service.consul.", RecordType::A);
    answered.metadata.message_type = MessageType::Response;
    let (known, mut dice) = (Known::NotYet, Dice::new(1));
    let mut ask = |bytes: &[u8]| reply(&zone, bytes, Transport::Udp, known, &mut dice);
    assert!(ask(&answered.to_vec().unwrap()).is_none());
    assert!(ask(b"short").is_none());
    let broken = [0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let found = Message::from_vec(&ask(&broken).unwrap().bytes).unwrap();
    assert_eq!((found.metadata.id, found.metadata.response_code), (9, ResponseCode::FormErr));
    assert!(ask(&[0, 9, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]).is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_answered_within_bounds(
        id: u16,
        flags: u16,
        counts: [u8; 4],
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let registered = three();
        let zone = Zone::new(&DnsConfig::default());
        let head = [id.to_be_bytes(), flags.to_be_bytes()].concat();
        let counts: Vec<u8> = counts.iter().flat_map(|count| [0, *count]).collect();
        let message = [head, counts, rest].concat();
        let (known, mut dice) = (Known::Services(&registered.services), Dice::new(1));
        if let Some(reply) = reply(&zone, &message, Transport::Udp, known, &mut dice) {
            prop_assert!(reply.bytes.len() <= 4096);
            prop_assert_eq!(&reply.bytes[..2], &id.to_be_bytes());
        }
    }
}
