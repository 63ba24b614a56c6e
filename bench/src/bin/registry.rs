//! The registry beside etcd: registering, renewing, reading, and how soon a change is known to a thousand.
//!
//! Servers run on one core, this program on another. A registration with etcd is a lease and a key under it, as its
//! users have it; both sides write to the same disk and answer when that is synced. `deaths` and `drain` have no peer: they
//! say how soon the dead are noticed, and, through a gateway of the real program, the drained left alone.

#[path = "registry/deaths.rs"]
mod deaths;
#[path = "registry/drain.rs"]
mod drain;
#[path = "registry/requests.rs"]
mod requests;
#[path = "registry/watchers.rs"]
mod watchers;

use std::path::PathBuf;

use clap::Parser;
use lombard_bench::{
    Etcd, HttpConnection, Options, Server, check, leave_core_to_servers, serve_if_asked,
};
use tokio::runtime::Runtime;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Those who watch.
    #[arg(long, default_value_t = 1000)]
    watchers: usize,
    /// One workload only: register, renew, watch, blocked, read, memory, deaths, drain.
    #[arg(long)]
    only: Option<String>,
    /// The real program, as it is released; without it nothing is drained.
    #[arg(long)]
    lombard: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    serve_if_asked(|name, _, _| anyhow::bail!("there is no server {name}"))?;
    const WHAT: &str = "the registry beside etcd, a core for the server and one for who asks";
    let arguments = Options::start_with(WHAT, |it: &Arguments| &it.options);
    leave_core_to_servers()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
    if is_wanted("register") {
        requests::register(&arguments.options, &runtime)?;
    }
    if is_wanted("renew") {
        requests::renew(&arguments.options, &runtime)?;
    }
    if is_wanted("read") {
        requests::read(&arguments.options, &runtime)?;
    }
    if is_wanted("watch") {
        watchers::watch(&arguments, &runtime)?;
    }
    if is_wanted("blocked") {
        watchers::blocked(&arguments, &runtime)?;
    }
    if is_wanted("memory") {
        memory(&arguments, &runtime)?;
    }
    if is_wanted("deaths") {
        deaths::run(&arguments.options, &runtime)?;
    }
    if let Some(lombard) = &arguments.lombard
        && is_wanted("drain")
    {
        drain::run(lombard, &runtime)?;
    }
    Ok(())
}

/// How much ten thousand watchers take.
fn memory(arguments: &Arguments, runtime: &Runtime) -> anyhow::Result<()> {
    const WATCHERS: usize = 10_000;
    println!("{WATCHERS} SSE watchers of a service with 5 instances");
    runtime.block_on(async {
        let server = Server::start_registry(&arguments.options.directory)?;
        fill(&server, "watched", 5).await?;
        let before = server.resident_mib()?;
        let mut open = Vec::with_capacity(WATCHERS);
        for _ in 0..WATCHERS {
            open.push(watchers::open(&server, "watched").await?);
        }
        println!("  before: {before:.1} MiB");
        check::at_most("resident memory in MiB", server.resident_mib()?, 200.0);
        // Every one of them is alive: all have seen one change more.
        fill(&server, "watched", 6).await?;
        for watcher in &mut open {
            watchers::read_until(watcher, b"i5").await?;
        }
        check::at_most("after a change to all, in MiB", server.resident_mib()?, 200.0);
        anyhow::Ok(())
    })
}

/// Registers so many instances of a service, with the first change.
async fn fill(server: &Server, service: &str, count: usize) -> anyhow::Result<()> {
    let mut connection = HttpConnection::open(&server.http_address, &server.token).await?;
    for instance in 0..count {
        register(&mut connection, service, &format!("i{instance}"), 0).await?;
    }
    Ok(())
}

/// Registers an instance whose metadata carry a number.
async fn register(
    connection: &mut HttpConnection,
    service: &str,
    instance: &str,
    number: u64,
) -> anyhow::Result<()> {
    let path = format!("/v1/registry/services/{service}/instances/{instance}");
    let status = connection.send("PUT", &path, &registration(number)).await?;
    anyhow::ensure!(status == 201, "{}", String::from_utf8_lossy(connection.answer().1));
    Ok(())
}

/// What registers an instance, in JSON; etcd's value is the same.
fn registration(number: u64) -> String {
    let number = lombard_bench::FanOut::number(number);
    format!(
        "{{\"url\":\"http://10.0.0.1:9000\",\"ttl_seconds\":600,\"version\":\"1.4.2\",\"zone\":\"a\",\
         \"tags\":[\"blue\"],\"metadata\":{{\"n\":\"{number}\"}}}}"
    )
}

/// What stands before the number, in all answers.
const MARK: &str = "\"n\":\"";

async fn etcd_fill(etcd: &Etcd, service: &str, count: usize) -> anyhow::Result<()> {
    let mut client = etcd.connect().await?;
    for instance in 0..count {
        client.register(format!("/services/{service}/i{instance}"), registration(0)).await?;
    }
    Ok(())
}
