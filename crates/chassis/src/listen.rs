//! Listening sockets: inherited from a supervisor (systemd socket activation) or bound here.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Clear text would leave this machine.
    #[error(
        "{address} is not a loopback address and there is no TLS: tokens and money would cross the network in clear \
         text. Listen on 127.0.0.1, or allow it with --insecure (for example behind a TLS proxy on a private network)"
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Somebody else has the port.
    #[error("port {} of {} is taken by another program; choose another with {setting}", address.port(), address.ip())]
    Taken {
        /// What was asked for.
        address: SocketAddr,
        /// The flag or setting that changes it.
        setting: String,
    },
    /// The system refused.
    #[error("failed to listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The inherited socket is not usable.
    #[error("failed to take over the inherited socket")]
    Inherited(#[source] std::io::Error),
}

/// A socket that is passed on to a role.
#[derive(Debug)]
pub enum Socket {
    /// It takes connections.
    Tcp(TcpListener),
    /// It takes datagrams.
    Udp(UdpSocket),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

/// Binds `address`. `setting` is what the error tells people to change when the port is taken.
pub fn bind(
    address: SocketAddr,
    setting: &str,
    is_insecure_allowed: bool,
) -> Result<TcpListener, ListenError> {
    refuse_clear_text(address, is_insecure_allowed)?;
    let listener =
        TcpListener::bind(address).map_err(|source| refused(address, setting, source))?;
    listener.set_nonblocking(true).map_err(|source| ListenError::Bind { address, source })?;
    Ok(listener)
}

/// Ports that are tried where any will do.
const PORTS_TRIED_MAX: usize = 16;

/// Binds `address` for connections and for datagrams: one port for both, also where the system chooses it.
pub fn bind_both(
    address: SocketAddr,
    setting: &str,
    is_insecure_allowed: bool,
) -> Result<(TcpListener, UdpSocket), ListenError> {
    let mut tried = 0;
    loop {
        let listener = bind(address, setting, is_insecure_allowed)?;
        let at = listener.local_addr().map_err(|source| ListenError::Bind { address, source })?;
        tried += 1;
        match UdpSocket::bind(at) {
            Ok(socket) => {
                let blocking = socket.set_nonblocking(true);
                blocking.map_err(|source| ListenError::Bind { address, source })?;
                return Ok((listener, socket));
            }
            // Free for one of both only.
            Err(_) if address.port() == 0 && tried < PORTS_TRIED_MAX => {}
            Err(source) => return Err(refused(at, setting, source)),
        }
    }
}

fn refuse_clear_text(address: SocketAddr, is_insecure_allowed: bool) -> Result<(), ListenError> {
    if !address.ip().is_loopback() && !is_insecure_allowed {
        return Err(ListenError::NotLoopback { address });
    }
    Ok(())
}

fn refused(address: SocketAddr, setting: &str, source: std::io::Error) -> ListenError {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            ListenError::Taken { address, setting: setting.to_owned() }
        }
        _ => ListenError::Bind { address, source },
    }
}

/// The sockets that a supervisor has passed (`LISTEN_FDS`, from file descriptor 3 on), in its order, with the names that it
/// has given them (`LISTEN_FDNAMES`).
#[derive(Debug)]
pub struct Inherited(Vec<(String, Socket)>);

/// Takes over what a supervisor has passed; nothing where it has passed none.
pub fn inherited() -> Result<Inherited, ListenError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(ToOwned::to_owned);
    let mut passed = listenfd::ListenFd::from_env();
    let mut sockets = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        // A socket of the other kind is left where it is.
        if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
            listener.set_nonblocking(true).map_err(ListenError::Inherited)?;
            sockets.push((name, Socket::Tcp(listener)));
        } else if let Some(socket) =
            passed.take_udp_socket(index).map_err(ListenError::Inherited)?
        {
            socket.set_nonblocking(true).map_err(ListenError::Inherited)?;
            sockets.push((name, Socket::Udp(socket)));
        }
    }
    Ok(Inherited(sockets))
}

impl Inherited {
    /// The first, whatever its name.
    pub fn take_first(&mut self) -> Option<TcpListener> {
        let is_first = |(index, _): (usize, &(String, Socket))| index == 0;
        self.take_tcp_where(is_first)
    }

    /// The one that takes connections and has this name.
    pub fn take_tcp(&mut self, name: &str) -> Option<TcpListener> {
        self.take_tcp_where(|(_, (given, _))| given == name)
    }

    /// The one that takes datagrams and has this name.
    pub fn take_udp(&mut self, name: &str) -> Option<UdpSocket> {
        let is_it =
            |(given, socket): &(String, Socket)| given == name && matches!(socket, Socket::Udp(_));
        let index = self.0.iter().position(is_it)?;
        match self.0.remove(index) {
            (_, Socket::Udp(socket)) => Some(socket),
            (_, Socket::Tcp(_)) => None,
        }
    }

    fn take_tcp_where(
        &mut self,
        is_wanted: impl Fn((usize, &(String, Socket))) -> bool,
    ) -> Option<TcpListener> {
        let found =
            self.0.iter().enumerate().find(|(index, each)| {
                is_wanted((*index, each)) && matches!(each.1, Socket::Tcp(_))
            });
        let index = found.map(|(index, _)| index)?;
        match self.0.remove(index) {
            (_, Socket::Tcp(listener)) => Some(listener),
            (_, Socket::Udp(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn both_kinds_have_one_port() {
        let (tcp, udp) = bind_both(ANY, "--flag", false).unwrap();
        let at = tcp.local_addr().unwrap();
        assert_eq!(at, udp.local_addr().unwrap());
        assert!(matches!(bind_both(at, "--flag", false), Err(ListenError::Taken { .. })));
        let open = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(bind_both(open, "--flag", false), Err(ListenError::NotLoopback { .. })));
    }

    #[test]
    fn sockets_are_taken_by_name_and_kind() {
        let (tcp, udp) = bind_both(ANY, "--flag", false).unwrap();
        let first = bind(ANY, "--flag", false).unwrap();
        let at = (first.local_addr().unwrap(), tcp.local_addr().unwrap());
        let named = |name: &str, socket| (name.to_owned(), socket);
        let mut inherited = Inherited(vec![
            named("role", Socket::Tcp(first)),
            named("dns", Socket::Udp(udp)),
            named("dns", Socket::Tcp(tcp)),
        ]);
        assert!(inherited.take_tcp("other").is_none());
        assert_eq!(inherited.take_tcp("dns").unwrap().local_addr().unwrap(), at.1);
        assert_eq!(inherited.take_first().unwrap().local_addr().unwrap(), at.0);
        assert!(inherited.take_first().is_none(), "what is left takes datagrams");
        assert!(inherited.take_udp("dns").is_some() && inherited.take_udp("dns").is_none());
    }
}
