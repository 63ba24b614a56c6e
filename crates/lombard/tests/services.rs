//! A service beside the real program: registered, drained, taken out and put back, and what the gateway does meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use lombard_client::{Credentials, Health, Platform as Client};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use serde_json::Value;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
/// Nothing here takes long; a busy machine is no fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that answers everything with its name.
fn serve(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok_and(|count| count > 0) {
                let length = name.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}"
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    url
}

/// Who answers a request through the gateway: an instance's name, or the slug of a problem.
fn who(gateway: &str, token: &str) -> String {
    let authority = gateway.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    let request = format!(
        "GET /hello/ HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if head.starts_with("HTTP/1.1 200") {
        return body.to_owned();
    }
    let problem: Value = serde_json::from_str(body).unwrap();
    problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn traffic_follows_how_instances_stand() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let gateway = platform.url("gateway").unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let credentials = Credentials::key("lombard-operator", SigningKey::from_pkcs8(&key).unwrap());
    let client = Client::connect(&gateway, credentials).await.unwrap();
    let token = client.access_token("/hello").await.unwrap().secret().to_owned();
    let ask = || who(&gateway, &token);
    let said = |arguments: &[&str]| {
        let output = platform.run(arguments).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };

    let registry = client.registry();
    let ttl = Duration::from_secs(60);
    let one = registry.register("hello", "one", &serve("one"), ttl).await.unwrap();
    wait_until("the gateway knows it", || ask() == "one");

    assert_eq!(said(&["service", "drain", "hello", "one"]), "hello/one is draining\n");
    wait_until("nothing new goes there", || ask() == "no-instances");
    let two = registry.register("hello", "two", &serve("two"), ttl).await.unwrap();
    wait_until("the other takes over", || ask() == "two");

    two.report(Health::Critical, "no database").await.unwrap();
    wait_until("it has said that it cannot", || ask() == "no-instances");
    assert!(said(&["service", "get", "hello"]).contains("no database"));
    two.report(Health::Passing, "").await.unwrap();
    wait_until("it has said that it can", || ask() == "two");

    said(&["service", "maintain", "hello", "two", "--note", "disk swap"]);
    wait_until("it is out", || ask() == "no-instances");
    said(&["service", "maintain", "hello", "two", "--end"]);
    wait_until("it is back", || ask() == "two");

    let history = said(&["service", "history", "hello", "--json"]);
    let history: Value = serde_json::from_str(&history).unwrap();
    let whats: Vec<_> =
        history.as_array().unwrap().iter().map(|change| change["what"].as_str().unwrap()).collect();
    let expected =
        ["passing", "maintenance", "passing", "critical", "registered", "draining", "registered"];
    assert_eq!(whats, expected, "the newest first");
    one.release().await.unwrap();
    two.release().await.unwrap();
    wait_until("both are gone", || ask() == "no-instances" || ask() == "not-found");
    let missing = platform.run(&["service", "drain", "hello", "one"]).unwrap();
    assert_eq!(missing.status.code(), Some(3));
}

/// An instance that takes requests and answers none.
fn serve_nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut head = [0; 4096];
            drop(stream.unwrap().read(&mut head));
        }
    });
    url
}

#[tokio::test]
async fn what_fails_the_gateway_is_told_to_the_registry() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let gateway = platform.url("gateway").unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let credentials = Credentials::key("lombard-operator", SigningKey::from_pkcs8(&key).unwrap());
    let client = Client::connect(&gateway, credentials).await.unwrap();
    let token = client.access_token("/hello").await.unwrap().secret().to_owned();
    let registry = client.registry();
    let ttl = Duration::from_secs(600);
    let well = registry.register("hello", "well", &serve("well"), ttl).await.unwrap();
    let ill = registry.register("hello", "ill", &serve_nobody(), ttl).await.unwrap();
    let get = || {
        let output = platform.run(&["service", "get", "hello", "--json"]).unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let instances = found.as_array().unwrap().clone();
        instances.into_iter().find(|each| each["instance"] == "ill").unwrap()
    };
    wait_until("others are told", || {
        for _ in 0..20 {
            who(&gateway, &token);
        }
        get()["state"] == "critical"
    });
    assert_eq!(get()["note"], "the gateway gets failures from it, or no answer");
    assert_eq!(who(&gateway, &token), "well");
    let history = registry.history("hello", 1).await.unwrap();
    assert_eq!(history[0].what, "suspected");
    assert_eq!(history[0].client_id.as_deref(), Some("lombard-gateway"));
    well.release().await.unwrap();
    let ends = registry.instances("hello").await.unwrap();
    assert_eq!(ends[0].state, "passing", "rather than nobody");
    ill.release().await.unwrap();
}

#[tokio::test]
async fn a_watch_shows_what_is_and_each_change() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let gateway = platform.url("gateway").unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let credentials = Credentials::key("lombard-operator", SigningKey::from_pkcs8(&key).unwrap());
    let registry = Client::connect(&gateway, credentials).await.unwrap().registry();
    let mut watching = platform
        .command()
        .args(["service", "watch", "hello", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["instances"].as_array().unwrap().len()
    };
    assert_eq!(next(), 0);
    let ttl = Duration::from_secs(60);
    let lease = registry.register("hello", "one", "http://127.0.0.1:9", ttl).await.unwrap();
    assert_eq!(next(), 1);
    lease.release().await.unwrap();
    assert_eq!(next(), 0);
    watching.kill().unwrap();
    watching.wait().unwrap();
}
