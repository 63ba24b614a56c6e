//! An event store in this process behind a gRPC server on a free port, and a client for it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_eventstore::{Config, Deps, EventStore, GroupsLog};
use lombard_log::MemoryLog;
use lombard_proto::eventstore::v1::{self as proto, new_event};
use lombard_token::{Claims, Jwks, KeySource, KeySourceError, SigningKey, Verifier};
use lombard_types::Timestamp;
use prost::Message;
use tonic::{
    Request, Response, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery,
    metadata::MetadataValue, transport::Channel,
};
use tonic_prost::ProstCodec;

const ISSUER: &str = "http://gateway.test";
const AUDIENCE: &str = "http://gateway.test/v1/eventstore";

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) drain: CancellationToken,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    key: Arc<SigningKey>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    pub(crate) store: EventStore,
    _index: tempfile::TempDir,
}

struct Keys(Arc<SigningKey>);

impl KeySource for Keys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: vec![self.0.public_jwk().clone()] }) })
    }
}

impl TestServer {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let key = Arc::new(SigningKey::generate().unwrap());
        let metrics = Metrics::new("eventstore");
        let health = Health::starting();
        let index = tempfile::tempdir().unwrap();
        let verifier = Verifier::new(ISSUER, AUDIENCE, Arc::new(Keys(Arc::clone(&key))));
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
        Self { address, drain, health, metrics, key, serving, store, _index: index }
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

    /// A client with a connection of its own and a token of this scope.
    pub(crate) async fn client(&self, scope: &str) -> Client {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let authorization = format!("Bearer {}", self.token(scope)).parse().unwrap();
        Client { grpc: Grpc::new(channel), authorization: Some(authorization) }
    }

    /// Begins the drain and waits for its end.
    pub(crate) async fn stop(self) {
        self.drain.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) grpc: Grpc<Channel>,
    pub(crate) authorization: Option<MetadataValue<tonic::metadata::Ascii>>,
}

impl Client {
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request.metadata_mut().insert("x-request-id", "request-1".parse().unwrap());
        request
    }

    pub(crate) async fn unary<Q, A>(
        &self,
        path: &'static str,
        request: Request<Q>,
    ) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static(path);
        grpc.unary(request, path, ProstCodec::default()).await.map(Response::into_inner)
    }

    pub(crate) async fn stream<Q, A>(
        &self,
        path: &'static str,
        request: Request<Q>,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static(path);
        grpc.server_streaming(request, path, ProstCodec::default()).await.map(Response::into_inner)
    }

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
            self.stream(path, self.request(request)).await?;
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
        self.stream(path, self.request(request)).await
    }

    pub(crate) async fn session(
        &self,
        requests: tokio::sync::mpsc::Receiver<proto::AppendSessionRequest>,
    ) -> Result<Streaming<proto::AppendSessionResponse>, Status> {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.unwrap();
        let requests = futures_util::stream::unfold(requests, |mut requests| async {
            Some((requests.recv().await?, requests))
        });
        let path = PathAndQuery::from_static("/lombard.eventstore.v1.EventStore/AppendSession");
        let request = self.request(requests);
        grpc.streaming(request, path, ProstCodec::default()).await.map(Response::into_inner)
    }
}

/// The reason in the details of an error: the last part of the problem's type.
pub(crate) fn reason(status: &Status) -> String {
    let status = lombard_proto::rpc::Status::decode(status.details()).unwrap();
    let info = status.error_info().unwrap();
    assert_eq!(info.domain, "lombard");
    info.reason
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
