//! What must hold of any answer.

use hickory_proto::op::Message;
use lombard_registry_core::Services;

use super::{
    DnsConfig,
    answer::{Known, Transport, Zone, reply},
    order::Dice,
};

/// Asks over UDP and over TCP.
pub(crate) fn ask(services: &Services, config: &DnsConfig, message: &[u8]) {
    let zone = Zone::new(config);
    for (transport, bytes_max) in
        [(Transport::Udp, usize::from(config.udp_bytes_max)), (Transport::Tcp, 0xffff)]
    {
        let mut dice = Dice::new(1);
        let answered = reply(&zone, message, transport, Known::Services(services), &mut dice);
        let Some(answered) = answered else { continue };
        assert!(answered.bytes.len() <= bytes_max, "{}", answered.bytes.len());
        assert_eq!(answered.bytes.get(..2), message.get(..2), "the id");
        let Ok(read) = Message::from_vec(&answered.bytes) else {
            panic!("the answer cannot be read");
        };
        assert!(read.metadata.message_type == hickory_proto::op::MessageType::Response);
    }
}
