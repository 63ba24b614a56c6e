//! An event store in this process, on a log in memory, listening on loopback.

use std::{net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_client::grpc::{
    GrpcEventStore,
    v1::{
        AppendRequest, Existence, NewEvent, ReadRequest, RecordedEvent, StreamAppend, new_event,
        stream_append,
    },
};
use lombard_eventstore::{Config, Deps, EventStore, GroupsLog};
use lombard_log::MemoryLog;
use lombard_token::{Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier};
use lombard_types::Timestamp;
use tokio::task::JoinHandle;

const ISSUER: &str = "http://gateway.test";
const AUDIENCE: &str = "http://gateway.test/v1/eventstore";

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) drain: CancellationToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    pub(crate) metrics: Metrics,
    key: Arc<SigningKey>,
    _store: EventStore,
    _index: tempfile::TempDir,
}

struct Keys(Arc<SigningKey>);

impl KeySource for Keys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: vec![self.0.public_jwk().clone()] }) })
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let key = Arc::new(SigningKey::generate().unwrap());
        let (metrics, health) = (Metrics::new("eventstore"), Health::starting());
        let index = tempfile::tempdir().unwrap();
        let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(Keys(Arc::clone(&key))));
        let deps = Deps {
            log: Arc::new(MemoryLog::new()),
            index_directory: index.path().join("index"),
            subjects_directory: index.path().join("subjects"),
            groups: GroupsLog::in_memory(),
            verifier: verifier.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let store = EventStore::new(config, deps).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let drain = CancellationToken::new();
        let server = lombard_grpc::Server {
            routes: store.grpc_routes(),
            verifier,
            health,
            metrics: metrics.clone(),
            limits: store.grpc_limits(),
        };
        let serving = tokio::spawn(lombard_grpc::serve(listener, server, drain.clone()));
        Self { address, drain, serving, metrics, key, _store: store, _index: index }
    }

    pub(crate) fn token(&self, scope: &str) -> String {
        let now = Timestamp::from_system_time(std::time::SystemTime::now());
        let claims = Claims {
            issuer: ISSUER.into(),
            subject: "user-1".into(),
            audience: AUDIENCE.into(),
            client_id: "payments".into(),
            scope: scope.parse().unwrap(),
            token_id: "token-1".into(),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(300)),
            ..Claims::default()
        };
        claims.sign(&self.key).unwrap()
    }

    pub(crate) fn client(&self) -> GrpcEventStore {
        self.client_with("events:append events:read")
    }

    pub(crate) fn client_with(&self, scope: &str) -> GrpcEventStore {
        GrpcEventStore::with_token(&self.address, &self.token(scope))
    }
}

pub(crate) fn event(number: u64) -> NewEvent {
    NewEvent {
        id: uuid(number),
        r#type: "payment.settled".to_owned(),
        source: "/payments".to_owned(),
        tags: vec![format!("order:{number}")],
        data: Some(new_event::Data::Json(Bytes::from(format!("{{\"number\":{number}}}")))),
        ..NewEvent::default()
    }
}

pub(crate) fn uuid(number: u64) -> Bytes {
    let id = 0x0190_d7a4_5c2e_7d31_8e2f_0000_0000_0000_u128 + u128::from(number) + 1;
    Bytes::copy_from_slice(&id.to_be_bytes())
}

pub(crate) fn append(stream: &str, numbers: impl IntoIterator<Item = u64>) -> AppendRequest {
    let events = numbers.into_iter().map(event).collect();
    let part = StreamAppend { stream: stream.to_owned(), expected: None, events };
    AppendRequest { streams: vec![part], condition: None }
}

pub(crate) fn absent() -> Option<stream_append::Expected> {
    Some(stream_append::Expected::Existence(Existence::Absent.into()))
}

/// All events of a selection.
pub(crate) async fn read(client: &GrpcEventStore, request: ReadRequest) -> Vec<RecordedEvent> {
    let mut reading = client.read(&request).await.unwrap();
    let mut events = Vec::new();
    while let Some(message) = reading.next().await.unwrap() {
        events.extend(message.appends.into_iter().flat_map(|append| append.events));
    }
    events
}

pub(crate) fn of(stream: &str) -> ReadRequest {
    ReadRequest { stream: Some(stream.to_owned()), ..ReadRequest::default() }
}
