//! Idempotency-Key for services that have none (draft-ietf-httpapi-idempotency-key-header): the first response is kept in the
//! event store, durably before it is answered, and given again to whoever sends the same request with the same key.
//!
//! A key is a stream. To take a request on is to append to it on the condition that nobody else has, so that of two gateways
//! one does it. A request that was sent and not answered is never sent again: nobody can tell what it did.

mod exchange;
mod record;
mod store;

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use lombard_chassis::Problem;
use lombard_gateway_core::{KeyVerdict, RequestDigest};

use crate::{
    body::{RequestBody, ResponseBody},
    problem::{self, Failure},
    worker::Worker,
};
pub(crate) use exchange::{Done, Once};
use record::{Answer, Record, to_hex};
use store::{Expected, StoreError};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 255;

/// What is done with a request that has a key.
enum Start {
    /// It is the first.
    Begin(Claim),
    /// It has been answered before.
    Replay(Box<Response<ResponseBody>>),
}

/// A request that was taken on.
#[derive(Debug)]
struct Claim {
    stream: String,
    revision: u64,
    request: String,
}

/// The key of a request.
pub(crate) fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(problem::idempotency_key_missing)?;
    let key = value.to_str().ok().filter(|_| values.next().is_none());
    let is_key = |key: &&str| {
        !key.is_empty()
            && key.len() <= KEY_BYTES_MAX
            && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    key.filter(is_key).ok_or_else(problem::idempotency_key_invalid)
}

/// What a request asks for. Its body must be there whole.
pub(crate) fn digest_of(request: &Request<RequestBody>) -> Option<RequestDigest> {
    let body = request.body().whole_bytes()?;
    let mut context = digest::Context::new(&digest::SHA256);
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    for part in [request.method().as_str().as_bytes(), target.as_bytes(), body] {
        // With its length, so that no two requests have the same parts put together.
        context.update(&u64::try_from(part.len()).ok()?.to_be_bytes());
        context.update(part);
    }
    let mut digest = RequestDigest::default();
    digest.copy_from_slice(context.finish().as_ref());
    Some(digest)
}

/// Takes a request on, or answers it as it was answered before.
async fn start(
    worker: &Worker,
    (route, client, key): (&str, &str, &str),
    request: &RequestDigest,
) -> Result<Start, Problem> {
    let stream = stream_of(route, client, key);
    let digest = to_hex(request);
    let begun = || Record::Begun { request: digest.clone(), at_ms: millis(now()) };
    let claim = |revision| Claim { stream: stream.clone(), revision, request: digest.clone() };
    let appended = store::append(worker, &stream, Expected::Absent, &begun()).await;
    if let Some(revision) = appended.map_err(away)? {
        return Ok(Start::Begin(claim(revision)));
    }
    // Somebody was here before. What cannot be read yet is being written.
    let Some(last) = store::last(worker, &stream).await.map_err(away)? else {
        return Err(problem::idempotency_key_in_progress());
    };
    let state = last.record.state().ok_or_else(|| away(StoreError::Malformed))?;
    match state.judge(request, now(), worker.config.idempotency_time()) {
        KeyVerdict::Begin => {
            let expected = Expected::Revision(last.revision);
            let appended = store::append(worker, &stream, expected, &begun()).await;
            match appended.map_err(away)? {
                Some(revision) => Ok(Start::Begin(claim(revision))),
                None => Err(problem::idempotency_key_in_progress()),
            }
        }
        KeyVerdict::Replay => replay(&last.record).map(Box::new).map(Start::Replay),
        KeyVerdict::InProgress => Err(problem::idempotency_key_in_progress()),
        KeyVerdict::OtherRequest => Err(problem::idempotency_key_reused()),
        KeyVerdict::OutcomeUnknown => Err(problem::idempotency_outcome_unknown()),
    }
}

impl Claim {
    /// Keeps what became of the request, then says it.
    async fn finish(
        self,
        worker: &Rc<Worker>,
        sent: Result<Response<ResponseBody>, Failure>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let response = match sent {
            Ok(response) if is_refusal(response.status()) => {
                self.keep(worker, Record::Released {}).await;
                return Ok(response);
            }
            Ok(response) => response,
            Err(failure) => {
                let request = self.request.clone();
                let is_sent = failure.was_sent();
                let record =
                    if is_sent { Record::Unknown { request } } else { Record::Released {} };
                self.keep(worker, record).await;
                return Err(failure);
            }
        };
        let (parts, body) = response.into_parts();
        let bytes_max = worker.config.idempotency_response_bytes_max;
        match read(body, bytes_max).await {
            Ok(Read::Whole(body)) => {
                self.answered(worker, parts.status, &parts.headers, Some(&body)).await;
                Ok(Response::from_parts(parts, ResponseBody::Own(Full::new(body))))
            }
            Ok(Read::TooLong(body)) => {
                self.answered(worker, parts.status, &parts.headers, None).await;
                Ok(Response::from_parts(parts, body))
            }
            Err(()) => {
                let request = self.request.clone();
                self.keep(worker, Record::Unknown { request }).await;
                Err(Failure::Broken)
            }
        }
    }

    async fn answered(
        &self,
        worker: &Worker,
        status: StatusCode,
        headers: &HeaderMap,
        body: Option<&Bytes>,
    ) {
        let mut kept = headers.clone();
        crate::headers::to_client(&mut kept);
        let answer = Answer::new(status, &kept, body);
        self.keep(worker, Record::Answered { request: self.request.clone(), answer }).await;
    }

    /// Where it cannot be kept, the key stays taken: a retry hears that the outcome is unknown, and nothing happens twice.
    async fn keep(&self, worker: &Worker, record: Record) {
        let expected = Expected::Revision(self.revision);
        match store::append(worker, &self.stream, expected, &record).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                tracing::error!(stream = self.stream, "somebody else wrote to the stream of a key")
            }
            Err(error) => {
                tracing::error!(stream = self.stream, %error, "failed to keep what became of a request");
            }
        }
    }
}

/// Answers that say that nothing was done: a retry may do it.
const fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

enum Read {
    Whole(Bytes),
    /// All of it, but not at once.
    TooLong(ResponseBody),
}

async fn read(mut body: ResponseBody, bytes_max: usize) -> Result<Read, ()> {
    let mut first = BytesMut::new();
    let is_long = |body: &ResponseBody| {
        body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX)
    };
    while !is_long(&body) && first.len() <= bytes_max {
        match body.frame().await {
            None => return Ok(Read::Whole(first.freeze())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    first.extend_from_slice(&data);
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a response to be kept broke off");
                return Err(());
            }
        }
    }
    Ok(Read::TooLong(body.after(first.freeze())))
}

fn replay(record: &Record) -> Result<Response<ResponseBody>, Problem> {
    let Record::Answered { answer, .. } = record else {
        return Err(problem::idempotency_key_in_progress());
    };
    let (status, headers, body) = answer.read().ok_or_else(|| away(StoreError::Malformed))?;
    let body = body.ok_or_else(|| problem::response_not_kept(status))?;
    let mut response = Response::new(ResponseBody::Own(Full::new(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn away(error: StoreError) -> Problem {
    tracing::warn!(%error, "a key cannot be looked up");
    problem::idempotency_store_away()
}

/// A digest, since keys may say something that is nobody's business, and names of streams are seen by many.
fn stream_of(route: &str, client: &str, key: &str) -> String {
    let text = format!("{route}\n{client}\n{key}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let digits: String =
        digest.as_ref().iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    format!("gateway-idempotency-{digits}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
