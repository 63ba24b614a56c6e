//! The sockets. What is asked is answered from memory, so one datagram is done before the next is read: a flood waits in
//! the system's buffer and is dropped there.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket},
    sync::Arc,
    time::Duration,
};

use lombard_chassis::CancellationToken;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
};
use uuid::Uuid;

use super::{
    answer::{self, Known, Transport, Zone},
    order::Dice,
};
use crate::rest::Api;

/// Longest question: with everything that clients add, they are much shorter.
const QUESTION_BYTES_MAX: usize = 4096;
/// Out of buffers or descriptors: that passes.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers for services by DNS.
#[derive(Clone, Debug)]
pub struct Dns {
    api: Api,
    zone: Arc<Zone>,
}

impl Dns {
    pub(crate) fn new(api: Api) -> Self {
        let zone = Arc::new(Zone::new(&api.config.dns));
        Self { api, zone }
    }

    /// Answers on both sockets until `drain` is cancelled.
    pub async fn serve(
        self,
        udp: StdUdpSocket,
        tcp: StdTcpListener,
        drain: CancellationToken,
    ) -> io::Result<()> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
        tokio::select! {
            () = self.datagrams(&udp) => {}
            () = self.connections(&tcp) => {}
            () = drain.cancelled() => {}
        }
        Ok(())
    }

    /// Never ends by itself.
    async fn datagrams(&self, socket: &UdpSocket) {
        let mut buffer = vec![0; QUESTION_BYTES_MAX];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, peer)) => {
                    let question = buffer.get(..length).unwrap_or_default();
                    let Some(answer) = self.answer(question, Transport::Udp, peer) else {
                        continue;
                    };
                    if let Err(error) = socket.send_to(&answer, peer).await {
                        tracing::debug!(%peer, %error, "failed to answer a question");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to read a question");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Never ends by itself. The connections end with it.
    async fn connections(&self, listener: &TcpListener) {
        let permits = Arc::new(Semaphore::new(self.api.config.dns.tcp_connections_max));
        let mut connections = JoinSet::new();
        loop {
            // Taken before accepting, so that what cannot be served stays in the system's queue.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let dns = self.clone();
                    connections.spawn(async move {
                        if let Err(error) = dns.connection(stream, peer).await {
                            tracing::debug!(%peer, %error, "a DNS connection broke");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Questions one after the other, each behind its length (RFC 1035 section 4.2.2).
    async fn connection(&self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let config = &self.api.config.dns;
        let mut buffer = vec![0; QUESTION_BYTES_MAX];
        for _ in 0..config.tcp_questions_max {
            let read = tokio::time::timeout(config.idle(), read_question(&mut stream, &mut buffer));
            let Some(question) = read.await?? else { return Ok(()) };
            let Some(answer) = self.answer(question, Transport::Tcp, peer) else { return Ok(()) };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            let framed = [length.to_be_bytes().as_slice(), &answer].concat();
            tokio::time::timeout(config.idle(), stream.write_all(&framed)).await??;
        }
        Ok(())
    }

    fn answer(&self, question: &[u8], transport: Transport, peer: SocketAddr) -> Option<Vec<u8>> {
        let api = &self.api;
        let may_ask = api.config.compatibility.anonymous_reads && api.config.dns.may_ask(peer.ip());
        let mut dice = Dice::new(Uuid::new_v4().as_u64_pair().0);
        let reply = if !may_ask {
            answer::reply(&self.zone, question, transport, Known::Secret, &mut dice)
        } else if api.view.position() < api.start_tail {
            answer::reply(&self.zone, question, transport, Known::NotYet, &mut dice)
        } else {
            api.view.read(|view| {
                let known = Known::Services(view.services());
                answer::reply(&self.zone, question, transport, known, &mut dice)
            })
        };
        api.metrics.count("dns", reply.as_ref().map_or("ignored", |reply| reply.result));
        reply.map(|reply| reply.bytes)
    }
}

/// `None` where the client has no more questions, or asks too long ones.
async fn read_question<'a>(
    stream: &mut TcpStream,
    buffer: &'a mut [u8],
) -> io::Result<Option<&'a [u8]>> {
    let length = match stream.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(question) = buffer.get_mut(..length) else { return Ok(None) };
    stream.read_exact(question).await?;
    Ok(Some(question))
}
