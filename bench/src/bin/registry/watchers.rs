//! A thousand who wait for changes of one service.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use lombard_bench::{Cpu, Etcd, FanOut, HttpConnection, Rounds, Sample, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::Instant,
};

use crate::{Arguments, MARK, etcd_fill, fill, register, registration};

const SERVICE: &str = "watched";
const INSTANCES: usize = 5;
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
const CHANGES_MAX: usize = 10_000;

/// Changes the service at a steady rate, and counts deliveries for the window.
async fn measure(
    fan_out: &FanOut,
    cpu: Cpu,
    changes_per_second: u32,
    window: Duration,
    mut change: impl AsyncFnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<(Duration, Duration)> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / changes_per_second);
    let (begun, mut counted_from) = (Instant::now(), None);
    for number in 1.. {
        ticks.tick().await;
        if counted_from.is_none() && begun.elapsed() >= WARM_UP {
            fan_out.count(true);
            counted_from = Some((cpu.used(), Instant::now()));
        }
        if begun.elapsed() >= WARM_UP + window {
            break;
        }
        fan_out.sending(number)?;
        change(number).await?;
    }
    let (used, from) = counted_from.context("nothing was counted")?;
    // The last change is on its way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ended = (from.elapsed(), cpu.used().saturating_sub(used));
    fan_out.count(false);
    Ok(ended)
}

fn sample(fan_out: &FanOut, (elapsed, cpu): (Duration, Duration)) -> Sample {
    let latencies = fan_out.deliveries();
    Sample { operations: latencies.len(), elapsed, cpu, latencies }
}

// === SSE ===

/// A watch that has begun.
pub(crate) async fn open(server: &Server, service: &str) -> anyhow::Result<TcpStream> {
    let mut connection = TcpStream::connect(&server.http_address).await?;
    let request = format!(
        "GET /v1/registry/services/{service} HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\
         authorization: Bearer {}\r\n\r\n",
        server.token
    );
    connection.write_all(request.as_bytes()).await?;
    read_until(&mut connection, b"i4").await?;
    Ok(connection)
}

/// Reads until something was said.
pub(crate) async fn read_until(stream: &mut TcpStream, what: &[u8]) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    while memchr::memmem::find(&bytes, what).is_none() {
        let count = stream.read_buf(&mut bytes).await?;
        anyhow::ensure!(count > 0, "{}", String::from_utf8_lossy(&bytes));
    }
    Ok(())
}

async fn receive(mut stream: TcpStream, fan_out: Arc<FanOut>) -> anyhow::Result<()> {
    let mut bytes = Vec::with_capacity(8 << 10);
    loop {
        let count = stream.read_buf(&mut bytes).await?;
        anyhow::ensure!(count > 0, "the watch ended");
        let kept = fan_out.received(&bytes)?;
        bytes.drain(..bytes.len() - kept);
    }
}

async fn sse(arguments: &Arguments) -> anyhow::Result<Sample> {
    let server = Server::start_registry(&arguments.options.directory)?;
    fill(&server, SERVICE, INSTANCES).await?;
    let fan_out = FanOut::new(CHANGES_MAX, MARK);
    let mut receiving = JoinSet::new();
    for _ in 0..arguments.watchers {
        receiving.spawn(receive(open(&server, SERVICE).await?, Arc::clone(&fan_out)));
    }
    let mut connection = HttpConnection::open(&server.http_address, &server.token).await?;
    let change = async |number| register(&mut connection, SERVICE, "i0", number).await;
    let window = arguments.options.window();
    let used = measure(&fan_out, server.cpu(), 20, window, change).await?;
    println!("    lombard: {:.1} MiB", server.resident_mib()?);
    Ok(sample(&fan_out, used))
}

