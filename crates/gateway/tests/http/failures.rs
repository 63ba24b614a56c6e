//! Upstreams that are away, die, hang or break off: what the client is told, and that nothing is done twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use lombard_gateway::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Upstream, World, closed_port, problem, until};

/// What an upstream without manners does with each connection, after the requests it answers.
#[derive(Clone, Copy)]
enum Manners {
    /// Answers so many requests, then reads one more and closes.
    CloseAfterReading { answers: usize },
    /// Answers so many requests, then closes at once.
    CloseIdle { answers: usize },
    /// Reads, and never answers.
    Hang,
}

/// The address, and how many heads were read.
async fn rude(manners: Manners) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let heads = Arc::clone(&counting);
            tokio::spawn(async move {
                let mut answered = 0;
                loop {
                    if matches!(manners, Manners::CloseIdle { answers } if answered == answers) {
                        return;
                    }
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    heads.fetch_add(1, SeqCst);
                    match manners {
                        Manners::Hang => std::future::pending().await,
                        Manners::CloseAfterReading { answers } if answered == answers => return,
                        _ => {}
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                    answered += 1;
                }
            });
        }
    });
    (address, heads)
}

async fn world_with(config: Config, instances: &[SocketAddr]) -> (World, String) {
    let world = World::with(config).await;
    world.register("payments", instances).await;
    let token = world.token("/payments", "payments:read payments:write");
    (world, token)
}

fn config() -> Config {
    Config { workers: 1, ..Config::default() }
}

#[tokio::test]
async fn nobody_there() {
    let (world, token) = world_with(config(), &[closed_port()]).await;
    let (status, slug, detail) = problem(world.post("/payments/x", &token, "").await).await;
    assert_eq!((status, slug.as_str()), (502, "upstream-unreachable"));
    assert!(detail.contains("nothing happened"), "{detail}");

    let response = world.get("/console", "").await;
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(problem(response).await.1, "role-away");

    let response = world.get("/other/x", &world.token("/other", "other:read")).await;
    assert_eq!(response.headers()["retry-after"], "1");
    let (status, slug, _) = problem(response).await;
    assert_eq!((status, slug.as_str()), (503, "no-instances"));
}

#[tokio::test]
async fn a_post_is_not_repeated_after_it_was_sent() {
    let (address, heads) = rude(Manners::CloseAfterReading { answers: 0 }).await;
    let (world, token) = world_with(config(), &[address]).await;
    let (status, slug, detail) = problem(world.post("/payments/x", &token, "").await).await;
    assert_eq!((status, slug.as_str()), (502, "upstream-broken"));
    assert!(detail.contains("Idempotency-Key"), "{detail}");
    assert_eq!(heads.load(SeqCst), 1);
    let (status, slug, _) = problem(world.get("/payments/x", &token).await).await;
    assert_eq!((status, slug.as_str()), (502, "upstream-broken"));
    assert_eq!(heads.load(SeqCst), 1 + 3, "a GET without a body is tried three times");
}

#[tokio::test]
async fn a_post_on_a_used_connection_is_not_repeated_either() {
    let (address, heads) = rude(Manners::CloseAfterReading { answers: 1 }).await;
    let (world, token) = world_with(config(), &[address]).await;
    assert_eq!(world.post("/payments/x", &token, "").await.text().await.unwrap(), "ok");
    let (status, slug, _) = problem(world.post("/payments/x", &token, "").await).await;
    assert_eq!((status, slug.as_str()), (502, "upstream-broken"));
    assert_eq!(heads.load(SeqCst), 2);
    assert_eq!(world.get("/payments/x", &token).await.status(), 200);
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_replaced() {
    let (address, heads) = rude(Manners::CloseIdle { answers: 1 }).await;
    let (world, token) = world_with(config(), &[address]).await;
    for number in 1..=20 {
        let response = world.post("/payments/x", &token, "").await;
        assert_eq!(response.status(), 200, "{number}");
        assert_eq!(response.text().await.unwrap(), "ok");
        // What is written before the close arrives cannot be told from what was read: give it time to arrive.
        until(async || tcp_is_quiet(address)).await;
    }
    assert_eq!(heads.load(SeqCst), 20);
}

/// Whether no connection to this address is half closed any more, so that the gateway has seen the close.
fn tcp_is_quiet(address: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", address.port());
    // 05 FIN_WAIT2: closed here, not there; 08 CLOSE_WAIT: the other end of the same; 01, 04: not closed yet.
    !table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_this = fields[1].ends_with(&port) || fields[2].ends_with(&port);
        is_this && matches!(fields[3], "01" | "04" | "05" | "08")
    })
}

