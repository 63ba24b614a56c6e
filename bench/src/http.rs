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
    head_bytes: usize,
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
            head_bytes: 0,
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
        self.exchange(&request).await
    }

    /// Sends JSON, and answers the status.
    pub async fn send(&mut self, method: &str, path: &str, json: &str) -> anyhow::Result<u16> {
        let Self { host, token, .. } = self;
        let length = json.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        );
        self.exchange(&request).await
    }

    /// Gets, and answers the status.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<u16> {
        let Self { host, token, .. } = self;
        let authorization = match token.as_str() {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}\r\n");
        self.exchange(&request).await
    }

    /// The head and the body of the last answer.
    pub fn answer(&self) -> (&[u8], &[u8]) {
        self.buffer.split_at(self.head_bytes)
    }

    async fn exchange(&mut self, request: &str) -> anyhow::Result<u16> {
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
    fn complete(&mut self) -> anyhow::Result<Option<u16>> {
        let end = memchr::memmem::find(&self.buffer, b"\r\n\r\n");
        let Some(end) = end else { return Ok(None) };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
        let value = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        };
        let length = lines.find_map(value).context("an answer without a length")??;
        if self.buffer.len() < end + 4 + length {
            return Ok(None);
        }
        let status = status.parse()?;
        self.head_bytes = end + 4;
        Ok(Some(status))
    }
}
