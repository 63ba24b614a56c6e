//! A client for any gRPC service, by the paths of its methods.

use std::net::SocketAddr;

use lombard_proto::rpc;
use prost::Message;
use tonic::{
    IntoStreamingRequest, Request, Response, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_prost::ProstCodec;

/// A connection, and whose token it shows.
#[derive(Clone, Debug)]
pub struct Client {
    grpc: Grpc<Channel>,
    /// `Bearer` and the token, or nothing.
    pub authorization: Option<MetadataValue<Ascii>>,
}

#[expect(
    clippy::expect_used,
    reason = "a server of the test's own that is not there ends the test"
)]
impl Client {
    /// Connects to a server of this machine.
    pub async fn connect(address: SocketAddr, token: &str) -> Self {
        let endpoint = Channel::from_shared(format!("http://{address}")).expect("it is a URI");
        let channel = endpoint.connect().await.expect("the server is there");
        let authorization = format!("Bearer {token}").parse().expect("a token is ASCII");
        Self { grpc: Grpc::new(channel), authorization: Some(authorization) }
    }

    /// A message with the token and a request id, `request-1`.
    pub fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request.metadata_mut().insert("x-request-id", MetadataValue::from_static("request-1"));
        request
    }

    /// One message, one answer.
    pub async fn unary<Q, A>(&self, path: &'static str, request: Request<Q>) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (mut grpc, path) = self.method(path).await;
        grpc.unary(request, path, ProstCodec::default()).await.map(Response::into_inner)
    }

    /// One message, many answers.
    pub async fn server_streaming<Q, A>(
        &self,
        path: &'static str,
        request: Request<Q>,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (mut grpc, path) = self.method(path).await;
        grpc.server_streaming(request, path, ProstCodec::default()).await.map(Response::into_inner)
    }

    /// Many messages, many answers.
    pub async fn streaming<Q, A>(
        &self,
        path: &'static str,
        requests: impl IntoStreamingRequest<Message = Q>,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (mut grpc, path) = self.method(path).await;
        let requests = requests.into_streaming_request();
        grpc.streaming(requests, path, ProstCodec::default()).await.map(Response::into_inner)
    }

    async fn method(&self, path: &'static str) -> (Grpc<Channel>, PathAndQuery) {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.expect("the connection is there");
        (grpc, PathAndQuery::from_static(path))
    }
}

/// The reason in the details of an error: the last part of the problem's type.
#[expect(clippy::expect_used, reason = "a refusal without a reason is what the test is to find")]
pub fn reason(status: &Status) -> String {
    let status = rpc::Status::decode(status.details()).expect("the details are a status");
    let info = status.error_info().expect("it has a reason");
    assert_eq!(info.domain, "lombard");
    info.reason
}
