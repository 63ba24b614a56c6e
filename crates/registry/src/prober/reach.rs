//! Connects to what is asked.

use std::{io::ErrorKind, net::SocketAddr};

use lombard_registry_core::{Address, Failure};
use tokio::net::TcpStream;

use super::ChecksConfig;

/// Connects to an address that may be asked. A name is looked up once, and what it leads to is checked and used: it cannot
/// lead elsewhere in between.
pub(super) async fn connect(config: &ChecksConfig, at: &Address) -> Result<TcpStream, Failure> {
    let address = resolve(config, at).await?;
    let stream = TcpStream::connect(address).await.map_err(|error| failure(error.kind()))?;
    // Questions are small and sent whole.
    drop(stream.set_nodelay(true));
    Ok(stream)
}

async fn resolve(config: &ChecksConfig, at: &Address) -> Result<SocketAddr, Failure> {
    let may_ask = |address: &SocketAddr| config.may_ask(address.ip());
    if let Some(ip) = at.ip() {
        let address = SocketAddr::new(ip, at.port());
        return Some(address).filter(may_ask).ok_or(Failure::NoAddress);
    }
    let found = tokio::net::lookup_host((at.host(), at.port())).await;
    let mut found = found.map_err(|_| Failure::NoAddress)?;
    found.find(may_ask).ok_or(Failure::NoAddress)
}

const fn failure(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Failure::Unreachable,
        ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Broken,
    }
}
