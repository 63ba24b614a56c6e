//! What is answered to a message.

use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::SOA},
};
use lombard_registry_core::Services;

use super::{
    DnsConfig,
    order::Dice,
    question::{self, Asked},
    records::{self, Families},
};

/// Bytes of a header: what is shorter has no id to be answered under.
const HEADER_BYTES: usize = 12;
/// The only address that the only node has.
const NODE_ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Bytes of an answer in a datagram for who says nothing about it (RFC 1035 section 4.2.1).
const UDP_BYTES_MIN: u16 = 512;
/// The shortest record: a name by reference, type, class, TTL, length, and an IPv4 address.
const ANSWER_BYTES_MIN: usize = 16;
/// In the third byte of a message.
const TRUNCATED: u8 = 0b10;

/// The domains that are answered for, and how.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    domains: Vec<Name>,
    ttl: u32,
    negative_ttl: u32,
    udp_bytes_max: u16,
}

/// How a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What can be told to a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
    Services(&'a Services),
    /// It has not been read yet what is registered.
    NotYet,
    /// The peer may not know.
    Secret,
}

/// An answer as it is sent, and how it went in one word.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) result: &'static str,
}

impl Zone {
    pub(crate) fn new(config: &DnsConfig) -> Self {
        Self {
            domains: config.domains().collect(),
            ttl: config.ttl_seconds,
            negative_ttl: config.negative_ttl_seconds,
            udp_bytes_max: config.udp_bytes_max,
        }
    }

    fn domain_of(&self, name: &Name) -> Option<&Name> {
        self.domains.iter().find(|domain| domain.zone_of(name))
    }

    /// The record of authority, by whose minimum it is told how long nothing may be kept (RFC 2308).
    fn authority(&self, domain: &Name, index: u64) -> Record {
        let mailbox = domain.prepend_label("hostmaster").unwrap_or_else(|_| domain.clone());
        // Serials are compared modulo their size.
        let serial = u32::try_from(index & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let soa = SOA::new(domain.clone(), mailbox, serial, 3600, 600, 86_400, self.negative_ttl);
        Record::from_rdata(domain.clone(), self.negative_ttl, RData::SOA(soa))
    }

    fn bytes_max(&self, request: &Message, transport: Transport) -> usize {
        let bytes = match (transport, &request.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => UDP_BYTES_MIN,
            (Transport::Udp, Some(edns)) => {
                edns.max_payload().clamp(UDP_BYTES_MIN, self.udp_bytes_max)
            }
        };
        usize::from(bytes)
    }
}

/// Answers a message. `None` where an answer would be no help: to answers, and to what has no header.
pub(crate) fn reply(
    zone: &Zone,
    message: &[u8],
    transport: Transport,
    known: Known<'_>,
    dice: &mut Dice,
) -> Option<Reply> {
    let Ok(request) = Message::from_vec(message) else { return malformed(message) };
    if request.metadata.message_type == MessageType::Response {
        return None;
    }
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata = Metadata::response_from_request(&request.metadata);
    response.queries.clone_from(&request.queries);
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(zone.udp_bytes_max);
        response.edns = Some(edns);
    }
    response.metadata.response_code = answer(zone, &request, known, dice, &mut response);
    let result = result(&response);
    let bytes = encode(response, zone.bytes_max(&request, transport))?;
    Some(Reply { bytes, result })
}

/// One word for the metrics.
fn result(response: &Message) -> &'static str {
    match response.metadata.response_code {
        ResponseCode::NoError if response.answers.is_empty() => "nodata",
        ResponseCode::NoError => "ok",
        ResponseCode::NXDomain => "nxdomain",
        ResponseCode::Refused => "refused",
        ResponseCode::ServFail => "servfail",
        ResponseCode::NotImp => "notimp",
        _ => "formerr",
    }
}

/// What cannot be read is answered if it is a question.
fn malformed(message: &[u8]) -> Option<Reply> {
    let [first, second, flags, ..] = message.get(..HEADER_BYTES)? else { return None };
    let is_response = flags >> 7 == 1;
    if is_response {
        return None;
    }
    let id = u16::from_be_bytes([*first, *second]);
    let op_code = OpCode::from_u8((flags >> 3) & 0xf);
    let response = Message::error_msg(id, op_code, ResponseCode::FormErr);
    Some(Reply { bytes: response.to_vec().ok()?, result: "formerr" })
}

