//! xDS over a real connection: who may ask, and what is pushed when.

use std::net::SocketAddr;

use axum::http::uri::PathAndQuery;
use futures_util::StreamExt as _;
use lombard_log::MemoryLog;
use lombard_proto::xds::{
    discovery::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    },
    endpoint::ClusterLoadAssignment,
};
use lombard_registry::{Compatibility, Config, XdsConfig};
use prost::Message as _;
use serde_json::json;
use tokio::sync::mpsc;
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::support::{Harness, TOKENS, path, registration};

const STREAM: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

/// Where a registry answers, until it drains.
fn listen(registry: &Harness) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(lombard_grpc::serve(listener, registry.grpc(), registry.drain.clone()));
    address
}

/// A stream with what it asks for next.
struct Stream<Q, A> {
    requests: mpsc::Sender<Q>,
    answers: Streaming<A>,
}

/// State of the world.
type Ads = Stream<DiscoveryRequest, DiscoveryResponse>;
/// Incremental.
type Delta = Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

impl<Q, A> Stream<Q, A>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    async fn call(
        at: SocketAddr,
        token: Option<String>,
        method: &'static str,
    ) -> Result<Self, Status> {
        let channel =
            Channel::from_shared(format!("http://{at}")).unwrap().connect().await.unwrap();
        let (requests, receiver) = mpsc::channel(8);
        let stream = futures_util::stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        let mut request = Request::new(stream.boxed());
        if let Some(token) = token {
            let authorization = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", authorization);
        }
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<Q, A>::default();
        let answers = grpc.streaming(request, PathAndQuery::from_static(method), codec).await?;
        Ok(Self { requests, answers: answers.into_inner() })
    }

    async fn next(&mut self) -> A {
        self.answers.message().await.unwrap().unwrap()
    }
}

impl Ads {
    async fn open(at: SocketAddr, token: Option<String>) -> Result<Self, Status> {
        Self::call(at, token, STREAM).await
    }

    async fn ask(&self, type_url: &str, names: &[&str], nonce: &str) {
        let resource_names = names.iter().map(|name| (*name).to_owned()).collect();
        let (type_url, response_nonce) = (type_url.to_owned(), nonce.to_owned());
        let request =
            DiscoveryRequest { resource_names, type_url, response_nonce, ..Default::default() };
        self.requests.send(request).await.unwrap();
    }
}

/// Zones with their weights, and how many endpoints there are in each.
fn zones(answer: &DiscoveryResponse) -> Vec<(String, u32, usize)> {
    let read = |any: &lombard_proto::xds::Any| {
        ClusterLoadAssignment::decode(any.value.as_slice()).unwrap()
    };
    let localities = answer.resources.iter().map(read).flat_map(|each| each.endpoints);
    localities
        .map(|each| {
            let zone = each.locality.unwrap().zone;
            (zone, each.load_balancing_weight.unwrap(), each.lb_endpoints.len())
        })
        .collect()
}

#[tokio::test]
async fn endpoints_are_pushed_with_each_change_of_their_service() {
    let registry = Harness::new().await;
    let mut ads = Ads::open(listen(&registry), None).await.unwrap();
    ads.ask(ENDPOINTS, &["pay"], "").await;
    let none = ads.next().await;
    assert_eq!((none.resources.len(), zones(&none)), (1, vec![]), "known to have none");
    ads.ask(ENDPOINTS, &["pay"], &none.nonce).await;
    for (instance, zone, weight) in [("one", "a", 2), ("two", "b", 1), ("three", "a", 3)] {
        let mut body = registration();
        (body["zone"], body["weight"]) = (zone.into(), weight.into());
        registry.register("other", instance).await;
        registry.put(&path("pay", instance), &body).send().await;
    }
    let expected = [("a".to_owned(), 5, 2), ("b".to_owned(), 1, 1)];
    let mut last = ads.next().await;
    while zones(&last) != expected {
        last = ads.next().await;
    }
    registry.post(&format!("{}/drain", path("pay", "two")), &json!({})).send().await;
    assert_eq!(zones(&ads.next().await), expected[..1]);
    // What was pushed between says nothing about the other service, which nobody has asked for.
    let counted = registry.metrics.encode().unwrap();
    assert!(counted.contains("requests_total{operation=\"xds\",result=\"ok\"}"), "{counted}");
    registry.drain.cancel();
    let ended = ads.answers.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test]
