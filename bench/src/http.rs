//! A client of HTTP/1.1 that costs next to nothing: one connection, one request at a time, answers with a length.

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A kept-alive connection.
pub struct HttpConnection {
    stream: TcpStream,
    host: String,
    token: String,
    buffer: Vec<u8>,
}

impl HttpConnection {
    /// Connects.
    pub async fn open(address: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address.to_owned(),
            token: token.to_owned(),
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Posts JSON with an `Idempotency-Key`, and answers the status.
    pub async fn post(&mut self, path: &str, key: &str, json: &str) -> anyhow::Result<u16> {
        let Self { host, token, .. } = self;
        let length = json.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             idempotency-key: {key}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{json}"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(count > 0, "the server closed the connection");
            if let Some(status) = self.complete()? {
                return Ok(status);
            }
        }
    }

    /// The status, when all of the answer is there.
    fn complete(&self) -> anyhow::Result<Option<u16>> {
        let end = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let Some(end) = end else { return Ok(None) };
        let head = std::str::from_utf8(&self.buffer[..end])?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("an answer without a length")?.trim().parse()?;
        if self.buffer.len() < end + 4 + length {
            return Ok(None);
        }
        let status = head.split(' ').nth(1).context("no status")?;
        Ok(Some(status.parse()?))
    }
}