fn answer(
    zone: &Zone,
    request: &Message,
    known: Known<'_>,
    dice: &mut Dice,
    response: &mut Message,
) -> ResponseCode {
    if request.metadata.op_code != OpCode::Query {
        return ResponseCode::NotImp;
    }
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return ResponseCode::BADVERS;
    }
    let [query] = request.queries.as_slice() else { return ResponseCode::FormErr };
    if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return ResponseCode::Refused;
    }
    let Some(domain) = zone.domain_of(query.name()) else { return ResponseCode::Refused };
    if matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR) {
        return ResponseCode::Refused;
    }
    match known {
        Known::Secret => ResponseCode::Refused,
        Known::NotYet => ResponseCode::ServFail,
        Known::Services(services) => {
            response.metadata.authoritative = true;
            let exists = fill(zone, domain, query, services, dice, response);
            if response.answers.is_empty() {
                response.add_authority(zone.authority(domain, services.index()));
            }
            if exists { ResponseCode::NoError } else { ResponseCode::NXDomain }
        }
    }
}

/// Adds what is asked for. `false`: the name does not exist.
fn fill(
    zone: &Zone,
    domain: &Name,
    query: &Query,
    services: &Services,
    dice: &mut Dice,
    response: &mut Message,
) -> bool {
    let (owner, kind) = (query.name(), query.query_type());
    let is_any = kind == RecordType::ANY;
    let families =
        Families { v4: is_any || kind == RecordType::A, v6: is_any || kind == RecordType::AAAA };
    match question::read(owner, domain) {
        Asked::Nothing => return false,
        Asked::Between => {}
        Asked::Apex => {
            if is_any || kind == RecordType::SOA {
                response.add_answer(zone.authority(domain, services.index()));
            }
        }
        Asked::Node => {
            response.add_answers(records::wanted_address(owner, NODE_ADDRESS, families, zone.ttl));
        }
        Asked::Address(address) => {
            response.add_answers(records::wanted_address(owner, address, families, zone.ttl));
        }
        Asked::Instances { service, tag } => {
            let found = services.get(&service);
            let chosen = found.and_then(|found| records::choose(found, tag.as_deref(), dice));
            let Some(chosen) = chosen else { return false };
            let ttl = records::ttl(&chosen, zone.ttl);
            if kind == RecordType::SRV {
                let (answers, additional) = records::locations(owner, domain, &chosen, ttl);
                response.add_answers(answers);
                response.add_additionals(additional);
            } else if families.v4 || families.v6 {
                response.add_answers(records::addresses(owner, &chosen, families, ttl));
            }
        }
    }
    true
}

/// At most `bytes_max`. First what is additional is left out, which nobody needs to know of; then answers, of which the
/// client is told, so that it asks again over TCP (RFC 2181 section 9).
fn encode(mut response: Message, bytes_max: usize) -> Option<Vec<u8>> {
    if let Some(bytes) = encode_whole(&response, bytes_max) {
        return Some(bytes);
    }
    response.additionals.clear();
    if let Some(bytes) = encode_whole(&response, bytes_max) {
        return Some(bytes);
    }
    let mut answers = std::mem::take(&mut response.answers);
    response.metadata.truncation = true;
    let mut best = encode_whole(&response, bytes_max)?;
    // As many as fit: between those that do and one more than those that could.
    let (mut fits, mut over) = (0, answers.len().min(bytes_max / ANSWER_BYTES_MIN) + 1);
    answers.truncate(over);
    while fits + 1 < over {
        let count = fits.midpoint(over);
        response.answers = answers.iter().take(count).cloned().collect();
        match encode_whole(&response, bytes_max) {
            Some(bytes) => (best, fits) = (bytes, count),
            None => over = count,
        }
    }
    Some(best)
}

/// The message, if all of it fits. The encoder leaves out what is beyond its own bound, and says so in the message only.
fn encode_whole(message: &Message, bytes_max: usize) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    let is_cut = bytes.get(2).is_some_and(|flags| flags & TRUNCATED != 0);
    (bytes.len() <= bytes_max && is_cut == message.metadata.truncation).then_some(bytes)
}

#[cfg(test)]
mod tests;
