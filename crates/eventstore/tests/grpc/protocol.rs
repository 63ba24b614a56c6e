//! The protocol under the calls: limits, deadlines, what is no gRPC, health, drain.

use bytes::Bytes;
use lombard_eventstore::Config;
use lombard_proto::{
    eventstore::v1 as proto,
    health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
};
use tonic::Code;

use super::support::{TestServer, append_to, event, reason};

#[tokio::test]
async fn messages_over_the_limit_have_no_effect() {
    let mut config = Config::default();
    config.grpc.message_bytes_max = 1024;
    let server = TestServer::with(config);
    let client = server.client("admin").await;
    let mut large = event(1, "t");
    large.data = Some(proto::new_event::Data::Binary(Bytes::from(vec![0; 2000])));
    let refused = client.append(append_to("s-1", vec![large])).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "body-too-large")
    );
    client.append(append_to("s-1", vec![event(1, "t")])).await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_one_ends() {
    let mut config = Config::default();
    config.grpc.connections_max = 1;
    let server = std::sync::Arc::new(TestServer::with(config));
    let first = server.client("admin").await;
    first.append(append_to("s-1", vec![event(1, "t")])).await.unwrap();
    let waiting = tokio::spawn({
        let server = std::sync::Arc::clone(&server);
        async move {
            let second = server.client("admin").await;
            second.append(append_to("s-1", vec![event(2, "t")])).await.unwrap();
        }
    });
    for id in 3..30 {
        first.append(append_to("s-1", vec![event(id, "t")])).await.unwrap();
    }
    let read = first.read(proto::ReadRequest::default()).await.unwrap();
    assert_eq!(read.len(), 28, "a second connection was served");
    drop(first);
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_told() {
    let server = TestServer::new();
    // tonic has a clock of its own, so this call is made by hand.
    let path = "/lombard.eventstore.v1.EventStore/Subscribe";
    let headers = [("content-type", "application/grpc"), ("grpc-timeout", "50m")];
    let trailers = by_hand(&server, path, &headers).await;
    let status = lombard_proto::status_from_trailers(&trailers).unwrap_err();
    assert_eq!(status.grpc_code(), lombard_proto::Code::DeadlineExceeded);
    assert_eq!(status.error_info().unwrap().reason, "deadline-exceeded");
    let client = server.client("admin").await;
    let mut request = client.request(append_to("s-1", vec![event(1, "t")]));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let path = "/lombard.eventstore.v1.EventStore/Append";
    let refused = client.unary::<_, proto::AppendResponse>(path, request).await.unwrap_err();
    assert_eq!(reason(&refused), "invalid-header");
}

/// One call with an empty message; the answer's head with what it ends with.
async fn by_hand(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> http::HeaderMap {
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let authorization = format!("Bearer {}", server.token("admin"));
    let uri = format!("http://{}{path}", server.address);
    let mut request = http::Request::post(uri).header("authorization", authorization);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut all = head.headers;
    all.insert("status", http::HeaderValue::from(head.status.as_u16()));
    while let Some(chunk) = body.data().await {
        let length = chunk.unwrap().len();
        body.flow_control().release_capacity(length).unwrap();
    }
    all.extend(body.trailers().await.unwrap().unwrap_or_default());
    driving.abort();
    all
}

#[tokio::test]
async fn what_is_no_grpc_is_refused_in_the_words_of_http() {
    let server = TestServer::new();
    let path = "/lombard.eventstore.v1.EventStore/Read";
    for media_type in ["application/json", "application/grpc-web", "application/grpcx"] {
        let answer = by_hand(&server, path, &[("content-type", media_type)]).await;
        assert_eq!(answer["status"], "415", "{media_type}");
    }
    for media_type in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
        let answer = by_hand(&server, path, &[("content-type", media_type)]).await;
        assert_eq!(
            (&answer["status"], &answer["grpc-status"]),
            (&"200".parse().unwrap(), &"0".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn what_is_not_offered_is_refused() {
    let server = TestServer::new();
    let client = server.client("admin").await;
    let path = "/lombard.eventstore.v1.EventStore/Nothing";
    let request = client.request(proto::ReadRequest::default());
    let refused = client.unary::<_, proto::ReadResponse>(path, request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unimplemented, "unknown-method")
    );
    let mut request = client.request(append_to("s-1", vec![event(1, "t")]));
    request.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let path = "/lombard.eventstore.v1.EventStore/Append";
    let refused = client.unary::<_, proto::AppendResponse>(path, request).await.unwrap_err();
    assert_eq!(reason(&refused), "unsupported-encoding");
}

#[tokio::test]
async fn health_is_what_readiness_is() {
    let server = TestServer::new();
    let mut client = server.client("admin").await;
    client.authorization = None;
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let path = "/grpc.health.v1.Health/Watch";
    let mut watch: tonic::Streaming<HealthCheckResponse> =
        client.server_streaming(path, client.request(check(""))).await.unwrap();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    server.health.ready();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let path = "/grpc.health.v1.Health/Check";
    let name = "lombard.eventstore.v1.EventStore";
    let answer: HealthCheckResponse =
        client.unary(path, client.request(check(name))).await.unwrap();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let unknown = client.unary::<_, HealthCheckResponse>(path, client.request(check("x"))).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let server = TestServer::new();
    let client = server.client("admin").await;
    for _ in 0..2 {
        client.append(append_to("s-1", vec![event(1, "t")])).await.unwrap();
    }
    drop(client.append(append_to("s-1", vec![])).await.unwrap_err());
    let text = server.metrics.encode().unwrap();
    let method = "method=\"/lombard.eventstore.v1.EventStore/Append\"";
    for (code, count) in [("OK", 2), ("INVALID_ARGUMENT", 1)] {
        let line = format!("grpc_calls_total{{{method},code=\"{code}\"}} {count}");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn the_drain_lets_calls_finish_and_takes_no_new_ones() {
    let server = TestServer::new();
    let client = server.client("admin").await;
    client.append(append_to("s-1", vec![event(1, "t")])).await.unwrap();
    let address = server.address;
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