async fn all_clusters_are_pushed_when_a_service_comes_or_goes() {
    let registry = Harness::new().await;
    registry.register("pay", "one").await;
    let mut ads = Ads::open(listen(&registry), None).await.unwrap();
    ads.ask(CLUSTER, &[], "").await;
    let first = ads.next().await;
    assert_eq!(first.resources.len(), 1);
    ads.ask(CLUSTER, &[], &first.nonce).await;
    registry.register("pay", "two").await;
    registry.register("ship", "one").await;
    assert_eq!(ads.next().await.resources.len(), 2, "an instance more is no cluster more");
}

#[tokio::test]
async fn who_may_not_read_is_refused_and_so_is_what_is_not_served() {
    let compatibility = Compatibility { anonymous_reads: false };
    let xds = XdsConfig { names_max: 1, ..XdsConfig::default() };
    let config = Config { compatibility, xds, ..Config::default() };
    let registry = Harness::with(config, MemoryLog::new()).await;
    let at = listen(&registry);
    let code = async |token| match Ads::open(at, token).await {
        Ok(mut ads) => ads.answers.message().await.unwrap_err().code(),
        Err(status) => status.code(),
    };
    assert_eq!(code(None).await, Code::Unauthenticated);
    let other = TOKENS.token("tester", "registry:register");
    assert_eq!(code(Some(other)).await, Code::PermissionDenied);
    let reader = || Some(TOKENS.token("tester", "registry:read"));
    for (type_url, names) in [("unknown", [].as_slice()), (ENDPOINTS, &["a", "b"])] {
        let mut ads = Ads::open(at, reader()).await.unwrap();
        ads.ask(type_url, names, "").await;
        let refused = ads.answers.message().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{type_url}");
    }
}

#[tokio::test]
async fn who_asks_for_it_is_pushed_what_changed_only() {
    let registry = Harness::new().await;
    registry.register("pay", "one").await;
    let at = listen(&registry);
    let reader = || Some(TOKENS.token("tester", "registry:read"));
    let mut delta = Delta::call(at, reader(), DELTA).await.unwrap();
    let asks = |type_url: &str, names: &[&str]| DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let names = |answer: &DeltaDiscoveryResponse| -> Vec<String> {
        answer.resources.iter().map(|resource| resource.name.clone()).collect()
    };
    delta.requests.send(asks(CLUSTER, &[])).await.unwrap();
    let first = delta.next().await;
    assert_eq!(names(&first), ["pay"]);
    registry.register("pay", "two").await;
    registry.register("ship", "one").await;
    assert_eq!(names(&delta.next().await), ["ship"], "the other is known, and the same");
    registry.delete(&path("ship", "one")).send().await;
    let gone = delta.next().await;
    assert_eq!((names(&gone), gone.removed_resources), (vec![], vec!["ship".to_owned()]));
    delta.requests.send(asks(ENDPOINTS, &["pay", "No Name"])).await.unwrap();
    let endpoints = delta.next().await;
    let value = endpoints.resources[0].resource.as_ref().unwrap().value.as_slice();
    let assignment = ClusterLoadAssignment::decode(value).unwrap();
    assert_eq!(assignment.endpoints[0].lb_endpoints.len(), 2);
    assert_eq!(endpoints.removed_resources, ["No Name"]);

    // A client that comes back says what it has.
    let mut again = Delta::call(at, reader(), DELTA).await.unwrap();
    let known = (first.resources[0].name.clone(), first.resources[0].version.clone());
    let initial_resource_versions = [known, ("ship".to_owned(), "1".to_owned())].into();
    let request = DeltaDiscoveryRequest { initial_resource_versions, ..asks(CLUSTER, &[]) };
    again.requests.send(request).await.unwrap();
    let answer = again.next().await;
    assert_eq!((names(&answer), answer.removed_resources), (vec![], vec!["ship".to_owned()]));

    let other = TOKENS.token("tester", "registry:register");
    let code = match Delta::call(at, Some(other), DELTA).await {
        Ok(mut delta) => delta.answers.message().await.unwrap_err().code(),
        Err(status) => status.code(),
    };
    assert_eq!(code, Code::PermissionDenied);
}
