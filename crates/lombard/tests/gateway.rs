//! The gateway's configuration beside the real program: checked, used, replaced, refused with mistakes; and keys that it keeps in
//! the real event store over a kill.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use lombard_testkit::Platform;
use serde_json::Value;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");

/// Counts requests, and answers each with its number.
fn serve() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok_and(|count| count > 0) {
                let body = format!("number {}", counting.fetch_add(1, SeqCst) + 1);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    (address, requests)
}

fn post(gateway: &str, token: &str, key: &str) -> String {
    let authority = gateway.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\nidempotency-key: {key}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn check(file: &Path) -> Output {
    Command::new(LOMBARD).args(["gateway", "check"]).arg(file).output().unwrap()
}

fn json(output: Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_configuration_is_checked_used_and_replaced() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lombard.toml");
    let (address, requests) = serve();
    let good = format!(
        "
        [[gateway.upstream]]
        name = \"orders\"
        addresses = [\"{address}\"]
        [[gateway.route]]
        name = \"orders\"
        prefix = \"/orders\"
        upstream = \"orders\"
        idempotency = \"gateway\"
        "
    );
    std::fs::write(
        &file,
        good.replace("prefix", "prefixes")
            .replace("\"orders\"\n        idem", "\"Nobody\"\n        idem"),
    )
    .unwrap();
    let bad = check(&file);
    assert!(!bad.status.success());
    let said = String::from_utf8(bad.stderr).unwrap();
    assert!(said.contains("prefixes"), "{said}");

    std::fs::write(&file, &good).unwrap();
    assert!(check(&file).status.success());
    let settings = [("LOMBARD_CONFIG", file.to_str().unwrap())];
    let mut platform =
        Platform::start_with(Path::new(LOMBARD), tempfile::tempdir().unwrap(), &settings).unwrap();
    let gateway = platform.url("gateway").unwrap();
    let token = platform.run(&["token", "/orders"]).unwrap();
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();

    let first = post(&gateway, &token, "k-1");
    assert!(first.ends_with("number 1"), "{first}");
    let again = post(&gateway, &token, "k-1");
    assert!(
        again.contains("idempotency-replayed: true\r\n") && again.ends_with("number 1"),
        "{again}"
    );
    platform.kill("gateway").unwrap();
    let after = post(&gateway, &token, "k-1");
    assert!(after.ends_with("number 1"), "{after}");
    assert_eq!(requests.load(SeqCst), 1);

    let upstreams = json(platform.run(&["gateway", "upstreams", "--json"]).unwrap());
    let names: Vec<&str> = upstreams["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upstream| upstream["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"orders") && names.contains(&"ledger"), "{names:?}");

    let top = platform.run(&["gateway", "top", "--count", "1", "--interval-ms", "100"]).unwrap();
    let top = String::from_utf8(top.stdout).unwrap();
    assert!(top.contains("REQUESTS/S") && top.contains(&address), "{top}");

    // Mistakes change nothing; what is in order is used from the next request on.
    std::fs::write(&file, good.replace("/orders", "orders")).unwrap();
    let refused = platform.run(&["gateway", "reload"]).unwrap();
    assert!(!refused.status.success());
    let routes = json(platform.run(&["gateway", "routes", "--json"]).unwrap());
    assert_eq!(routes["routes"][0]["path"], "/orders/*");
    std::fs::write(&file, good.replace("\"/orders\"", "\"/orders/new\"")).unwrap();
    assert!(platform.run(&["gateway", "reload"]).unwrap().status.success());
    let routes = json(platform.run(&["gateway", "routes", "--json"]).unwrap());
    assert_eq!(routes["routes"][0]["path"], "/orders/new/*");
    platform.stop().unwrap();
}

#[test]
fn the_socket_with_tls_outlives_the_gateway() {
    let place = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    let write = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = write("certificate.pem", &certified.cert.pem());
    let key = write("key.pem", &certified.signing_key.serialize_pem());
    let file = write(
        "lombard.toml",
        &format!(
            "
            [gateway]
            tls_listen = \"127.0.0.1:8443\"
            [[gateway.certificate]]
            names = [\"gateway.test\"]
            certificate_file = {certificate:?}
            key_file = {key:?}
            "
        ),
    );
    let settings = [("LOMBARD_CONFIG", file.to_str().unwrap())];
    let mut platform =
        Platform::start_with(Path::new(LOMBARD), tempfile::tempdir().unwrap(), &settings).unwrap();
    let address = |platform: &Platform| {
        let state = platform.state().unwrap();
        let roles = state["roles"].as_array().unwrap().iter();
        let gateway = roles.into_iter().find(|role| role["role"] == "gateway").unwrap();
        gateway["tls_address"].as_str().unwrap().to_owned()
    };
    let before = address(&platform);
    let (is_over, connected) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let connecting = {
        let (is_over, connected, before) =
            (Arc::clone(&is_over), Arc::clone(&connected), before.clone());
        std::thread::spawn(move || -> std::io::Result<()> {
            while is_over.load(SeqCst) == 0 {
                drop(TcpStream::connect(&before)?);
                connected.fetch_add(1, SeqCst);
            }
            Ok(())
        })
    };
    platform.kill("gateway").unwrap();
    let after_first = connected.load(SeqCst);
    platform.kill("gateway").unwrap();
    is_over.store(1, SeqCst);
    connecting.join().unwrap().unwrap();
    assert!(connected.load(SeqCst) > after_first && after_first > 0);
    assert_eq!(address(&platform), before);
    platform.stop().unwrap();
}
