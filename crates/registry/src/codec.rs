//! The stored form of the registry's events. What any released version has written is read for ever: a layout is never
//! changed, only followed by a new version of its kind.
//!
//! ```text
//!  event           kind u8 | version u8 | fields
//!  1 registered    v1: instance | lease id u128 | ttl seconds u16 | url text | attributes | evidence
//!                  v2: instance | lease | url text | attributes | place | evidence
//!                  v3: instance | lease | url text | attributes | place | check | evidence
//!  2 deregistered  v1: instance | lease id u128 | reason u8 (0 requested, 1 expired, 2 replaced) |
//!                      0 u8, or 1 u8 and evidence
//!  3 stood         v1: instance | standing | evidence
//!  4 liveness      v1: instance | lease id u128 | liveness u8
//!  5 damping       v1: instance | lease id u128 | 1 u8 where it is damped, 0 where it is no more
//!  6 observed      v1: instance | lease id u128 | health u8 | note text
//!  7 suspected     v1: instance | lease id u128 | note text | evidence
//!
//!  text        length (LEB128) | UTF-8
//!  instance    service text | instance text
//!  attributes  version text, empty where there is none | count u32, tag text each | count u32, key text and value
//!              text each
//!  standing    health u8 (0 starting, 1 passing, 2 warning, 3 critical) |
//!              mode u8 (0 serving, 1 draining, 2 maintenance) | note text
//!  lease       id u128 | ttl seconds u16 | deregister after seconds u32 | 1 u8 where it is permanent, else 0
//!  place       zone text, empty where there is none | weight u16
//!  check       kind u8 (0 there is none, and no more fields; 1 HTTP, 2 TCP, 3 gRPC) | path, nothing, or service text |
//!              url text, empty for the instance's own | interval ms u32 | timeout ms u32 | successes u8 | failures u8 |
//!              1 u8 where it begins to pass before it was asked, else 0
//!  liveness    0 confirmed, 1 unknown since a restart, 2 unknown since many fell silent, 3 unknown since many streams
//!              broke, 4 lapsed
//!  evidence    client id, subject, token id, request id, traceparent: text each, the last empty where there is none
//! ```
//! Numbers are little endian.

mod check;
mod snapshot;

use std::{str::FromStr, sync::Arc};

use lombard_engine::{
    Codec, DecodeError,
    fields::{Reader, Writer},
};
use lombard_registry_core::{
    AttributeLimits, Attributes, Doubt, Event, Evidence, Health, InstanceKey, Lease, LeaseId,
    Liveness, Mode, Reason, Standing, Ttl, Weight,
};

const REGISTERED: u8 = 1;
const DEREGISTERED: u8 = 2;
const STOOD: u8 = 3;
const LIVENESS: u8 = 4;
const DAMPING: u8 = 5;
const OBSERVED: u8 = 6;
const SUSPECTED: u8 = 7;
const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
const VERSION_3: u8 = 3;

/// Encodes and decodes [`Event`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCodec;

