//! Upstreams that are killed and come back under load: no request is done twice, and whoever is told that nothing happened was
//! told the truth. `LOMBARD_CHAOS_POSTS=1000000` sends that many.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    idempotency,
    support::{World, config, problem},
};

const POSTS: usize = 4000;
/// Each is several requests to the event store too.
const POSTS_WITH_KEYS: usize = 1000;
const IN_FLIGHT: usize = 24;
const INSTANCES: usize = 3;

/// How often each request was received whole, by any instance.
type Received = Arc<Mutex<HashMap<String, u32>>>;

/// An instance that can be killed and comes back at its address.
struct Instance {
    address: SocketAddr,
    received: Received,
    running: tokio::task::JoinSet<()>,
}

impl Instance {
    async fn start(received: &Received) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut own =
            Self { address, received: Arc::clone(received), running: tokio::task::JoinSet::new() };
        own.run(listener);
        own
    }

    fn run(&mut self, listener: TcpListener) {
        let received = Arc::clone(&self.received);
        self.running.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(serve(stream, Arc::clone(&received)));
            }
        });
    }

    /// All connections break, whatever is on them.
    async fn kill_and_restart(&mut self) {
        self.running.abort_all();
        while self.running.join_next().await.is_some() {}
        // The address is free again once the socket is closed, which is a moment later.
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.run(listener);
    }
}

/// Counts each request by its path before it is answered, as a database would have done it.
async fn serve(mut stream: TcpStream, received: Received) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                // Each has a body of one byte.
                if bytes.len() > end + 4 {
                    break end + 5;
                }
            }
            let mut part = [0; 4096];
            match stream.read(&mut part).await {
                Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
                _ => return,
            }
        };
        let head = String::from_utf8(bytes.drain(..end).collect()).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        *received.lock().unwrap().entry(path).or_default() += 1;
        // A moment in which it can be killed after it was done and before it was answered.
        tokio::task::yield_now().await;
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// How many requests are sent.
fn posts(usual: usize) -> usize {
    let asked = std::env::var("LOMBARD_CHAOS_POSTS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// One after the other, each time that so many more requests have been answered.
fn kill_one_after_the_other(
    mut instances: Vec<Instance>,
    done: Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut kills = 0;
        loop {
            let wanted = (kills + 1) * 100;
            while done.load(SeqCst) < wanted {
                tokio::task::yield_now().await;
            }
            instances[kills % INSTANCES].kill_and_restart().await;
            kills += 1;
        }
    })
}

/// Instances, and what they receive.
async fn start_instances() -> (Vec<Instance>, Received) {
    let received = Received::default();
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(Instance::start(&received).await);
    }
    (instances, received)
}

/// A configuration with a route to the instances.
fn route_to(instances: &[Instance], of_route: &str) -> String {
    let addresses: Vec<String> =
        instances.iter().map(|instance| format!("\"{}\"", instance.address)).collect();
    format!(
        "
        [[upstream]]
        name = \"payments\"
        addresses = [{}]
        breaker_failure_percent = 100
        [[route]]
        name = \"payments\"
        prefix = \"/payments\"
        upstream = \"payments\"
        {of_route}
        ",
        addresses.join(", ")
    )
}

/// Sends so many requests while one instance after the other is killed, and says how each ended: `ok`, or as a problem.
async fn send_under_kills(
    instances: Vec<Instance>,
    posts: usize,
    send: impl AsyncFn(String) -> String,
) -> Vec<(String, String)> {
    let done = Arc::new(AtomicUsize::new(0));
    let killing = kill_one_after_the_other(instances, Arc::clone(&done));
    let sent = futures_util::stream::iter(0..posts).map(async |number| {
        let path = format!("/payments/{number}");
        let outcome = send(path.clone()).await;
        done.fetch_add(1, SeqCst);
        (path, outcome)
    });
    let outcomes = sent.buffer_unordered(IN_FLIGHT).collect().await;
    killing.abort();
    outcomes
}

/// What was answered was done once, what is unknown once or not at all, and what was said not to be sent was not. A kill costs no
/// more than what was under way at the instance.
fn check(outcomes: &[(String, String)], received: &Received, unknown_as: &[&str]) {
    let received = received.lock().unwrap();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (path, outcome) in outcomes {
        *counts.entry(outcome).or_default() += 1;
        let times = received.get(path).copied().unwrap_or(0);
        match outcome.as_str() {
            "ok" => assert_eq!(times, 1, "{path}"),
            unknown if unknown_as.contains(&unknown) => assert!(times <= 1, "{path}: {times}"),
            _ => assert_eq!(times, 0, "{path}: {outcome}"),
        }
    }
    let unknown: usize = unknown_as.iter().filter_map(|outcome| counts.get(outcome)).sum();
    assert!(unknown <= outcomes.len() / 100 * IN_FLIGHT, "{counts:?}");
    assert!(counts["ok"] > outcomes.len() / 2, "{counts:?}");
}

#[tokio::test]
async fn with_a_key_a_request_is_done_once_however_often_it_is_repeated() {
    let (instances, received) = start_instances().await;
    let text = route_to(&instances, "idempotency = \"gateway\"");
    let world = idempotency::world_of(&text).await;
    let token = world.token("/payments", "a:b");
    // A client repeats what failed, with the same key, until it knows.
    let outcomes = send_under_kills(instances, posts(POSTS_WITH_KEYS), async |path| {
        loop {
            let request = world.client.post(world.url(&path)).bearer_auth(&token).body("x");
            let response = request.header("idempotency-key", path.clone()).send().await.unwrap();
            if response.status() == 200 {
                assert_eq!(response.text().await.unwrap(), "ok");
                return "ok".to_owned();
            }
            let (_, slug, detail) = problem(response).await;
            if slug == "outcome-unknown" {
                return slug;
            }
            assert!(!slug.is_empty(), "{detail}");
        }
    })
    .await;
    check(&outcomes, &received, &["outcome-unknown"]);
}

#[tokio::test]
async fn no_mutation_is_done_twice_while_upstreams_are_killed() {
    let (instances, received) = start_instances().await;
    let world = World::with(config(&route_to(&instances, "auth = \"none\""))).await;
    let outcomes = send_under_kills(instances, posts(POSTS), async |path| {
        let response = world.client.post(world.url(&path)).body("x").send().await.unwrap();
        if response.status() == 200 {
            return "ok".to_owned();
        }
        let (_, slug, detail) = problem(response).await;
        let is_said = detail.starts_with("not sent") || detail.contains("outcome unknown");
        assert!(is_said, "{slug} {detail}");
        slug
    })
    .await;
    check(&outcomes, &received, &["upstream-broken", "upstream-timeout"]);
}
