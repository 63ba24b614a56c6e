//! Connections to upstreams that wait for their next request. One pool per worker thread: no locks, no hand-over.
//!
//! It is our own because of what it lets us know: `try_send_request` gives a request back when not a byte of it was
//! written, which is the whole basis of safe retries.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::{
    body::RequestBody,
    checked::CheckedStream,
    cluster::{Endpoint, Protocol},
    config::Config,
    local::LocalExecutor,
    transport::Stream,
};

/// Instances that come and go leave no more connections behind than those of a moment.
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(1);

/// One side of a connection.
#[derive(Debug)]
pub(crate) enum Sender {
    /// For one request at a time.
    Http1(http1::SendRequest<RequestBody>),
    /// Shared by requests: it stays in the pool.
    Http2(http2::SendRequest<RequestBody>),
}

impl Sender {
    pub(crate) const fn is_h2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

/// Idle and shared connections of one worker, by the endpoint's id.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, OfEndpoint>>,
    shared: RefCell<HashMap<u64, http2::SendRequest<RequestBody>>>,
    idle_max: usize,
    age_max: Duration,
    connect_timeout: Duration,
    headers_max: usize,
    head_bytes_max: usize,
}

/// The idle connections to one endpoint.
#[derive(Debug)]
struct OfEndpoint {
    /// Gone once no upstream has it any more.
    endpoint: Weak<Endpoint>,
    connections: Vec<Idle>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

/// No connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection in time")]
    Timeout,
    #[error("the name of its certificate is not known: {0}")]
    ServerName(#[from] rustls::pki_types::InvalidDnsNameError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            idle: RefCell::default(),
            shared: RefCell::default(),
            idle_max: config.pool_idle_max,
            age_max: config.pool_idle(),
            connect_timeout: config.connect_timeout(),
            headers_max: config.headers_max,
            head_bytes_max: config.head_bytes_max,
        }
    }

    /// The connection that was used last and is still good: the others may grow old and go.
    pub(crate) fn take(&self, endpoint: &Endpoint) -> Option<Sender> {
        if endpoint.transport.protocol == Protocol::Http2 {
            let shared = self.shared.borrow();
            let shared = shared.get(&endpoint.id).filter(|shared| !shared.is_closed())?;
            return Some(Sender::Http2(shared.clone()));
        }
        let mut idle = self.idle.borrow_mut();
        let connections = &mut idle.get_mut(&endpoint.id)?.connections;
        // One that has not yet sent the rest of a body that was answered early is not ready. What is no good any more is left to
        // the sweep: nearly always the last one is taken, and no other is looked at.
        let is_usable = |each: &Idle| each.sender.is_ready() && self.is_good(each);
        let index = connections.iter().rposition(is_usable)?;
        Some(Sender::Http1(connections.remove(index).sender))
    }

    /// A new connection.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Sender, ConnectError> {
        let connecting = connect(endpoint);
        let stream = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| ConnectError::Timeout)??;
        match endpoint.transport.protocol {
            Protocol::Http1 => self.begin_http1(stream).await,
            Protocol::Http2 => self.begin_http2(endpoint, stream).await,
        }
    }

    async fn begin_http1(&self, stream: Stream) -> Result<Sender, ConnectError> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(self.headers_max)
            .max_buf_size(self.head_bytes_max)
            .handshake(TokioIo::new(CheckedStream::new(stream, self.head_bytes_max)))
            .await?;
        let connection = connection.with_upgrades();
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an upstream ended");
            }
        });
        Ok(Sender::Http1(sender))
    }

    async fn begin_http2(
        &self,
        endpoint: &Endpoint,
        stream: Stream,
    ) -> Result<Sender, ConnectError> {
        let head_bytes_max = u32::try_from(self.head_bytes_max).unwrap_or(u32::MAX);
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_header_list_size(head_bytes_max)
            .keep_alive_interval(self.age_max)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an upstream ended");
            }
        });
        let mut shared = self.shared.borrow_mut();
        // Of several that were made at once the first stays; the others end with their requests.
        match shared.get(&endpoint.id) {
            Some(first) if !first.is_closed() => {}
            _ => drop(shared.insert(endpoint.id, sender.clone())),
        }
        Ok(Sender::Http2(sender))
    }

    fn give_back(&self, endpoint: &Arc<Endpoint>, sender: Sender) {
        let Sender::Http1(sender) = sender else { return };
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let of_endpoint = idle.entry(endpoint.id).or_insert_with(|| OfEndpoint {
            endpoint: Arc::downgrade(endpoint),
            connections: Vec::new(),
        });
        let connections = &mut of_endpoint.connections;
        if connections.len() >= self.idle_max {
            connections.retain(|each| self.is_good(each));
        }
        if connections.len() < self.idle_max {
            connections.push(Idle { sender, since: Instant::now() });
        }
    }

    fn is_good(&self, idle: &Idle) -> bool {
        !idle.sender.is_closed() && idle.since.elapsed() < self.age_max
    }

    /// Closes what is too old, and what led to instances that are gone, for ever.
    pub(crate) async fn sweep(&self) {
        let every = (self.age_max / 2).clamp(Duration::from_millis(100), SWEEP_EVERY_MAX);
        loop {
            tokio::time::sleep(every).await;
            self.idle.borrow_mut().retain(|_, OfEndpoint { endpoint, connections }| {
                connections.retain(|each| self.is_good(each));
                !connections.is_empty() && endpoint.strong_count() > 0
            });
            self.shared.borrow_mut().retain(|_, shared| !shared.is_closed());
        }
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Stream, ConnectError> {
    let stream = TcpStream::connect(&*endpoint.authority).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = &endpoint.transport.tls else { return Ok(Stream::Plain(stream)) };
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => {
            let host = endpoint.authority.rsplit_once(':').map_or("", |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            ServerName::try_from(host.to_owned())?
        }
    };
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
    Ok(Stream::Tls(Box::new(connector.connect(name, stream).await?.into())))
}

/// A connection that goes back to the pool once its response has ended.
#[derive(Debug)]
pub(crate) struct Returning {
    pub(crate) pool: Rc<Pool>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) sender: Sender,
}

impl Returning {
    pub(crate) fn give_back(self) {
        self.pool.give_back(&self.endpoint, self.sender);
    }
}