impl Codec for EventCodec {
    type Event = Event;

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut writer = Writer(out);
        match event {
            Event::Registered { key, lease, address, attributes, evidence } => {
                let has_check = attributes.check().is_some();
                writer.put(&[REGISTERED, if has_check { VERSION_3 } else { VERSION_2 }]);
                put_key(&mut writer, key);
                put_lease(&mut writer, lease);
                writer.text(&address.to_string());
                put_attributes(&mut writer, attributes);
                put_place(&mut writer, attributes);
                if has_check {
                    check::put(&mut writer, attributes.check());
                }
                put_evidence(&mut writer, evidence);
            }
            Event::Stood { key, standing, evidence } => {
                writer.put(&[STOOD, VERSION_1]);
                put_key(&mut writer, key);
                put_standing(&mut writer, standing);
                put_evidence(&mut writer, evidence);
            }
            Event::LivenessChanged { key, lease_id, liveness } => {
                writer.put(&[LIVENESS, VERSION_1]);
                put_key(&mut writer, key);
                writer.put(&lease_id.as_u128().to_le_bytes());
                writer.put(&[liveness_code(*liveness)]);
            }
            Event::Observed { key, lease_id, health, note } => {
                writer.put(&[OBSERVED, VERSION_1]);
                put_key(&mut writer, key);
                writer.put(&lease_id.as_u128().to_le_bytes());
                writer.put(&[health_code(*health)]);
                writer.text(note.as_str());
            }
            Event::DampingChanged { key, lease_id, is_damped } => {
                writer.put(&[DAMPING, VERSION_1]);
                put_key(&mut writer, key);
                writer.put(&lease_id.as_u128().to_le_bytes());
                writer.put(&[u8::from(*is_damped)]);
            }
            Event::Suspected { key, lease_id, note, evidence } => {
                writer.put(&[SUSPECTED, VERSION_1]);
                put_key(&mut writer, key);
                writer.put(&lease_id.as_u128().to_le_bytes());
                writer.text(note.as_str());
                put_evidence(&mut writer, evidence);
            }
            Event::Deregistered { key, lease_id, reason, evidence } => {
                writer.put(&[DEREGISTERED, VERSION_1]);
                put_key(&mut writer, key);
                writer.put(&lease_id.as_u128().to_le_bytes());
                writer.put(&[reason_code(*reason), u8::from(evidence.is_some())]);
                if let Some(evidence) = evidence {
                    put_evidence(&mut writer, evidence);
                }
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut reader = Reader(bytes);
        let event = match reader.array()? {
            [REGISTERED, VERSION_1] => Event::Registered {
                key: key(&mut reader)?,
                lease: lease_v1(&mut reader)?,
                address: parse(reader.text()?)?,
                attributes: attributes(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            [REGISTERED, VERSION_2] => Event::Registered {
                key: key(&mut reader)?,
                lease: lease(&mut reader)?,
                address: parse(reader.text()?)?,
                attributes: placed_attributes(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            [REGISTERED, VERSION_3] => Event::Registered {
                key: key(&mut reader)?,
                lease: lease(&mut reader)?,
                address: parse(reader.text()?)?,
                attributes: checked_attributes(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            [OBSERVED, VERSION_1] => Event::Observed {
                key: key(&mut reader)?,
                lease_id: lease_id(&mut reader)?,
                health: health(reader.byte()?)?,
                note: parse(reader.text()?)?,
            },
            [LIVENESS, VERSION_1] => Event::LivenessChanged {
                key: key(&mut reader)?,
                lease_id: lease_id(&mut reader)?,
                liveness: liveness(reader.byte()?)?,
            },
            [DAMPING, VERSION_1] => Event::DampingChanged {
                key: key(&mut reader)?,
                lease_id: lease_id(&mut reader)?,
                is_damped: flag(reader.byte()?)?,
            },
            [SUSPECTED, VERSION_1] => Event::Suspected {
                key: key(&mut reader)?,
                lease_id: lease_id(&mut reader)?,
                note: parse(reader.text()?)?,
                evidence: evidence(&mut reader)?,
            },
            [STOOD, VERSION_1] => Event::Stood {
                key: key(&mut reader)?,
                standing: standing(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            [DEREGISTERED, VERSION_1] => Event::Deregistered {
                key: key(&mut reader)?,
                lease_id: lease_id(&mut reader)?,
                reason: reason(reader.byte()?)?,
                evidence: match flag(reader.byte()?)? {
                    false => None,
                    true => Some(evidence(&mut reader)?),
                },
            },
            _ => return Err(DecodeError("unknown kind or version of event")),
        };
        reader.end()?;
        Ok(event)
    }
}

fn parse<T: FromStr>(text: &str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError("a name is not of its grammar"))
}

fn put_key(writer: &mut Writer<'_>, key: &InstanceKey) {
    writer.text(key.service.as_str());
    writer.text(key.instance.as_str());
}

fn key(reader: &mut Reader<'_>) -> Result<InstanceKey, DecodeError> {
    Ok(InstanceKey { service: parse(reader.text()?)?, instance: parse(reader.text()?)? })
}

fn lease_id(reader: &mut Reader<'_>) -> Result<LeaseId, DecodeError> {
    Ok(LeaseId::from_u128(u128::from_le_bytes(reader.array()?)))
}

fn put_lease(writer: &mut Writer<'_>, lease: &Lease) {
    writer.put(&lease.id.as_u128().to_le_bytes());
    writer.put(&lease.ttl.seconds().to_le_bytes());
    writer.put(&lease.deregister_after_seconds.to_le_bytes());
    writer.put(&[u8::from(lease.is_permanent)]);
}

fn lease(reader: &mut Reader<'_>) -> Result<Lease, DecodeError> {
    let lease = lease_v1(reader)?;
    let deregister_after_seconds = u32::from_le_bytes(reader.array()?);
    Ok(Lease { deregister_after_seconds, is_permanent: flag(reader.byte()?)?, ..lease })
}

fn lease_v1(reader: &mut Reader<'_>) -> Result<Lease, DecodeError> {
    let id = lease_id(reader)?;
    let seconds = u16::from_le_bytes(reader.array()?);
    let ttl = Ttl::from_seconds(seconds.into()).map_err(|_| DecodeError("time to live"))?;
    Ok(Lease { id, ttl, deregister_after_seconds: 0, is_permanent: false })
}

fn flag(byte: u8) -> Result<bool, DecodeError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError("a flag is neither 0 nor 1")),
    }
}

const fn liveness_code(liveness: Liveness) -> u8 {
    match liveness {
        Liveness::Confirmed => 0,
        Liveness::Unknown(Doubt::Restart) => 1,
        Liveness::Unknown(Doubt::Silence) => 2,
        Liveness::Unknown(Doubt::BrokenStreams) => 3,
        Liveness::Lapsed => 4,
    }
}

fn liveness(code: u8) -> Result<Liveness, DecodeError> {
    let unknown = Doubt::ALL.iter().map(|doubt| Liveness::Unknown(*doubt));
    let mut all = [Liveness::Confirmed, Liveness::Lapsed].into_iter().chain(unknown);
    all.find(|liveness| liveness_code(*liveness) == code).ok_or(DecodeError("unknown liveness"))
}

const fn reason_code(reason: Reason) -> u8 {
    match reason {
        Reason::Requested => 0,
        Reason::Expired => 1,
        Reason::Replaced => 2,
    }
}

fn reason(code: u8) -> Result<Reason, DecodeError> {
    let found = Reason::ALL.iter().find(|reason| reason_code(**reason) == code);
    found.copied().ok_or(DecodeError("unknown reason"))
}

const fn health_code(health: Health) -> u8 {
    match health {
        Health::Starting => 0,
        Health::Passing => 1,
        Health::Warning => 2,
        Health::Critical => 3,
    }
}

fn health(code: u8) -> Result<Health, DecodeError> {
    let found = Health::ALL.iter().find(|each| health_code(**each) == code);
    found.copied().ok_or(DecodeError("unknown health"))
}

const fn mode_code(mode: Mode) -> u8 {
    match mode {
        Mode::Serving => 0,
        Mode::Draining => 1,
        Mode::Maintenance => 2,
    }
}

fn put_standing(writer: &mut Writer<'_>, standing: &Standing) {
    writer.put(&[health_code(standing.health), mode_code(standing.mode)]);
    writer.text(standing.note.as_str());
}

fn standing(reader: &mut Reader<'_>) -> Result<Standing, DecodeError> {
    let [code, mode] = reader.array()?;
    let mode = Mode::ALL.iter().find(|each| mode_code(**each) == mode);
    Ok(Standing {
        health: health(code)?,
        mode: *mode.ok_or(DecodeError("unknown mode"))?,
        note: parse(reader.text()?)?,
    })
}

fn put_attributes(writer: &mut Writer<'_>, attributes: &Attributes) {
    writer.text(attributes.version().unwrap_or_default());
    put_count(writer, attributes.tags().len());
    for tag in attributes.tags() {
        writer.text(tag);
    }
    put_count(writer, attributes.metadata().len());
    for (key, value) in attributes.metadata() {
        writer.text(key);
        writer.text(value);
    }
}

/// Attributes are bounded far below 2^32 of anything.
fn put_count(writer: &mut Writer<'_>, count: usize) {
    writer.put(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn attributes(reader: &mut Reader<'_>) -> Result<Attributes, DecodeError> {
    let version = Some(reader.text()?).filter(|version| !version.is_empty());
    let mut tags = Vec::new();
    for _ in 0..u32::from_le_bytes(reader.array()?) {
        tags.push(reader.text()?);
    }
    let mut metadata = Vec::new();
    for _ in 0..u32::from_le_bytes(reader.array()?) {
        metadata.push((reader.text()?, reader.text()?));
    }
    // Today's configuration may be stricter than the one under which they were accepted.
    Attributes::new(version, tags, metadata, AttributeLimits::MAX)
        .map_err(|_| DecodeError("attributes"))
}

fn put_place(writer: &mut Writer<'_>, attributes: &Attributes) {
    writer.text(attributes.zone().unwrap_or_default());
    writer.put(&attributes.weight().get().to_le_bytes());
}

fn placed_attributes(reader: &mut Reader<'_>) -> Result<Attributes, DecodeError> {
    let attributes = attributes(reader)?;
    let zone = Some(reader.text()?).filter(|zone| !zone.is_empty());
    let weight = Weight::new(u16::from_le_bytes(reader.array()?)).ok_or(DecodeError("weight"))?;
    let placed = attributes.in_zone(zone).map_err(|_| DecodeError("zone"))?;
    Ok(placed.with_weight(weight))
}

fn checked_attributes(reader: &mut Reader<'_>) -> Result<Attributes, DecodeError> {
    let attributes = placed_attributes(reader)?;
    Ok(attributes.with_check(check::read(reader)?))
}

fn put_evidence(writer: &mut Writer<'_>, evidence: &Evidence) {
    writer.text(evidence.client_id.as_str());
    writer.text(&evidence.subject);
    writer.text(&evidence.token_id);
    writer.text(evidence.request_id.as_str());
    writer.text(evidence.traceparent.as_deref().unwrap_or_default());
}

fn evidence(reader: &mut Reader<'_>) -> Result<Arc<Evidence>, DecodeError> {
    Ok(Arc::new(Evidence {
        client_id: parse(reader.text()?)?,
        subject: reader.text()?.into(),
        token_id: reader.text()?.into(),
        request_id: parse(reader.text()?)?,
        traceparent: Some(reader.text()?).filter(|text| !text.is_empty()).map(Into::into),
    }))
}

#[cfg(test)]
mod tests {
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

    fn instance() -> InstanceKey {
        InstanceKey { service: "pay".parse().unwrap(), instance: "1".parse().unwrap() }
    }

    fn encoded(event: &Event) -> Vec<u8> {
        let mut out = Vec::new();
        EventCodec.encode(event, &mut out);
        out
    }

    #[test]
    fn golden_bytes() {
        let ttl = Ttl::from_seconds(258).unwrap();
        let granted = Lease {
            id: LeaseId::from_u128(2),
            ttl,
            deregister_after_seconds: 0x0403_0201,
            is_permanent: true,
        };
        let registered = |lease, zone: Option<&str>, weight| Event::Registered {
            key: instance(),
            lease,
            address: "http://h:1".parse().unwrap(),
            attributes: Attributes::new(Some("v"), ["a"], [("k", "w")], AttributeLimits::MAX)
                .and_then(|attributes| attributes.in_zone(zone))
                .unwrap()
                .with_weight(Weight::new(weight).unwrap()),
            evidence: evidence(),
        };
        let stored = |version, of_lease: &[u8], place: &[u8]| {
            let mut expected = [b"\x01", &[version], b"\x03pay\x011\x02".as_slice()].concat();
            expected.extend([0; 15]);
            expected.extend(b"\x02\x01");
            expected.extend(of_lease);
            expected.extend(b"\x0ahttp://h:1\x01v\x01\0\0\0\x01a\x01\0\0\0\x01k\x01w");
            expected.extend(place);
            expected.extend(b"\x01c\x01s\x01t\x01r\0");
            expected
        };
        let expected = stored(2, b"\x01\x02\x03\x04\x01", b"\x01z\x07\0");
        assert_eq!(encoded(&registered(granted, Some("z"), 7)), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(registered(granted, Some("z"), 7)));
        let earlier = Lease { deregister_after_seconds: 0, is_permanent: false, ..granted };
        let expected = stored(1, b"", b"");
        assert_eq!(EventCodec.decode(&expected), Ok(registered(earlier, None, 1)));

        let standing =
            Standing { health: Health::Warning, mode: Mode::Draining, note: "n".parse().unwrap() };
        let stood = Event::Stood { key: instance(), standing, evidence: evidence() };
        let expected = b"\x03\x01\x03pay\x011\x02\x01\x01n\x01c\x01s\x01t\x01r\0".to_vec();
        assert_eq!(encoded(&stood), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(stood));

        let lease_id = LeaseId::from_u128(2);
        let liveness = Liveness::Unknown(Doubt::Silence);
        let doubted = Event::LivenessChanged { key: instance(), lease_id, liveness };
        let expected = [b"\x04\x01\x03pay\x011\x02".as_slice(), &[0; 15], b"\x02"].concat();
        assert_eq!(encoded(&doubted), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(doubted));

        let note = "n".parse().unwrap();
        let health = Health::Critical;
        let observed = Event::Observed { key: instance(), lease_id, health, note };
        let expected = [b"\x06\x01\x03pay\x011\x02".as_slice(), &[0; 15], b"\x03\x01n"].concat();
        assert_eq!(encoded(&observed), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(observed));

        let damped = Event::DampingChanged { key: instance(), lease_id, is_damped: true };
        let expected = [b"\x05\x01\x03pay\x011\x02".as_slice(), &[0; 15], b"\x01"].concat();
        assert_eq!(encoded(&damped), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(damped));

        let note = "n".parse().unwrap();
        let suspected = Event::Suspected { key: instance(), lease_id, note, evidence: evidence() };
        let mut expected = [b"\x07\x01\x03pay\x011\x02".as_slice(), &[0; 15]].concat();
        expected.extend(b"\x01n\x01c\x01s\x01t\x01r\0");
        assert_eq!(encoded(&suspected), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(suspected));

        let (reason, nobody) = (Reason::Expired, None);
        let expired = Event::Deregistered { key: instance(), lease_id, reason, evidence: nobody };
        let mut expected = b"\x02\x01\x03pay\x011\x02".to_vec();
        expected.extend([0; 15]);
        expected.extend(b"\x01\0");
        assert_eq!(encoded(&expired), expected);
        assert_eq!(EventCodec.decode(&expected), Ok(expired));
    }

    fn event() -> impl Strategy<Value = Event> {
        let attributes = (
            prop::option::of("[!-~]{1,64}"),
            prop::collection::btree_set("[!-~]{1,64}", 0..4),
            prop::collection::btree_map("[!-~]{1,64}", "\\PC{0,200}", 0..4),
            prop::option::of("[!-~]{1,64}"),
            1..=u16::MAX,
            prop::option::of(check::tests::check()),
        )
            .prop_map(|(version, tags, metadata, zone, weight, check)| {
                let attributes = Attributes::new(version, tags, metadata, AttributeLimits::MAX);
                let placed = attributes.and_then(|attributes| attributes.in_zone(zone)).unwrap();
                placed.with_weight(Weight::new(weight).unwrap()).with_check(check)
            });
        let lease = (any::<u128>(), 1..=3600u64, any::<u32>(), any::<bool>()).prop_map(
            |(id, ttl, deregister_after_seconds, is_permanent)| Lease {
                id: LeaseId::from_u128(id),
                ttl: Ttl::from_seconds(ttl).unwrap(),
                deregister_after_seconds,
                is_permanent,
            },
        );
        let registered =
            (lease, any::<[u8; 4]>(), attributes).prop_map(|(lease, [_, b, c, d], attributes)| {
                Event::Registered {
                    key: instance(),
                    lease,
                    address: format!("http://10.{b}.{c}.{d}:80").parse().unwrap(),
                    attributes,
                    evidence: evidence(),
                }
            });
        let reason = prop::sample::select(Reason::ALL);
        let deregistered =
            (any::<u128>(), reason, any::<bool>()).prop_map(|(id, reason, by_somebody)| {
                Event::Deregistered {
                    key: instance(),
                    lease_id: LeaseId::from_u128(id),
                    reason,
                    evidence: by_somebody.then(evidence),
                }
            });
        let health = prop::sample::select(Health::ALL);
        let mode = prop::sample::select(Mode::ALL);
        let stood = (health, mode, "[a-z ä]{0,100}").prop_map(|(health, mode, note)| {
            let standing = Standing { health, mode, note: note.parse().unwrap() };
            Event::Stood { key: instance(), standing, evidence: evidence() }
        });
        let lived = (any::<u128>(), 0..=4u8).prop_map(|(id, code)| Event::LivenessChanged {
            key: instance(),
            lease_id: LeaseId::from_u128(id),
            liveness: liveness(code).unwrap(),
        });
        let damped = (any::<u128>(), any::<bool>()).prop_map(|(id, is_damped)| {
            Event::DampingChanged { key: instance(), lease_id: LeaseId::from_u128(id), is_damped }
        });
        let health = prop::sample::select(Health::ALL);
        let observed = (any::<u128>(), health, "[a-z ä]{0,100}").prop_map(|(id, health, note)| {
            let (lease_id, note) = (LeaseId::from_u128(id), note.parse().unwrap());
            Event::Observed { key: instance(), lease_id, health, note }
        });
        let suspected = (any::<u128>(), "[a-z ä]{0,100}").prop_map(|(id, note)| {
            let (lease_id, note) = (LeaseId::from_u128(id), note.parse().unwrap());
            Event::Suspected { key: instance(), lease_id, note, evidence: evidence() }
        });
        prop_oneof![registered, deregistered, stood, lived, damped, observed, suspected]
    }

    proptest! {
        #[test]
        fn round_trips(event in event()) {
            prop_assert_eq!(EventCodec.decode(&encoded(&event)), Ok(event));
        }

        #[test]
        fn any_bytes_are_read_or_refused(kind in 1..=7u8, version in 1..=3u8, rest: Vec<u8>) {
            drop(EventCodec.decode(&[&[kind, version], rest.as_slice()].concat()));
        }
    }
}
