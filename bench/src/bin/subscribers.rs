//! Live subscribers: how long an event takes to reach a thousand over SSE, and thirty-two over gRPC.
//!
//! One writer appends at a steady rate, over gRPC. Every event carries its number; when each was sent and acknowledged is
//! kept here, so all times are of one clock, and include what this program itself takes to read.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Parser;
use lombard_bench::{
    Latencies, Options, Rounds, Sample, Server, data, event_id, latencies, serve_if_asked,
};
use lombard_client::grpc::{
    AppendSession, GrpcEventStore,
    v1::{AppendRequest, NewEvent, StreamAppend, SubscribeRequest, new_event},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Events a second.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Subscribers over SSE.
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// One workload only: own, all, or grpc.
    #[arg(long)]
    only: Option<String>,
}

const GRPC_SUBSCRIBERS: usize = 32;
const SOURCE: &str = "/bench";
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<()> {
    serve_if_asked(|name, _, _| anyhow::bail!("there is no server {name}"))?;
    const WHAT: &str = "live subscribers: 256-byte events, durable";
    let arguments = Options::start_with(WHAT, |it: &Arguments| &it.options);
    let Arguments { options, rate, subscribers, only } = &arguments;
    let (rate, subscribers) = (*rate, *subscribers);
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if is_wanted("own") {
        let name = format!("{subscribers} SSE subscribers, a stream each, {rate} events/s in all");
        let outcome = Rounds::new(name, "deliveries", options)
            .contender("sse", || runtime.block_on(sse(&arguments, true)))
            .run()?;
        let p99 = outcome.median("sse", |sample| sample.percentile_ms(99.0));
        outcome.at_most("from sending to delivery, p99 in ms", p99, 50.0);
    }
    if is_wanted("all") {
        let name = format!("{subscribers} SSE subscribers to everything, {rate} events/s");
        let outcome = Rounds::new(name, "deliveries", options)
            .contender("sse", || runtime.block_on(sse(&arguments, false)))
            .run()?;
        let p99 = outcome.median("sse", |sample| sample.percentile_ms(99.0));
        outcome.at_most("from sending to delivery, p99 in ms", p99, 50.0);
    }
    if is_wanted("grpc") {
        let name = format!("{GRPC_SUBSCRIBERS} gRPC subscribers to everything, {rate} events/s");
        let outcome = Rounds::new(name, "deliveries", options)
            .contender("grpc", || runtime.block_on(grpc(&arguments)))
            .run()?;
        let p99 = outcome.median("grpc", |sample| sample.percentile_ms(99.0));
        outcome.at_most("from the ack to delivery, p99 in ms", p99, 2.0);
    }
    Ok(())
}

/// When events were sent and acknowledged, and how long deliveries took.
struct Watch {
    begun: Instant,
    /// Nanoseconds since `begun`, by the event's number; 0 where it is not known yet.
    sent: Vec<AtomicU64>,
    acked: Vec<AtomicU64>,
    is_counting: AtomicBool,
    deliveries: Mutex<Latencies>,
}

impl Watch {
    fn new(events_max: usize) -> Arc<Self> {
        let times = || (0..events_max).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            begun: Instant::now(),
            sent: times(),
            acked: times(),
            is_counting: AtomicBool::new(false),
            deliveries: Mutex::new(latencies()),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn note(times: &[AtomicU64], number: u64, now: u64) {
        times[usize::try_from(number).expect("a number")].store(now, Ordering::Release);
    }

    /// Deliveries of these events, at this moment, counted from when they were sent.
    fn delivered(&self, numbers: &[u64], now: u64) {
        if self.is_counting.load(Ordering::Relaxed) {
            let mut deliveries = self.deliveries.lock().expect("nobody panics with it");
            for number in numbers {
                let sent = self.sent[usize::try_from(*number).expect("a number")].load(Ordering::Acquire);
                deliveries.saturating_record((now.saturating_sub(sent) / 1000).max(1));
            }
        }
    }
}

/// Appends at a steady rate until the time is over. `stream_of` says where.
async fn write(
    session: AppendSession,
    watch: Arc<Watch>,
    rate: u64,
    until: Instant,
    stream_of: impl Fn(u64) -> String,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let mut answers = JoinSet::new();
    for number in 0.. {
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        Watch::note(&watch.sent, number, watch.now());
        let appending = session.append(request(stream_of(number), number)).await?;
        let watch = Arc::clone(&watch);
        answers.spawn(async move {
            appending.await?;
            Watch::note(&watch.acked, number, watch.now());
            anyhow::Ok(())
        });
        while let Some(answered) = answers.try_join_next() {
            answered??;
        }
    }
    while let Some(answered) = answers.join_next().await {
        answered??;
    }
    Ok(())
}

fn request(stream: String, number: u64) -> AppendRequest {
    // A JSON string of 256 bytes that begins with the number.
    let data = format!("\"{number:016x}{}", &data(number)[17..]);
    let event = NewEvent {
        id: Bytes::copy_from_slice(&event_id().as_u128().to_be_bytes()),
        r#type: "bench.happened".to_owned(),
        source: SOURCE.to_owned(),
        data: Some(new_event::Data::Json(data.into())),
        ..NewEvent::default()
    };
    let part = StreamAppend { stream, expected: None, events: vec![event] };
    AppendRequest { streams: vec![part], condition: None }
}

/// Runs a writer and counts deliveries for the window.
async fn measure(
    server: &Server,
    arguments: &Arguments,
    watch: &Arc<Watch>,
    stream_of: impl Fn(u64) -> String + Send + 'static,
) -> anyhow::Result<(Duration, Duration)> {
    let store = GrpcEventStore::with_token(&server.address, &server.token);
    let session = store.append_session(1024).await?;
    let until = Instant::now() + WARM_UP + arguments.options.window();
    let (watching, rate) = (Arc::clone(watch), arguments.rate);
    let writing = tokio::spawn(write(session, watching, rate, until, stream_of));
    tokio::time::sleep(WARM_UP).await;
    let (cpu, started) = (server.cpu().used(), Instant::now());
    watch.is_counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(arguments.options.window()).await;
    watch.is_counting.store(false, Ordering::Relaxed);
    let used = (started.elapsed(), server.cpu().used().saturating_sub(cpu));
    writing.await??;
    Ok(used)
}

fn watch_for(arguments: &Arguments) -> Arc<Watch> {
    let seconds = WARM_UP + arguments.options.window() + Duration::from_secs(10);
    Watch::new(usize::try_from(seconds.as_secs() * arguments.rate).expect("a number"))
}

// === SSE ===

async fn sse(arguments: &Arguments, has_own_streams: bool) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &arguments.options.directory)?;
    let watch = watch_for(arguments);
    let subscribers = arguments.subscribers as u64;
    let stream = move |number: u64| format!("s-{}", number % subscribers);
    let mut reading = JoinSet::new();
    for number in 0..subscribers {
        let path = match has_own_streams {
            true => format!("/v1/eventstore/streams/{}/events", stream(number)),
            false => "/v1/eventstore/events".to_owned(),
        };
        let connection = subscribe(&server, &path).await?;
        reading.spawn(read(connection, Arc::clone(&watch)));
    }
    let (elapsed, cpu) = measure(&server, arguments, &watch, stream).await?;
    reading.abort_all();
    let latencies = watch.deliveries.lock().expect("nobody panics with it").clone();
    Ok(Sample { operations: latencies.len(), elapsed, cpu, latencies })
}

