//! An event store in this process behind a gRPC server on a free port, and a client for it.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use bytes::Bytes;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_eventstore::{Config, Deps, EventStore, GroupsLog};
use lombard_log::MemoryLog;
use lombard_proto::eventstore::v1::{self as proto, new_event};
use lombard_testkit::{Issuer, grpc};
use tonic::{Status, Streaming};

pub(crate) use lombard_testkit::grpc::reason;

const ISSUER: Issuer = Issuer::for_role("eventstore");

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) drain: CancellationToken,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    pub(crate) store: EventStore,
    _index: tempfile::TempDir,
}

impl TestServer {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let metrics = Metrics::new("eventstore");
        let health = Health::starting();
        let index = tempfile::tempdir().unwrap();
        let verifier = ISSUER.verifier();
        let deps = Deps {
            log: Arc::new(MemoryLog::new()),
            index_directory: index.path().join("index"),
            subjects_directory: index.path().join("subjects"),
            disk: Arc::new(lombard_log::disk::Real),
            groups: GroupsLog::in_memory(),
            verifier: verifier.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let store = EventStore::new(config, deps).unwrap();
        let server = lombard_grpc::Server {
            routes: store.grpc_routes(),
            verifier,
            health: health.clone(),
            metrics: metrics.clone(),
            limits: store.grpc_limits(),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let drain = CancellationToken::new();
        let serving = tokio::spawn(lombard_grpc::serve(listener, server, drain.clone()));
        Self { address, drain, health, metrics, serving, store, _index: index }
    }

    pub(crate) fn token(&self, scope: &str) -> String {
        ISSUER.token("payments", scope)
    }

    /// A client with a connection of its own and a token of this scope.
    pub(crate) async fn client(&self, scope: &str) -> Client {
        Client(grpc::Client::connect(self.address, &self.token(scope)).await)
    }

    /// Begins the drain and waits for its end.
    pub(crate) async fn stop(self) {
        self.drain.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// A client that knows the service's methods.
#[derive(Clone)]
pub(crate) struct Client(grpc::Client);

impl Deref for Client {
    type Target = grpc::Client;

    fn deref(&self) -> &grpc::Client {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut grpc::Client {
        &mut self.0
    }
}

impl Client {
    pub(crate) async fn append(
        &self,
        request: proto::AppendRequest,
    ) -> Result<proto::AppendResponse, Status> {
        self.unary("/lombard.eventstore.v1.EventStore/Append", self.request(request)).await
    }

    pub(crate) async fn read(
        &self,
        request: proto::ReadRequest,
    ) -> Result<Vec<proto::RecordedEvent>, Status> {
        let path = "/lombard.eventstore.v1.EventStore/Read";
        let mut stream: Streaming<proto::ReadResponse> =
            self.server_streaming(path, self.request(request)).await?;
        let mut events = Vec::new();
        while let Some(response) = stream.message().await? {
            events.extend(response.appends.into_iter().flat_map(|append| append.events));
        }
        Ok(events)
    }

    pub(crate) async fn subscribe(
        &self,
        request: proto::SubscribeRequest,
    ) -> Result<Streaming<proto::SubscribeResponse>, Status> {
        let path = "/lombard.eventstore.v1.EventStore/Subscribe";
        self.server_streaming(path, self.request(request)).await
    }

    pub(crate) async fn session(
        &self,
        requests: tokio::sync::mpsc::Receiver<proto::AppendSessionRequest>,
    ) -> Result<Streaming<proto::AppendSessionResponse>, Status> {
        let requests = futures_util::stream::unfold(requests, |mut requests| async {
            Some((requests.recv().await?, requests))
        });
        let path = "/lombard.eventstore.v1.EventStore/AppendSession";
        self.streaming(path, self.request(requests)).await
    }
}

pub(crate) fn event(id: u128, kind: &str) -> proto::NewEvent {
    proto::NewEvent {
        id: Bytes::copy_from_slice(&id.to_be_bytes()),
        r#type: kind.to_owned(),
        source: "/payments".to_owned(),
        data: Some(new_event::Data::Binary(Bytes::from_static(b"\x00\xff"))),
        ..proto::NewEvent::default()
    }
}

pub(crate) fn append_to(stream: &str, events: Vec<proto::NewEvent>) -> proto::AppendRequest {
    let part = proto::StreamAppend { stream: stream.to_owned(), expected: None, events };
    proto::AppendRequest { streams: vec![part], condition: None }
}
