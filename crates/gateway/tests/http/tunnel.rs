//! WebSocket: the upgrade, bytes both ways, and their end. The frames are the endpoints' business (RFC 6455 section 5).

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{World, config, until};

/// Agrees to the upgrade with a greeting, then sends back what it gets until the other side ends.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                assert!(head.contains("upgrade: websocket\r\n"), "{head}");
                assert!(head.contains("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{head}");
                let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut reader, mut writer) = stream.split();
                drop(tokio::io::copy(&mut reader, &mut writer).await);
                drop(writer.shutdown().await);
            });
        }
    });
    address
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head)
        .unwrap()
        .to_ascii_lowercase()
        .replace("dghlihnhbxbszsbub25jzq==", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn routes(address: SocketAddr) -> String {
    format!(
        "
        tunnel_idle_ms_max = 400
        [[upstream]]
        name = \"echo\"
        addresses = [\"{address}\"]
        [[route]]
        name = \"chat\"
        prefix = \"/chat\"
        upstream = \"echo\"
        auth = \"none\"
        "
    )
}

async fn open(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let request = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
    stream
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn bytes_pass_both_ways_whatever_they_look_like() {
    let world = World::with(config(&routes(echo().await))).await;
    let mut stream = open(&world).await;
    assert_eq!(read(&mut stream, 5).await, b"hello");
    // A masked frame, something that would be a smuggled request, and much of it.
    for bytes in [
        &b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..],
        b"GET / HTTP/1.1\nHost: a\n\n",
        &[0; 100_000],
    ] {
        let (mut reader, mut writer) = stream.split();
        let reading = async {
            let mut back = vec![0; bytes.len()];
            reader.read_exact(&mut back).await.unwrap();
            back
        };
        let (back, written) = tokio::join!(reading, writer.write_all(bytes));
        written.unwrap();
        assert_eq!(back, bytes);
    }
    // One side ends; what is on its way still arrives.
    stream.write_all(b"bye").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"bye");
    assert_eq!(world.get("/livez", "").await.status(), 200);
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_ends() {
    let world = World::with(config(&routes(echo().await))).await;
    let mut stream = open(&world).await;
    let mut all = Vec::new();
    drop(stream.read_to_end(&mut all).await);
    assert_eq!(all, b"hello");
}

#[tokio::test]
async fn a_new_configuration_does_not_end_a_tunnel() {
    let text = routes(echo().await).replace("idle_ms_max = 400", "idle_ms_max = 60000");
    let world = World::with(config(&text)).await;
    let mut stream = open(&world).await;
    assert_eq!(read(&mut stream, 5).await, b"hello");
    world.control.apply(config("")).unwrap();
    until(async || world.get("/chat", "").await.status() == 401).await;
    stream.write_all(b"still").await.unwrap();
    assert_eq!(read(&mut stream, 5).await, b"still");
}

#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_is_not_passed_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(head(&mut stream).await);
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    let world = World::with(config(&routes(address))).await;
    assert_eq!(world.get("/chat", "").await.status(), 502);
}
