//! The event store over gRPC beside PostgreSQL 15: durable appends of one event, each expecting the revision of its stream.
//!
//! PostgreSQL has the usual table of events, with unique ids and unique (stream, version), and a function that checks the
//! version and inserts: one round trip and one transaction for each append, `synchronous_commit=on`. Every caller has a
//! connection of its own.

use bytes::Bytes;
use lombard_bench::{
    ClosedLoop, Options, Postgres, Rounds, Sample, Server, Worker, data, event_id, serve_if_asked,
};
use lombard_client::grpc::{
    AppendSession, GrpcEventStore,
    v1::{AppendRequest, Existence, NewEvent, StreamAppend, new_event, stream_append::Expected},
};
use tokio_postgres::{Client, Statement};

const UNARY: &str = "lombard, unary";
const SESSION: &str = "lombard, session";
const PEER: &str = "postgresql";
const TYPE: &str = "com.example.payment.settled";
const CALLERS: usize = 32;
/// Appends that each of the callers has in flight in the shared session.
const IN_FLIGHT_EACH: usize = 16;

const SCHEMA: &str = "
create table events (
    position bigint generated always as identity primary key,
    stream text not null,
    version bigint not null,
    id uuid not null unique,
    type text not null,
    recorded_at timestamptz not null default clock_timestamp(),
    data json not null,
    unique (stream, version)
);
create function append_event(in_stream text, in_expected bigint, in_id text, in_type text, in_data text)
returns bigint language plpgsql as $$
declare
    found_version bigint;
    made bigint;
begin
    select version into found_version from events where stream = in_stream order by version desc limit 1;
    if coalesce(found_version, -1) <> in_expected then
        raise exception 'wrong expected version' using errcode = '40001';
    end if;
    insert into events (stream, version, id, type, data)
    values (in_stream, in_expected + 1, in_id::uuid, in_type, in_data::json)
    returning position into made;
    return made;
end $$;
";

fn main() -> anyhow::Result<()> {
    serve_if_asked(|name, _, _| anyhow::bail!("there is no server {name}"))?;
    let options: Options =
        Options::start("event store over gRPC beside PostgreSQL: 256-byte events, durable");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = Rounds::new("32 callers, 1 event each", "events", &options)
        .contender(UNARY, || runtime.block_on(unary(&options)))
        .contender(SESSION, || runtime.block_on(session(&options)))
        .contender(PEER, || runtime.block_on(peer(&options)))
        .run()?;
    outcome.at_least("unary, of PostgreSQL's rate", outcome.ratio(UNARY, PEER), 5.0);
    outcome.at_least("session, of PostgreSQL's rate", outcome.ratio(SESSION, PEER), 10.0);
    Ok(())
}

fn closed_loop(options: &Options, workers: usize, cpu: lombard_bench::Cpu) -> ClosedLoop {
    ClosedLoop { workers, operations_each: 1, window: options.window(), cpu }
}

// === Lombard ===

async fn unary(options: &Options) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &options.directory)?;
    let store = GrpcEventStore::with_token(&server.address, &server.token);
    closed_loop(options, CALLERS, server.cpu())
        .run(|number| Unary { store: store.clone(), stream: Stream::new(number) })
        .await
}

async fn session(options: &Options) -> anyhow::Result<Sample> {
    let server = Server::start("lombard", &options.directory)?;
    let store = GrpcEventStore::with_token(&server.address, &server.token);
    let in_flight = CALLERS * IN_FLIGHT_EACH;
    let session = store.append_session(in_flight).await?;
    closed_loop(options, in_flight, server.cpu())
        .run(|number| Pipelined { session: session.clone(), stream: Stream::new(number) })
        .await
}

/// A stream, and its next revision.
struct Stream {
    name: String,
    next: u64,
}

impl Stream {
    fn new(number: usize) -> Self {
        Self { name: format!("payment-{number:07}"), next: 0 }
    }

    fn append(&mut self) -> AppendRequest {
        let expected = match self.next.checked_sub(1) {
            Some(last) => Expected::Revision(last),
            None => Expected::Existence(Existence::Absent.into()),
        };
        let event = NewEvent {
            id: Bytes::copy_from_slice(&event_id().as_u128().to_be_bytes()),
            r#type: TYPE.to_owned(),
            source: "/payments".to_owned(),
            data: Some(new_event::Data::Json(data(self.next).into())),
            ..NewEvent::default()
        };
        self.next += 1;
        let stream = self.name.clone();
        let part = StreamAppend { stream, expected: Some(expected), events: vec![event] };
        AppendRequest { streams: vec![part], condition: None }
    }
}

struct Unary {
    store: GrpcEventStore,
    stream: Stream,
}

impl Worker for Unary {
    async fn ask(&mut self) -> anyhow::Result<()> {
        self.store.append(&self.stream.append()).await?;
        Ok(())
    }
}

struct Pipelined {
    session: AppendSession,
    stream: Stream,
}

impl Worker for Pipelined {
    async fn ask(&mut self) -> anyhow::Result<()> {
        self.session.append(self.stream.append()).await?.await?;
        Ok(())
    }
}

// === PostgreSQL ===

async fn peer(options: &Options) -> anyhow::Result<Sample> {
    let server = Postgres::start(&options.directory)?;
    server.connect().await?.batch_execute(SCHEMA).await?;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let client = server.connect().await?;
        let append = client.prepare("select append_event($1, $2, $3, $4, $5)").await?;
        callers.push(Some((client, append)));
    }
    let callers = std::sync::Mutex::new(callers);
    closed_loop(options, CALLERS, server.cpu())
        .run(|number| {
            let mut callers = callers.lock().expect("nobody panics with it");
            let (client, append) = callers[number].take().expect("one for each");
            Peer { client, append, stream: format!("payment-{number:07}"), next: 0 }
        })
        .await
}

struct Peer {
    client: Client,
    append: Statement,
    stream: String,
    next: i64,
}

impl Worker for Peer {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let id = uuid::Uuid::from_u128(event_id().as_u128()).to_string();
        let json = data(u64::try_from(self.next)?);
        let expected = self.next - 1;
        self.client
            .query_one(&self.append, &[&self.stream, &expected, &id, &TYPE, &json])
            .await?;
        self.next += 1;
        Ok(())
    }
}