async fn etcd(arguments: &Arguments) -> anyhow::Result<Sample> {
    let etcd = Etcd::start(&arguments.options.directory)?;
    etcd_fill(&etcd, SERVICE, INSTANCES).await?;
    let fan_out = FanOut::new(CHANGES_MAX, MARK);
    let mut receiving: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for _ in 0..arguments.watchers {
        let mut client = etcd.connect().await?;
        let mut watch = client.watch(b"/services/watched/").await?;
        let fan_out = Arc::clone(&fan_out);
        receiving.spawn(async move {
            // The connection lives as long as its client.
            let _client = client;
            loop {
                for value in watch.next().await? {
                    fan_out.received(&value)?;
                }
            }
        });
    }
    let mut client = etcd.connect().await?;
    let key = "/services/watched/i0";
    let change = async |number| client.register(key.to_owned(), registration(number)).await;
    let window = arguments.options.window();
    let used = measure(&fan_out, etcd.cpu(), 20, window, change).await?;
    println!("    etcd: {:.1} MiB", etcd.resident_mib()?);
    Ok(sample(&fan_out, used))
}

pub(crate) fn watch(arguments: &Arguments, runtime: &Runtime) -> anyhow::Result<()> {
    let name = format!(
        "{} watchers of a service with {INSTANCES} instances, a connection each, 20 changes/s",
        arguments.watchers
    );
    let outcome = Rounds::new(name, "events", &arguments.options)
        .contender("lombard, SSE", || runtime.block_on(sse(arguments)))
        .contender("etcd", || runtime.block_on(etcd(arguments)))
        .run()?;
    let (own, p99) = ("lombard, SSE", |sample: &Sample| sample.percentile_ms(99.0));
    outcome.at_most("p99 in ms", outcome.median(own, p99), 20.0);
    outcome.at_most("CPU us an event", outcome.median(own, Sample::cpu_us), 14.0);
    println!("  of etcd's p99: {:.2}", outcome.ratio_of(own, "etcd", p99));
    println!("  of etcd's CPU time: {:.2}", outcome.ratio_of(own, "etcd", Sample::cpu_us));
    Ok(())
}

// === Consul's blocking queries ===

async fn query(mut connection: HttpConnection, fan_out: Arc<FanOut>) -> anyhow::Result<()> {
    let mut index = 0;
    loop {
        let path = format!("/v1/health/service/{SERVICE}?index={index}&wait=60s");
        let status = connection.get(&path).await?;
        anyhow::ensure!(status == 200, "answered {status}");
        let (head, body) = connection.answer();
        fan_out.received(body)?;
        let head = std::str::from_utf8(head)?;
        let is_index = |line: &&str| line.to_ascii_lowercase().starts_with("x-consul-index:");
        let line = head.lines().find(is_index).context("no index")?;
        index = line.split_once(':').context("no index")?.1.trim().parse::<u64>()?;
    }
}

async fn consul(arguments: &Arguments) -> anyhow::Result<Sample> {
    let server = Server::start_registry(&arguments.options.directory)?;
    fill(&server, SERVICE, INSTANCES).await?;
    let fan_out = FanOut::new(CHANGES_MAX, MARK);
    let mut receiving = JoinSet::new();
    for _ in 0..arguments.watchers {
        let connection = HttpConnection::open(&server.address, "").await?;
        receiving.spawn(query(connection, Arc::clone(&fan_out)));
    }
    let mut connection = HttpConnection::open(&server.http_address, &server.token).await?;
    let change = async |number| register(&mut connection, SERVICE, "i0", number).await;
    let window = arguments.options.window();
    let used = measure(&fan_out, server.cpu(), 5, window, change).await?;
    Ok(sample(&fan_out, used))
}

pub(crate) fn blocked(arguments: &Arguments, runtime: &Runtime) -> anyhow::Result<()> {
    let name = format!(
        "{} blocked Consul queries of a service with {INSTANCES} instances, 5 changes/s",
        arguments.watchers
    );
    let outcome = Rounds::new(name, "answers", &arguments.options)
        .contender("consul's interface", || runtime.block_on(consul(arguments)))
        .run()?;
    let p99 = outcome.median("consul's interface", |sample| sample.percentile_ms(99.0));
    outcome.at_most("p99 in ms", p99, 80.0);
    Ok(())
}
