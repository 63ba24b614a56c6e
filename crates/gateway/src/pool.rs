//! Connections to upstreams that wait for their next request. One pool per worker thread: no locks, no hand-over.
//!
//! It is our own because of what it lets us know: `try_send_request` gives a request back when not a byte of it was
//! written, which is the whole basis of safe retries.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{body::RequestBody, cluster::Endpoint, config::Config};

/// One side of a connection.
pub(crate) type Sender = SendRequest<RequestBody>;

/// Idle connections of one worker, by upstream address.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Box<str>, Vec<Idle>>>,
    idle_max: usize,
    age_max: Duration,
    connect_timeout: Duration,
    headers_max: usize,
    head_bytes_max: usize,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

/// No connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection in time")]
    Timeout,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            idle: RefCell::default(),
            idle_max: config.pool_idle_max,
            age_max: config.pool_idle(),
            connect_timeout: config.connect_timeout(),
            headers_max: config.headers_max,
            head_bytes_max: config.head_bytes_max,
        }
    }

    /// The connection that was used last and is still good: the others may grow old and go.
    pub(crate) fn take(&self, endpoint: &Endpoint) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint.authority)?;
        connections.retain(|each| self.is_good(each));
        // One that has not yet sent the rest of a body that was answered early is not ready.
        let index = connections.iter().rposition(|each| each.sender.is_ready())?;
        Some(connections.remove(index).sender)
    }

    /// A new connection.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Sender, ConnectError> {
        let connecting = TcpStream::connect(&*endpoint.authority);
        let stream = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| ConnectError::Timeout)??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_headers(self.headers_max)
            .max_buf_size(self.head_bytes_max)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an upstream ended");
            }
        });
        Ok(sender)
    }

    fn give_back(&self, endpoint: &Endpoint, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(endpoint.authority.clone()).or_default();
        if connections.len() < self.idle_max {
            connections.push(Idle { sender, since: Instant::now() });
        }
    }

    fn is_good(&self, idle: &Idle) -> bool {
        !idle.sender.is_closed() && idle.since.elapsed() < self.age_max
    }

    /// Closes what is too old, for ever.
    pub(crate) async fn sweep(&self) {
        loop {
            tokio::time::sleep((self.age_max / 2).max(Duration::from_millis(100))).await;
            self.idle.borrow_mut().retain(|_, connections| {
                connections.retain(|each| self.is_good(each));
                !connections.is_empty()
            });
        }
    }
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
