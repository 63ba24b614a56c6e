//! One connection to a server, made when it is needed.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderValue, Request, Uri, header};
use lombard_proto::{frame, timeout};
use prost::Message;
use tokio::{net::TcpStream, sync::Mutex, time::Instant};

use super::{GrpcError, PAUSE_MAX, PAUSE_MIN, call::Messages};
use crate::Platform;

/// What the server may send before it is taken: enough for a read to keep the connection full.
const CALL_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const FRAME_BYTES_MAX: u32 = 1 << 18;
/// What may wait to be sent of one call.
const SEND_BUFFER_BYTES: usize = 8 << 20;
/// Longest message that is taken.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a server gets beyond the deadline that it was told, to say so itself.
const GRACE: Duration = Duration::from_secs(1);

/// Where the tokens come from.
pub(super) enum Tokens {
    One(Box<str>),
    /// Those of a client, for what the gateway serves under the prefix.
    Platform(Platform, &'static str),
}

pub(super) struct Channel {
    address: String,
    tokens: Tokens,
    connection: Mutex<Option<SendRequest<Bytes>>>,
    /// The last token as a header: made once, and compared by the server byte by byte.
    authorization: parking_lot::Mutex<Option<(Box<str>, HeaderValue)>>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A call that has begun.
pub(super) struct Begun {
    pub(super) requests: SendStream<Bytes>,
    pub(super) response: h2::client::ResponseFuture,
}

impl Channel {
    pub(super) fn new(address: String, tokens: Tokens) -> Self {
        let (connection, authorization) = (Mutex::new(None), parking_lot::Mutex::new(None));
        Self { address, tokens, connection, authorization }
    }

    /// One request, one answer, until `latest`.
    pub(super) async fn unary<A: Message + Default>(
        &self,
        path: &'static str,
        request: &impl Message,
        latest: Instant,
    ) -> Result<A, GrpcError> {
        let answering = async {
            let wait = latest.saturating_duration_since(Instant::now());
            let Begun { mut requests, response } = self.begin(path, Some(wait)).await?;
            let sent = requests.send_data(framed(request), true);
            sent.map_err(|error| self.unknown(error))?;
            let mut messages = Messages::new(self.address.clone(), response);
            let answer = messages.next().await?;
            let answer = answer.ok_or_else(|| self.unexpected("no message before the status"))?;
            match messages.next().await? {
                None => Ok(answer),
                Some(_) => Err(self.unexpected("more than one message")),
            }
        };
        let answered = tokio::time::timeout_at(latest + GRACE, answering).await;
        answered.unwrap_or_else(|_| Err(self.unknown("the time is over")))
    }

