//! How soon an instance that has died is gone: bound to a stream of another process that is killed, and by its time to live.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lombard_bench::{HttpConnection, Options, Server, check};
use tokio::{io::AsyncReadExt as _, net::TcpStream, runtime::Runtime};

use crate::{fill, watchers};

const SERVICE: &str = "mortal";
const DEATHS: usize = 20;

pub(crate) fn run(options: &Options, runtime: &Runtime) -> anyhow::Result<()> {
    println!("an instance among 5 others dies, {DEATHS} times, until a watcher sees it");
    runtime.block_on(async {
        let server = Server::start_registry(&options.directory)?;
        fill(&server, SERVICE, 5).await?;
        let (mut by_stream, mut by_time) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..DEATHS {
            by_stream = by_stream.max(by_stream_once(&server).await?);
            by_time = by_time.max(by_time_once(&server).await?);
        }
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        check::at_most("from SIGKILL, by its stream, the longest in ms", ms(by_stream), 1000.0);
        check::at_most("beyond its time to live, the longest in ms", ms(by_time), 300.0);
        Ok(())
    })
}

/// A process that holds the stream of a lease, and nothing else.
struct Holder(Child);

impl Holder {
    fn start(server: &Server, lease: &str) -> anyhow::Result<Self> {
        let path = format!("/v1/registry/services/{SERVICE}/instances/dying/renew");
        let child = Command::new("curl")
            .args(["--silent", "--no-buffer", "--header", "accept: text/event-stream"])
            .args(["--header", "content-type: application/json"])
            .arg("--header")
            .arg(format!("authorization: Bearer {}", server.token))
            .arg("--data")
            .arg(format!("{{\"lease_id\":\"{lease}\"}}"))
            .arg(format!("http://{}{path}", server.http_address))
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start curl")?;
        Ok(Self(child))
    }

    /// Waits until the registry has said that it is held.
    fn wait(&mut self) -> anyhow::Result<()> {
        use std::io::Read as _;
        let output = self.0.stdout.as_mut().context("no output")?;
        let mut byte = [0];
        output.read_exact(&mut byte).context("it is not held")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A lease of a second, or of a minute where a stream says more.
async fn register(server: &Server, ttl_seconds: u64) -> anyhow::Result<String> {
    let mut connection = HttpConnection::open(&server.http_address, &server.token).await?;
    let path = format!("/v1/registry/services/{SERVICE}/instances/dying");
    let body = format!("{{\"url\":\"http://10.0.0.9:9000\",\"ttl_seconds\":{ttl_seconds}}}");
    let status = connection.send("PUT", &path, &body).await?;
    anyhow::ensure!(status == 201, "answered {status}");
    let answer = std::str::from_utf8(connection.answer().1)?;
    let lease = answer.split("\"lease_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(lease.context("no lease")?.to_owned())
}

async fn by_stream_once(server: &Server) -> anyhow::Result<Duration> {
    let lease = register(server, 60).await?;
    let mut holder = Holder::start(server, &lease)?;
    holder.wait()?;
    let watcher = watchers::open(server, SERVICE).await?;
    let died = Instant::now();
    drop(holder);
    gone(watcher).await?;
    Ok(died.elapsed())
}

async fn by_time_once(server: &Server) -> anyhow::Result<Duration> {
    register(server, 1).await?;
    let registered = Instant::now();
    let watcher = watchers::open(server, SERVICE).await?;
    gone(watcher).await?;
    Ok(registered.elapsed().saturating_sub(Duration::from_secs(1)))
}

/// Waits for an event in which it is not any more.
async fn gone(mut watcher: TcpStream) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let count = watcher.read_buf(&mut bytes).await?;
        anyhow::ensure!(count > 0, "the watch ended");
        let event = memchr::memmem::rfind(&bytes, b"data:").map(|at| &bytes[at..]);
        if let Some(event) = event
            && event.ends_with(b"\n\n\r\n")
            && memchr::memmem::find(event, b"dying").is_none()
        {
            return Ok(());
        }
    }
}