#[tokio::test]
async fn an_upstream_that_hangs() {
    let (address, heads) = rude(Manners::Hang).await;
    let (world, token) =
        world_with(Config { response_timeout_ms: 100, ..config() }, &[address]).await;
    for method in ["POST", "GET"] {
        let request = world.client.request(method.parse().unwrap(), world.url("/payments/x"));
        let response = request.bearer_auth(&token).send().await.unwrap();
        let (status, slug, _) = problem(response).await;
        assert_eq!((status, slug.as_str()), (504, "upstream-timeout"));
    }
    assert_eq!(heads.load(SeqCst), 2);
}

#[tokio::test]
async fn an_instance_that_hangs_costs_no_request_that_can_be_repeated() {
    let (hanging, heads) = rude(Manners::Hang).await;
    let upstream = Upstream::start("payments").await;
    let text = format!(
        "
        response_timeout_ms = 60000
        [[upstream]]
        name = \"payments\"
        addresses = [\"{hanging}\", \"{}\"]
        ejection_ms = 30000
        [[route]]
        name = \"payments\"
        prefix = \"/payments\"
        upstream = \"payments\"
        auth = \"none\"
        retry = {{ try_timeout_ms = 50 }}
        ",
        upstream.address
    );
    let world = World::with(crate::support::config(&text)).await;
    for number in 1..=40 {
        assert_eq!(world.get("/payments/x", "").await.status(), 200, "{number}");
        let keyed = world.client.put(world.url("/payments/x")).body("x").send().await.unwrap();
        assert_eq!(keyed.status(), 200, "{number}");
    }
    assert_eq!(heads.load(SeqCst), 3, "then it is ejected");
    assert_eq!(upstream.requests(), 80);
}

#[tokio::test]
async fn a_post_waits_for_its_one_answer() {
    // Another try would be a second payment: the time of a try is not for it.
    let (hanging, heads) = rude(Manners::Hang).await;
    let text = format!(
        "
        response_timeout_ms = 200
        [[upstream]]
        name = \"payments\"
        addresses = [\"{hanging}\"]
        [[route]]
        name = \"payments\"
        prefix = \"/payments\"
        upstream = \"payments\"
        auth = \"none\"
        retry = {{ try_timeout_ms = 20 }}
        "
    );
    let world = World::with(crate::support::config(&text)).await;
    let (status, slug, _) = problem(world.post("/payments/x", "", "x").await).await;
    assert_eq!((status, slug.as_str(), heads.load(SeqCst)), (504, "upstream-timeout", 1));
    // All tries together take no longer than the timeout; a GET uses them all.
    let (status, slug, _) = problem(world.get("/payments/x", "").await).await;
    assert_eq!((status, slug.as_str(), heads.load(SeqCst)), (504, "upstream-timeout", 1 + 3));
}

#[tokio::test]
async fn an_instance_that_is_away_costs_no_request() {
    let upstream = Upstream::start("payments").await;
    let (world, token) = world_with(config(), &[closed_port(), upstream.address]).await;
    for number in 1..=50 {
        assert_eq!(world.post("/payments/x", &token, "x").await.status(), 200);
        assert_eq!(upstream.requests(), number, "each once");
    }
}

#[tokio::test]
async fn an_instance_that_dies_costs_no_get_and_doubles_no_post() {
    let upstreams = [Upstream::start("a").await, Upstream::start("b").await];
    let addresses = upstreams.clone().map(|upstream| upstream.address);
    let (world, token) = world_with(config(), &addresses).await;
    let (mut sent, mut unknown) = (0, 0);
    for number in 0..200 {
        if number == 50 {
            upstreams[0].kill();
        }
        assert_eq!(world.get("/payments/x", &token).await.status(), 200);
        let response = world.post("/payments/x", &token, "x").await;
        sent += 1;
        if response.status() != 200 {
            assert_eq!(problem(response).await.1, "upstream-broken");
            unknown += 1;
        }
    }
    let received = upstreams[0].requests() + upstreams[1].requests();
    assert!(received <= 200 + sent + unknown, "{received}");
    assert!(unknown <= 1, "only what was on its way may be unknown: {unknown}");
}

#[tokio::test]
async fn without_the_registry_the_last_instances_stay_in_use() {
    let upstream = Upstream::start("payments").await;
    let (world, token) = world_with(config(), &[upstream.address]).await;
    world.break_registry().await;
    assert_eq!(world.get("/payments/x", &token).await.status(), 200);
    assert!(world.health.is_ready());
}

#[tokio::test]
async fn instances_that_go_away_get_nothing_more() {
    let upstreams = [Upstream::start("a").await, Upstream::start("b").await];
    let (world, token) = world_with(config(), &[upstreams[0].address]).await;
    assert_eq!(world.get("/payments/x", &token).await.status(), 200);
    world.register("payments", &[upstreams[1].address]).await;
    for _ in 0..10 {
        assert_eq!(world.get("/payments/x", &token).await.status(), 200);
    }
    assert_eq!((upstreams[0].requests(), upstreams[1].requests()), (1, 10));
    world.register("payments", &[]).await;
    until(async || world.get("/payments/x", &token).await.status() == 503).await;
}
