//! When to stop: signals become one token that everything watches.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled at the first SIGTERM or SIGINT. A second signal ends the process at once, with exit
/// code 130.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let drain = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = drain.clone();
    tokio::spawn(async move {
        for is_first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_first {
                token.cancel();
            } else {
                std::process::exit(130);
            }
        }
    });
    Ok(drain)
}
