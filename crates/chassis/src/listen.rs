//! Listening sockets: inherited from a supervisor (systemd socket activation) or bound here.

use std::net::{SocketAddr, TcpListener};

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

/// Binds `address`. `setting` is what the error tells people to change when the port is taken.
pub fn bind(
    address: SocketAddr,
    setting: &str,
    is_insecure_allowed: bool,
) -> Result<TcpListener, ListenError> {
    if !address.ip().is_loopback() && !is_insecure_allowed {
        return Err(ListenError::NotLoopback { address });
    }
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            ListenError::Taken { address, setting: setting.to_owned() }
        }
        _ => ListenError::Bind { address, source },
    })?;
    listener.set_nonblocking(true).map_err(|source| ListenError::Bind { address, source })?;
    Ok(listener)
}

/// The sockets passed by a supervisor (`LISTEN_FDS`, from file descriptor 3 on), in its order; none where it passed none.
pub fn inherited() -> Result<Vec<TcpListener>, ListenError> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let listener = passed.take_tcp_listener(index).map_err(ListenError::Inherited)?;
        if let Some(listener) = listener {
            listener.set_nonblocking(true).map_err(ListenError::Inherited)?;
            listeners.push(listener);
        }
    }
    Ok(listeners)
}
