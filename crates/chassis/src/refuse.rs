//! Answers connections that are one too many: a client that is told can try again, one that waits in a queue cannot know
//! why.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};

use crate::{Problem, problems};

/// Connections that are being refused at once; beyond it they are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long a refusal may take: reading what the client has begun to say, and answering.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Refuses connections.
#[derive(Debug)]
pub(crate) struct Refusing(Arc<Semaphore>);

impl Default for Refusing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(REFUSALS_MAX)))
    }
}

impl Refusing {
    /// Answers `overloaded` in the background, and closes.
    pub(crate) fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            let refused = tokio::time::timeout(REFUSAL_TIMEOUT, answer(&mut stream)).await;
            if !matches!(refused, Ok(Ok(()))) {
                tracing::debug!("a connection over the limit was closed without an answer");
            }
            drop(permit);
        });
    }
}

async fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    // A connection that is closed with something unread is reset, and the client might not see the answer.
    let mut head = [0; 4096];
    if stream.read(&mut head).await? == 0 {
        return Ok(());
    }
    let problem = Problem::new(&problems::OVERLOADED)
        .detail("there are as many connections as the limit allows (connections_max)");
    let body = problem.body(None, None);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Metrics, Server, ServerLimits, serve};

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let mut text = String::new();
        while !text.contains('}') {
            let count = stream.read(&mut answer).await.unwrap();
            assert!(count > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&answer[..count]).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn one_connection_too_many_is_told_so_and_a_free_place_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ServerLimits { connections_max: 1, ..ServerLimits::default() };
        let (metrics, drain) = (Metrics::new("test"), CancellationToken::new());
        let (router, counts) = (axum::Router::new(), metrics.clone());
        let serving = serve(listener, Server { router, limits, metrics }, drain.clone());
        let serving = tokio::spawn(serving);
        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 404"));
        let mut second = TcpStream::connect(address).await.unwrap();
        let refused = ask(&mut second).await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(
            refused.contains("retry-after: 1") && refused.contains("urn:lombard:error:overloaded")
        );
        assert_eq!(second.read(&mut [0; 16]).await.unwrap(), 0, "it is closed");
        let counted = counts.encode().unwrap();
        for line in [
            "http_connections 1",
            "http_connections_refused_total{limit=\"connections_max\"} 1",
            "http_problems_total{problem=\"not-found\"} 1",
        ] {
            assert!(counted.contains(line), "{line}: {counted}");
        }
        drop(first);
        // The server learns of it when it does.
        loop {
            let mut third = TcpStream::connect(address).await.unwrap();
            if ask(&mut third).await.starts_with("HTTP/1.1 404") {
                break;
            }
        }
        drain.cancel();
        serving.await.unwrap().unwrap();
    }
}