    /// One request, one answer, and again until the deadline where that can help: for what is harmless to repeat.
    pub(super) async fn repeated<A: Message + Default>(
        &self,
        path: &'static str,
        request: &impl Message,
        deadline: Duration,
    ) -> Result<A, GrpcError> {
        let latest = Instant::now() + deadline;
        let mut pause = PAUSE_MIN;
        loop {
            let tried = self.unary(path, request, latest).await;
            let error = match tried {
                Err(error) if error.is_temporary() => error,
                answer => return answer,
            };
            if error.is_unauthenticated() {
                self.forget_token().await;
            }
            if Instant::now() + pause >= latest {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One request, any number of answers.
    pub(super) async fn server_stream<A: Message + Default>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<Messages<A>, GrpcError> {
        let Begun { mut requests, response } = self.begin(path, None).await?;
        requests.send_data(framed(request), true).map_err(|error| self.unknown(error))?;
        Ok(Messages::new(self.address.clone(), response))
    }

    /// Sends the head of a call.
    pub(super) async fn begin(
        &self,
        path: &'static str,
        wait: Option<Duration>,
    ) -> Result<Begun, GrpcError> {
        let authorization = self.authorization().await?;
        let uri = Uri::builder().scheme("http").authority(self.address.as_str());
        let uri = uri.path_and_query(path).build().map_err(|error| self.not_sent(error))?;
        let mut request = Request::post(uri)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(header::TE, HeaderValue::from_static("trailers"))
            .header(header::AUTHORIZATION, authorization);
        if let Some(wait) = wait {
            request = request.header("grpc-timeout", timeout::format(wait));
        }
        let request = request.body(()).map_err(|error| self.not_sent(error))?;
        let mut sender = self.sender().await?;
        match sender.send_request(request, false) {
            Ok((response, requests)) => Ok(Begun { requests, response }),
            Err(error) => Err(self.not_sent(error)),
        }
    }

    /// A sender that may begin a call. A connection that was lost is made again.
    async fn sender(&self) -> Result<SendRequest<Bytes>, GrpcError> {
        let known = self.connection.lock().await.clone();
        if let Some(known) = known
            && let Ok(ready) = known.ready().await
        {
            return Ok(ready);
        }
        let mut connection = self.connection.lock().await;
        // Somebody else may have connected meanwhile; a sender that is not ready at once is not a lost connection.
        if let Some(known) = connection.clone()
            && let Ok(ready) = known.ready().await
        {
            return Ok(ready);
        }
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await;
        let made = connecting.map_err(|_| self.not_sent("it takes too long"))??;
        *connection = Some(made.clone());
        drop(connection);
        made.ready().await.map_err(|error| self.not_sent(error))
    }

    async fn connect(&self) -> Result<SendRequest<Bytes>, GrpcError> {
        let stream = TcpStream::connect(&self.address).await;
        let stream = stream.map_err(|error| self.not_sent(error))?;
        stream.set_nodelay(true).map_err(|error| self.not_sent(error))?;
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(CALL_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .enable_push(false);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| self.not_sent(error))?;
        let address = self.address.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(address, %error, "a gRPC connection ended");
            }
        });
        Ok(sender)
    }

    async fn authorization(&self) -> Result<HeaderValue, GrpcError> {
        match &self.tokens {
            Tokens::One(token) => self.header(token),
            Tokens::Platform(platform, prefix) => {
                self.header(platform.access_token(prefix).await?.secret())
            }
        }
    }

    fn header(&self, token: &str) -> Result<HeaderValue, GrpcError> {
        let mut known = self.authorization.lock();
        if let Some((known, header)) = &*known
            && **known == *token
        {
            return Ok(header.clone());
        }
        let made = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut header = made.map_err(|error| self.not_sent(error))?;
        header.set_sensitive(true);
        *known = Some((token.into(), header.clone()));
        Ok(header)
    }

    /// The next call connects anew: nothing is heard on this connection any more.
    pub(super) async fn forget_connection(&self) {
        *self.connection.lock().await = None;
    }

    /// The token was refused: the next call asks for another.
    pub(super) async fn forget_token(&self) {
        if let Tokens::Platform(platform, prefix) = &self.tokens {
            platform.forget_token(prefix).await;
        }
    }

    fn not_sent(&self, cause: impl fmt::Display) -> GrpcError {
        GrpcError::not_sent(&self.address, cause)
    }

    pub(super) fn unknown(&self, cause: impl fmt::Display) -> GrpcError {
        GrpcError::unknown(&self.address, cause)
    }

    fn unexpected(&self, what: &str) -> GrpcError {
        GrpcError::unexpected(&self.address, what)
    }

    pub(super) fn address(&self) -> String {
        self.address.clone()
    }
}

/// A message as it is sent.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let mut out = BytesMut::with_capacity(frame::PREFIX_BYTES + message.encoded_len());
    frame::encode(message, &mut out);
    out.freeze()
}

/// Gives the server room for what was taken.
pub(super) fn release(body: &mut RecvStream, bytes: usize) {
    // Fails only where more is given back than was taken.
    if let Err(error) = body.flow_control().release_capacity(bytes) {
        tracing::error!(%error, "the window of a gRPC call is wrong");
    }
}
