//! DNS over real sockets: who may ask, and that what does not fit a datagram comes over a connection.

use std::net::{TcpListener, UdpSocket};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use lombard_log::MemoryLog;
use lombard_registry::{Compatibility, Config, DnsConfig};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Harness, path, registration};

const NAME: &str = "pay.service.lombard.internal.";

/// Where a registry answers, until it drains.
fn listen(registry: &Harness) -> std::net::SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    tokio::spawn(registry.dns.clone().serve(udp, tcp, registry.drain.clone()));
    address
}

fn question(kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(NAME).unwrap(), kind));
    message.to_vec().unwrap()
}

async fn ask_udp(server: std::net::SocketAddr, question: &[u8]) -> Message {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(question, server).await.unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn ask_tcp(stream: &mut TcpStream, question: &[u8]) -> Message {
    stream.write_u16(question.len().try_into().unwrap()).await.unwrap();
    stream.write_all(question).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

#[tokio::test]
async fn an_instance_is_found_until_it_drains() {
    let registry = Harness::new().await;
    let server = listen(&registry);
    let code = async || ask_udp(server, &question(RecordType::A)).await.metadata.response_code;
    assert_eq!(code().await, ResponseCode::NXDomain);
    registry.register("pay", "one").await;
    let found = ask_udp(server, &question(RecordType::SRV)).await;
    assert_eq!((found.answers.len(), found.additionals.len()), (1, 1));
    let drained = registry.post(&format!("{}/drain", path("pay", "one")), &json!({})).send().await;
    assert_eq!(drained.status, 200);
    let found = ask_udp(server, &question(RecordType::SRV)).await;
    assert_eq!((found.metadata.response_code, found.answers.len()), (ResponseCode::NoError, 0));
    let counted = registry.metrics.encode().unwrap();
    assert!(
        counted.contains("requests_total{operation=\"dns\",result=\"nxdomain\"} 1"),
        "{counted}"
    );
}

#[tokio::test]
async fn what_is_too_long_for_a_datagram_comes_over_a_connection() {
    let registry = Harness::new().await;
    let server = listen(&registry);
    for number in 0..40 {
        let mut body = registration();
        body["url"] = format!("http://10.0.0.{number}:80").into();
        registry.put(&path("pay", &number.to_string()), &body).send().await;
    }
    let cut = ask_udp(server, &question(RecordType::A)).await;
    assert!(cut.metadata.truncation && cut.answers.len() < 40);
    let mut stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..3 {
        let whole = ask_tcp(&mut stream, &question(RecordType::A)).await;
        assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 40));
    }
    // One that is longer than any question ends the connection.
    stream.write_u16(u16::MAX).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn who_may_not_ask_is_refused_and_who_is_idle_is_cut_off() {
    let dns = DnsConfig { networks: Vec::new(), tcp_idle_ms_max: 1, ..DnsConfig::default() };
    let registry = Harness::with(Config { dns, ..Config::default() }, MemoryLog::new()).await;
    registry.register("pay", "one").await;
    let server = listen(&registry);
    let refused = ask_udp(server, &question(RecordType::A)).await;
    assert_eq!(refused.metadata.response_code, ResponseCode::Refused);
    let mut idle = TcpStream::connect(server).await.unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);

    let compatibility = Compatibility { anonymous_reads: false };
    let config = Config { compatibility, ..Config::default() };
    let closed = Harness::with(config, MemoryLog::new()).await;
    let refused = ask_udp(listen(&closed), &question(RecordType::A)).await;
    assert_eq!(refused.metadata.response_code, ResponseCode::Refused);
}
