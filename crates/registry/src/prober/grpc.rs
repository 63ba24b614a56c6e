//! `grpc.health.v1.Health/Check`.

use axum::http::{HeaderMap, Request, header};
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, client};
use lombard_proto::{
    frame::{self, FrameDecoder},
    health::v1::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
};
use lombard_registry_core::{Failure, Outcome};
use prost::Message as _;
use tokio::net::TcpStream;

use super::ask;

const PATH: &str = "/grpc.health.v1.Health/Check";
/// An answer holds one number.
const ANSWER_BYTES_MAX: usize = 1024;
const WINDOW_BYTES: u32 = 16 << 10;
const HEADER_BYTES_MAX: u32 = 16 << 10;

pub(super) async fn ask(
    stream: TcpStream,
    authority: &str,
    service: &str,
) -> Result<Outcome, Failure> {
    let request = Request::post(format!("http://{authority}{PATH}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(())
        .map_err(|_| Failure::Malformed)?;
    let (sender, connection) = client::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| failure(&error))?;
    let mut question = BytesMut::new();
    frame::encode(&HealthCheckRequest { service: service.to_owned() }, &mut question);
    let exchange = async {
        let mut sender = sender.ready().await?;
        let (answer, mut body) = sender.send_request(request, false)?;
        body.send_data(question.freeze(), true)?;
        let (head, body) = answer.await?.into_parts();
        read(&head.headers, body).await
    };
    ask::over(connection, exchange).await.map_err(|error| failure(&error))
}

async fn read(headers: &HeaderMap, mut body: RecvStream) -> Result<Outcome, h2::Error> {
    let mut frames = FrameDecoder::new(ANSWER_BYTES_MAX);
    let mut answer = None;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        frames.push(chunk);
        match frames.next_message() {
            Ok(None) => {}
            Ok(Some(message)) if answer.is_none() => answer = Some(message),
            Ok(Some(_)) | Err(_) => return Ok(Outcome::Failed(Failure::Malformed)),
        }
    }
    let trailers = body.trailers().await?;
    let status = trailers.as_ref().unwrap_or(headers).get("grpc-status");
    if status.is_none_or(|status| status != "0") {
        return Ok(Outcome::Failed(Failure::NotServing));
    }
    let answer = answer.and_then(|answer| HealthCheckResponse::decode(answer).ok());
    Ok(match answer.map(|answer| answer.status()) {
        Some(ServingStatus::Serving) => Outcome::Passing,
        Some(_) => Outcome::Failed(Failure::NotServing),
        None => Outcome::Failed(Failure::Malformed),
    })
}

fn failure(error: &h2::Error) -> Failure {
    if error.is_io() { Failure::Broken } else { Failure::Malformed }
}
