//! etcd as a peer: Debian's server on an empty directory, and as much of its gRPC interface as registrations take.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use prost::Message;
use tonic::{
    Request, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::{Cpu, server};

/// A server that runs, and ends with this.
pub struct Etcd {
    child: Child,
    endpoint: String,
    _place: tempfile::TempDir,
}

impl Etcd {
    /// Starts one member on an empty directory below `directory`, on the core that servers have. All is as etcd has it; so
    /// a write is synced before it is answered.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let place = tempfile::tempdir_in(directory)?;
        let (clients, peers) = (free_address()?, free_address()?);
        let endpoint = format!("http://{clients}");
        let child = server::peer("etcd")
            .arg("--data-dir")
            .arg(place.path().join("data"))
            .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
            .args(["--listen-peer-urls", &format!("http://{peers}")])
            .args(["--initial-advertise-peer-urls", &format!("http://{peers}")])
            .args(["--initial-cluster", &format!("default=http://{peers}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start etcd (Debian: etcd-server)")?;
        Ok(Self { child, endpoint, _place: place })
    }

    /// Its CPU time.
    pub fn cpu(&self) -> Cpu {
        Cpu::Tree(self.child.id())
    }

    /// Its memory, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        server::resident_mib(self.child.id())
    }

    /// A connection, as soon as it can be had.
    pub async fn connect(&self) -> anyhow::Result<EtcdClient> {
        let endpoint = Endpoint::from_shared(self.endpoint.clone())?.tcp_nodelay(true);
        for _ in 0..1000 {
            if let Ok(channel) = endpoint.connect().await {
                let mut client = EtcdClient { grpc: Grpc::new(channel) };
                // It listens before it has elected itself.
                if client.range(b"ready").await.is_ok() {
                    return Ok(client);
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("etcd does not answer")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// One connection.
pub struct EtcdClient {
    grpc: Grpc<Channel>,
}

/// Changes as they come.
pub struct EtcdWatch {
    responses: Streaming<WatchResponse>,
    /// Closing it would end the watch.
    _requests: tokio::sync::mpsc::Sender<WatchRequest>,
}

impl EtcdClient {
    /// What a registration is: a lease, and a key under it.
    pub async fn register(&mut self, key: String, value: String) -> anyhow::Result<()> {
        let granted: LeaseGrantResponse =
            self.call("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest { ttl: 60 }).await?;
        self.put(key, value, granted.id).await
    }

    /// Writes a key; under no lease where `lease` is 0.
    pub async fn put(&mut self, key: String, value: String, lease: i64) -> anyhow::Result<()> {
        let request = PutRequest { key: key.into_bytes(), value: value.into_bytes(), lease };
        let _: PutResponse = self.call("/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }

    /// Reads all keys that begin so; answers how many there are.
    pub async fn range(&mut self, prefix: &[u8]) -> anyhow::Result<usize> {
        let request = RangeRequest { key: prefix.to_vec(), range_end: end_of(prefix) };
        let found: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        Ok(found.kvs.len())
    }

    /// Watches all keys that begin so; answers when it has begun.
    pub async fn watch(&mut self, prefix: &[u8]) -> anyhow::Result<EtcdWatch> {
        let create = WatchCreateRequest { key: prefix.to_vec(), range_end: end_of(prefix) };
        let (requests, receiver) = tokio::sync::mpsc::channel(1);
        requests.send(WatchRequest { create_request: Some(create) }).await?;
        let stream = futures_util::stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        self.grpc.ready().await?;
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let stream = Request::new(Box::pin(stream));
        let mut responses = self.grpc.streaming(stream, path, codec).await?.into_inner();
        let first = responses.message().await?.context("the watch ended")?;
        ensure!(first.created, "the watch did not begin");
        Ok(EtcdWatch { responses, _requests: requests })
    }

    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> anyhow::Result<A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.grpc.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        Ok(self.grpc.unary(Request::new(request), path, codec).await?.into_inner())
    }
}

impl EtcdWatch {
    /// The values that were written, as they come.
    pub async fn next(&mut self) -> anyhow::Result<Vec<Vec<u8>>> {
        let response = self.responses.message().await?.context("the watch ended")?;
        let written = response.events.into_iter().filter_map(|event| event.kv);
        Ok(written.map(|written| written.value).collect())
    }
}

/// The first key behind all that begin so.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

// === the messages of etcd's rpc.proto, as far as they are used ===

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantRequest {
    #[prost(int64, tag = "1")]
    ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantResponse {
    #[prost(int64, tag = "2")]
    id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(int64, tag = "3")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    create_request: Option<WatchCreateRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchCreateRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchResponse {
    #[prost(bool, tag = "3")]
    created: bool,
    #[prost(message, repeated, tag = "11")]
    events: Vec<WatchEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchEvent {
    #[prost(message, optional, tag = "2")]
    kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}
