//! The event store over gRPC beside UmaDB: durable appends and a sequential read. Servers in processes of their own, one
//! connection each, load from this process on what is left of the machine.

use std::{path::Path, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use lombard_bench::{
    ClosedLoop, EVENT_BYTES, Options, Rounds, Sample, Server, Worker, data, event_id,
    serve_if_asked,
};
use lombard_client::grpc::{
    AppendSession, GrpcEventStore,
    v1::{AppendRequest, NewEvent, ReadRequest, StreamAppend, new_event},
};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbEvent, DcbEventStoreAsync as _};
use uuid::Uuid;

const UNARY: &str = "lombard, unary";
const SESSION: &str = "lombard, session";
const PEER: &str = "umadb";
const TYPE: &str = "com.example.payment.settled";
/// Appends in flight of a session that 32 callers share.
const IN_FLIGHT: usize = 512;
/// Events that are read.
const READ_EVENTS: u64 = 500_000;

fn main() -> anyhow::Result<()> {
    serve_if_asked(umadb)?;
    let options: Options =
        Options::start("event store over gRPC beside UmaDB: 256-byte events, durable");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let outcome = Rounds::new("1 caller, 1 event", "events", &options)
        .contender(UNARY, || runtime.block_on(unary(&options, 1, 1)))
        .contender(PEER, || runtime.block_on(peer(&options, 1, 1)))
        .run()?;
    let ratio = outcome.ratio_of(UNARY, PEER, |sample| sample.percentile_ms(50.0));
    outcome.at_most("median latency, of UmaDB's", ratio, 0.7);

    let outcome = Rounds::new("32 callers, 1 event each", "events", &options)
        .contender(UNARY, || runtime.block_on(unary(&options, 32, 1)))
        .contender(SESSION, || runtime.block_on(session(&options)))
        .contender(PEER, || runtime.block_on(peer(&options, 32, 1)))
        .run()?;
    outcome.at_least("unary, of UmaDB's rate", outcome.ratio(UNARY, PEER), 2.5);
    outcome.at_most("unary, CPU us per event", outcome.median(UNARY, Sample::cpu_us), 20.0);
    outcome.at_least("session, of UmaDB's rate", outcome.ratio(SESSION, PEER), 6.0);
    outcome.at_most("session, CPU us per event", outcome.median(SESSION, Sample::cpu_us), 20.0);
    let p99 = |contender| outcome.median(contender, |sample| sample.percentile_ms(99.0));
    outcome.at_most("unary, p99 in ms", p99(UNARY), 8.0);
    outcome.at_most("session, p99 in ms", p99(SESSION), 8.0);

    let outcome = Rounds::new("32 callers, 100 events each", "events", &options)
        .contender(UNARY, || runtime.block_on(unary(&options, 32, 100)))
        .contender(PEER, || runtime.block_on(peer(&options, 32, 100)))
        .run()?;
    outcome.at_least("of UmaDB's rate", outcome.ratio(UNARY, PEER), 1.7);
    outcome.at_most("CPU us per event", outcome.median(UNARY, Sample::cpu_us), 2.0);
    let p99 = outcome.median(UNARY, |sample| sample.percentile_ms(99.0));
    outcome.at_most("p99 in ms", p99, 20.0);

    let outcome = Rounds::new("1 reader of everything", "events", &options)
        .contender(UNARY, || runtime.block_on(read(&options)))
        .contender(PEER, || runtime.block_on(peer_read(&options)))
        .run()?;
    outcome.at_least("events a second", outcome.median(UNARY, Sample::rate), 1_200_000.0);
    outcome.at_least("of UmaDB's rate", outcome.ratio(UNARY, PEER), 2.0);
    Ok(())
}

/// UmaDB as its own program runs it.
fn umadb(_: &str, directory: &Path, address: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let serving = umadb_server::start_server(directory.join("uma.db"), address, stopped);
    runtime.block_on(serving).map_err(|error| anyhow::anyhow!("{error}"))
}

// === Lombard ===

async fn unary(options: &Options, callers: usize, batch: usize) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &options.directory)?;
    let store = GrpcEventStore::with_token(&server.address, &server.token);
    closed_loop(options, &server, callers, batch)
        .run(|number| Unary { store: store.clone(), number, batch })
        .await
}