async fn subscribe(server: &Server, path: &str) -> anyhow::Result<TcpStream> {
    let mut connection = TcpStream::connect(&server.http_address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\nauthorization: Bearer {}\r\n\r\n",
        server.token
    );
    connection.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.windows(5).any(|window| window == b"retry") {
        let count = connection.read_buf(&mut head).await?;
        anyhow::ensure!(count > 0, "{}", String::from_utf8_lossy(&head));
    }
    anyhow::ensure!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    Ok(connection)
}

/// What stands before an event's number.
const MARK: &[u8] = b"\"data\":\"";
const DIGITS: usize = 16;

/// Reads events for ever. Only the numbers are looked for: what a browser does with the rest is not what is measured.
async fn read(mut connection: TcpStream, watch: Arc<Watch>) -> anyhow::Result<()> {
    let finder = memchr::memmem::Finder::new(MARK);
    let mut bytes = Vec::with_capacity(64 << 10);
    let mut numbers = Vec::new();
    loop {
        let count = connection.read_buf(&mut bytes).await?;
        anyhow::ensure!(count > 0, "the subscription ended");
        let now = watch.now();
        let mut start = 0;
        while let Some(found) = finder.find(&bytes[start..]) {
            let at = start + found + MARK.len();
            let Some(digits) = bytes.get(at..at + DIGITS) else { break };
            let digits = std::str::from_utf8(digits).context("no number")?;
            numbers.push(u64::from_str_radix(digits, 16)?);
            start = at + DIGITS;
        }
        // What may be the beginning of the next mark, or a number that is cut off, stays.
        let kept = bytes.len().saturating_sub(MARK.len() + DIGITS).max(start);
        bytes.drain(..kept);
        watch.delivered(&numbers, now);
        numbers.clear();
    }
}

// === gRPC ===

async fn grpc(arguments: &Arguments) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &arguments.options.directory)?;
    let watch = watch_for(arguments);
    let mut reading: JoinSet<Result<(), lombard_client::grpc::GrpcError>> = JoinSet::new();
    let all_seen = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..GRPC_SUBSCRIBERS {
        let store = GrpcEventStore::with_token(&server.address, &server.token);
        let mut subscription = store.subscribe(SubscribeRequest::default());
        let (watch, all_seen) = (Arc::clone(&watch), Arc::clone(&all_seen));
        reading.spawn(async move {
            loop {
                let appends = subscription.next().await?;
                let now = watch.now();
                if watch.is_counting.load(Ordering::Relaxed) {
                    let events = appends.iter().flat_map(|append| &append.events);
                    let seen = events.map(|event| (event.position, now));
                    all_seen.lock().expect("nobody panics with it").extend(seen);
                }
            }
        });
    }
    let (elapsed, cpu) = measure(&server, arguments, &watch, |_| "s-1".to_owned()).await?;
    reading.abort_all();
    let mut latencies = latencies();
    for (position, at) in all_seen.lock().expect("nobody panics with it").iter() {
        // One writer, one event each: numbers are positions. Where the event came before the answer, it took no time.
        let acked = watch.acked[usize::try_from(*position)?].load(Ordering::Acquire);
        latencies.saturating_record((at.saturating_sub(acked) / 1000).max(1));
    }
    Ok(Sample { operations: latencies.len(), elapsed, cpu, latencies })
}
