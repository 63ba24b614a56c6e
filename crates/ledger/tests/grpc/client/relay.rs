//! A relay of connections that can be cut.

use std::net::SocketAddr;

use lombard_chassis::CancellationToken;
use parking_lot::Mutex;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

pub(super) struct Relay {
    pub(super) address: SocketAddr,
    connected: std::sync::Arc<Mutex<CancellationToken>>,
}

impl Relay {
    pub(super) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connected = std::sync::Arc::new(Mutex::new(CancellationToken::new()));
        let of_task = std::sync::Arc::clone(&connected);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let cut = of_task.lock().clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
        });
        Self { address, connected }
    }

    /// Ends all connections; those that are made later stay.
    pub(super) fn cut(&self) {
        std::mem::take(&mut *self.connected.lock()).cancel();
    }
}