async fn session(options: &Options) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &options.directory)?;
    let store = GrpcEventStore::with_token(&server.address, &server.token);
    let session = store.append_session(IN_FLIGHT).await?;
    closed_loop(options, &server, IN_FLIGHT, 1)
        .run(|number| Pipelined { session: session.clone(), number })
        .await
}

async fn read(options: &Options) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &options.directory)?;
    let store = GrpcEventStore::with_token(&server.address, &server.token);
    for number in 0..READ_EVENTS / 1000 {
        store.append(&request(usize::try_from(number)?, 1000)).await?;
    }
    let (cpu, started) = (server.cpu().used(), Instant::now());
    let mut reading = store.read(&ReadRequest::default()).await?;
    let mut count = 0;
    while let Some(message) = reading.next().await? {
        count += message.appends.iter().map(|append| append.events.len() as u64).sum::<u64>();
    }
    anyhow::ensure!(count == READ_EVENTS, "{count} events were read");
    Ok(Sample::new(count, started.elapsed(), server.cpu().used().saturating_sub(cpu)))
}

struct Unary {
    store: GrpcEventStore,
    number: usize,
    batch: usize,
}

impl Worker for Unary {
    async fn ask(&mut self) -> anyhow::Result<()> {
        self.store.append(&request(self.number, self.batch)).await?;
        Ok(())
    }
}

struct Pipelined {
    session: AppendSession,
    number: usize,
}

impl Worker for Pipelined {
    async fn ask(&mut self) -> anyhow::Result<()> {
        self.session.append(request(self.number, 1)).await?.await?;
        Ok(())
    }
}

fn request(number: usize, batch: usize) -> AppendRequest {
    let json = data(number as u64);
    let event = || NewEvent {
        id: Bytes::copy_from_slice(&event_id().as_u128().to_be_bytes()),
        r#type: TYPE.to_owned(),
        source: "/payments".to_owned(),
        data: Some(new_event::Data::Json(Bytes::copy_from_slice(json.as_bytes()))),
        ..NewEvent::default()
    };
    let events = (0..batch).map(|_| event()).collect();
    let part = StreamAppend { stream: format!("payment-{number:07}"), expected: None, events };
    AppendRequest { streams: vec![part], condition: None }
}

// === UmaDB ===

async fn peer(options: &Options, callers: usize, batch: usize) -> anyhow::Result<Sample> {
    let server = Server::start(PEER, &options.directory)?;
    let client = Arc::new(connect(&server).await?);
    closed_loop(options, &server, callers, batch)
        .run(|number| Peer { client: Arc::clone(&client), number, batch })
        .await
}

async fn peer_read(options: &Options) -> anyhow::Result<Sample> {
    let server = Server::start(PEER, &options.directory)?;
    let client = connect(&server).await?;
    for number in 0..READ_EVENTS / 1000 {
        client.append(peer_events(usize::try_from(number)?, 1000), None, None).await?;
    }
    let (cpu, started) = (server.cpu().used(), Instant::now());
    let mut reading = client.read(None, None, false, None).await?;
    let mut count = 0;
    while let Some(event) = reading.next().await {
        event?;
        count += 1;
    }
    anyhow::ensure!(count == READ_EVENTS, "{count} events were read");
    Ok(Sample::new(count, started.elapsed(), server.cpu().used().saturating_sub(cpu)))
}

async fn connect(server: &Server) -> anyhow::Result<AsyncUmaDbClient> {
    Ok(UmaDbClient::new(format!("http://{}", server.address)).connect_async().await?)
}

struct Peer {
    client: Arc<AsyncUmaDbClient>,
    number: usize,
    batch: usize,
}

impl Worker for Peer {
    async fn ask(&mut self) -> anyhow::Result<()> {
        self.client.append(peer_events(self.number, self.batch), None, None).await?;
        Ok(())
    }
}

fn peer_events(number: usize, batch: usize) -> Vec<DcbEvent> {
    let data = data(number as u64);
    let event = || {
        DcbEvent::default()
            .event_type(TYPE)
            .tags([format!("payment-{number:07}")])
            .data(data.as_bytes())
            .uuid(Uuid::from_u128(event_id().as_u128()))
    };
    debug_assert_eq!(data.len(), EVENT_BYTES);
    (0..batch).map(|_| event()).collect()
}

fn closed_loop(options: &Options, server: &Server, workers: usize, batch: usize) -> ClosedLoop {
    ClosedLoop {
        workers,
        operations_each: batch as u64,
        window: options.window(),
        cpu: server.cpu(),
    }
}
