//! Watches over gRPC: what is sent when, going on where one was, and who may watch.

use std::net::SocketAddr;

use axum::http::uri::PathAndQuery;
use lombard_log::MemoryLog;
use lombard_proto::registry::v1::{State, WatchRequest, WatchResponse};
use lombard_registry::{Compatibility, Config};
use serde_json::json;
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::support::{Harness, TOKENS, path, registration};

const WATCH: &str = "/lombard.registry.v1.Registry/Watch";

fn listen(registry: &Harness) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(lombard_grpc::serve(listener, registry.grpc(), registry.drain.clone()));
    address
}

async fn watch(
    at: SocketAddr,
    service: &str,
    seen: Option<u64>,
    token: Option<String>,
) -> Result<Streaming<WatchResponse>, Status> {
    let channel = Channel::from_shared(format!("http://{at}")).unwrap().connect().await.unwrap();
    let mut request = Request::new(WatchRequest { service: service.to_owned(), seen });
    if let Some(token) = token {
        let authorization = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", authorization);
    }
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
    let path = PathAndQuery::from_static(WATCH);
    Ok(grpc.server_streaming(request, path, codec).await?.into_inner())
}

async fn next(watch: &mut Streaming<WatchResponse>) -> WatchResponse {
    watch.message().await.unwrap().unwrap()
}

#[tokio::test]
async fn instances_are_sent_now_and_after_each_change_of_their_service() {
    let registry = Harness::new().await;
    let at = listen(&registry);
    let mut watching = watch(at, "pay", None, None).await.unwrap();
    let none = next(&mut watching).await;
    assert_eq!((none.service.as_str(), none.index, none.instances.len()), ("pay", 0, 0));
    registry.register("other", "one").await;
    let mut body = registration();
    (body["zone"], body["weight"], body["tags"]) = ("a".into(), 2.into(), json!(["blue"]));
    (body["version"], body["metadata"]) = ("1.0".into(), json!({ "k": "v" }));
    let index = registry.put(&path("pay", "one"), &body).send().await.index();
    let first = next(&mut watching).await;
    assert_eq!(first.index, index, "the other service is nobody's business here");
    let instance = &first.instances[0];
    let texts = [&instance.instance, &instance.url, &instance.tags[0], &instance.metadata["k"]];
    assert_eq!(texts, ["one", "http://127.0.0.1:9000", "blue", "v"]);
    assert_eq!((instance.zone.as_deref(), instance.version.as_deref()), (Some("a"), Some("1.0")));
    assert_eq!((instance.weight, instance.state()), (2, State::Passing));
    let drain = format!("{}/drain", path("pay", "one"));
    registry.post(&drain, &json!({ "note": "leaves" })).send().await;
    let drained = next(&mut watching).await;
    assert_eq!(drained.instances[0].state(), State::Draining);
    assert_eq!(drained.instances[0].note, "leaves");
    registry.drain.cancel();
    assert_eq!(watching.message().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let registry = Harness::new().await;
    let at = listen(&registry);
    registry.register("pay", "one").await;
    let seen = next(&mut watch(at, "pay", None, None).await.unwrap()).await.index;
    let mut same = watch(at, "pay", Some(seen), None).await.unwrap();
    registry.delete(&path("pay", "one")).send().await;
    let gone = next(&mut same).await;
    assert_eq!(gone.instances.len(), 0, "not the one that was seen");
    let mut later = watch(at, "pay", Some(seen), None).await.unwrap();
    assert_eq!(next(&mut later).await.index, gone.index);
    // From another registry's log.
    let mut ahead = watch(at, "pay", Some(gone.index + 100), None).await.unwrap();
    assert_eq!(next(&mut ahead).await.index, gone.index);
}

#[tokio::test]
async fn who_may_not_watch_or_is_one_too_many_is_refused() {
    let compatibility = Compatibility { anonymous_reads: false };
    let config = Config { compatibility, waiters_max: 1, ..Config::default() };
    let registry = Harness::with(config, MemoryLog::new()).await;
    let at = listen(&registry);
    let code = async |service: &str, scope: Option<&str>| {
        let token = scope.map(|scope| TOKENS.token("tester", scope));
        match watch(at, service, None, token).await {
            Ok(mut watching) => watching.message().await.err().map(|status| status.code()),
            Err(status) => Some(status.code()),
        }
    };
    assert_eq!(code("pay", None).await, Some(Code::Unauthenticated));
    assert_eq!(code("pay", Some("registry:read:ship")).await, Some(Code::PermissionDenied));
    assert_eq!(code("Pay!", Some("registry:read")).await, Some(Code::InvalidArgument));
    let token = Some(TOKENS.token("tester", "registry:read:pay"));
    let mut first = watch(at, "pay", None, token).await.unwrap();
    next(&mut first).await;
    assert_eq!(code("pay", Some("registry:read:pay")).await, Some(Code::ResourceExhausted));
    let counted = registry.metrics.encode().unwrap();
    assert!(counted.contains("{operation=\"watch\",result=\"too-many-waiters\"} 1"), "{counted}");
}
