//! One request after the other, from 64 callers at once.

use lombard_bench::{
    ClosedLoop, Etcd, EtcdClient, HttpConnection, Options, Rounds, Server, Worker,
};
use tokio::runtime::Runtime;

use crate::{etcd_fill, fill, register as register_instance, registration};

const CALLERS: usize = 64;
/// The registry's limit on instances of one service.
const INSTANCES_MAX: u64 = 1000;

fn closed_loop(options: &Options, cpu: lombard_bench::Cpu) -> ClosedLoop {
    ClosedLoop { workers: CALLERS, operations_each: 1, window: options.window(), cpu }
}

async fn connections(address: &str, token: &str) -> anyhow::Result<Vec<Option<HttpConnection>>> {
    let mut connections = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        connections.push(Some(HttpConnection::open(address, token).await?));
    }
    Ok(connections)
}

async fn etcd_clients(etcd: &Etcd) -> anyhow::Result<Vec<Option<EtcdClient>>> {
    let mut clients = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        clients.push(Some(etcd.connect().await?));
    }
    Ok(clients)
}

/// Hands out what each worker was made for.
fn handing_out<T, W>(made: Vec<Option<T>>, worker: impl Fn(usize, T) -> W) -> impl Fn(usize) -> W {
    let made = std::sync::Mutex::new(made);
    move |number| {
        let taken = made.lock().expect("nobody panics with it")[number].take();
        worker(number, taken.expect("taken once"))
    }
}

// === registering ===

struct Registering {
    connection: HttpConnection,
    caller: usize,
    count: u64,
}

impl Worker for Registering {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let (group, number) = (self.count / INSTANCES_MAX, self.count % INSTANCES_MAX);
        self.count += 1;
        let service = format!("s{}-{group}", self.caller);
        register_instance(&mut self.connection, &service, &format!("i{number}"), number).await
    }
}

struct RegisteringInEtcd {
    client: EtcdClient,
    caller: usize,
    count: u64,
}

impl Worker for RegisteringInEtcd {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let (group, number) = (self.count / INSTANCES_MAX, self.count % INSTANCES_MAX);
        self.count += 1;
        let key = format!("/services/s{}-{group}/i{number}", self.caller);
        self.client.register(key, registration(number)).await
    }
}

pub(crate) fn register(options: &Options, runtime: &Runtime) -> anyhow::Result<()> {
    let lombard = || {
        runtime.block_on(async {
            let server = Server::start_registry(&options.directory)?;
            let made = connections(&server.http_address, &server.token).await?;
            let worker = |caller, connection| Registering { connection, caller, count: 0 };
            closed_loop(options, server.cpu()).run(handing_out(made, worker)).await
        })
    };
    let etcd = || {
        runtime.block_on(async {
            let etcd = Etcd::start(&options.directory)?;
            let made = etcd_clients(&etcd).await?;
            let worker = |caller, client| RegisteringInEtcd { client, caller, count: 0 };
            closed_loop(options, etcd.cpu()).run(handing_out(made, worker)).await
        })
    };
    let outcome = Rounds::new(format!("{CALLERS} callers, each registers"), "instances", options)
        .contender("lombard", lombard)
        .contender("etcd", etcd)
        .run()?;
    outcome.at_least(
        "instances/s",
        outcome.median("lombard", lombard_bench::Sample::rate),
        40_000.0,
    );
    outcome.at_most("CPU us each", outcome.median("lombard", lombard_bench::Sample::cpu_us), 25.0);
    println!("  times etcd's rate: {:.1}", outcome.ratio("lombard", "etcd"));
    Ok(())
}

// === renewing ===

struct Renewing {
    connection: HttpConnection,
    path: String,
    body: String,
}

impl Worker for Renewing {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let status = self.connection.send("POST", &self.path, &self.body).await?;
        anyhow::ensure!(status == 200, "answered {status}");
        Ok(())
    }
}

async fn renewing(mut connection: HttpConnection, caller: usize) -> anyhow::Result<Renewing> {
    let instance = format!("i{caller}");
    register_instance(&mut connection, "renewed", &instance, 0).await?;
    let answer = std::str::from_utf8(connection.answer().1)?;
    let lease = answer.split("\"lease_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let lease = lease.ok_or_else(|| anyhow::anyhow!("no lease"))?;
    let body = format!("{{\"lease_id\":\"{lease}\"}}");
    let path = format!("/v1/registry/services/renewed/instances/{instance}/renew");
    Ok(Renewing { connection, path, body })
}

pub(crate) fn renew(options: &Options, runtime: &Runtime) -> anyhow::Result<()> {
    let lombard = || {
        runtime.block_on(async {
            let server = Server::start_registry(&options.directory)?;
            let mut made = Vec::new();
            for (caller, connection) in
                connections(&server.http_address, &server.token).await?.into_iter().enumerate()
            {
                let connection = connection.ok_or_else(|| anyhow::anyhow!("not made"))?;
                made.push(Some(renewing(connection, caller).await?));
            }
            closed_loop(options, server.cpu()).run(handing_out(made, |_, worker| worker)).await
        })
    };
    Rounds::new(format!("{CALLERS} callers, each renews its lease"), "renewals", options)
        .contender("lombard", lombard)
        .run()?;
    Ok(())
}

// === reading ===

struct Reading {
    connection: HttpConnection,
    path: &'static str,
}

impl Worker for Reading {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let status = self.connection.get(self.path).await?;
        anyhow::ensure!(status == 200, "answered {status}");
        Ok(())
    }
}

struct ReadingEtcd(EtcdClient);

impl Worker for ReadingEtcd {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let found = self.0.range(b"/services/read/").await?;
        anyhow::ensure!(found == INSTANCES, "found {found}");
        Ok(())
    }
}

const INSTANCES: usize = 10;

pub(crate) fn read(options: &Options, runtime: &Runtime) -> anyhow::Result<()> {
    let from = |is_consul: bool| {
        runtime.block_on(async {
            let server = Server::start_registry(&options.directory)?;
            fill(&server, "read", INSTANCES).await?;
            let (path, address, token) = if is_consul {
                ("/v1/health/service/read", &server.address, "")
            } else {
                ("/v1/registry/services/read", &server.http_address, server.token.as_str())
            };
            let made = connections(address, token).await?;
            let worker = |_, connection| Reading { connection, path };
            closed_loop(options, server.cpu()).run(handing_out(made, worker)).await
        })
    };
    let etcd = || {
        runtime.block_on(async {
            let etcd = Etcd::start(&options.directory)?;
            etcd_fill(&etcd, "read", INSTANCES).await?;
            let made = etcd_clients(&etcd).await?;
            let worker = |_, client| ReadingEtcd(client);
            closed_loop(options, etcd.cpu()).run(handing_out(made, worker)).await
        })
    };
    let name = format!("{CALLERS} callers, each reads a service with {INSTANCES} instances");
    let outcome = Rounds::new(name, "reads", options)
        .contender("consul's interface", || from(true))
        .contender("own, with a token", || from(false))
        .contender("etcd", etcd)
        .run()?;
    let consul = "consul's interface";
    outcome.at_least("reads/s", outcome.median(consul, lombard_bench::Sample::rate), 40_000.0);
    outcome.at_most("CPU us each", outcome.median(consul, lombard_bench::Sample::cpu_us), 14.0);
    println!("  times etcd's rate: {:.1}", outcome.ratio(consul, "etcd"));
    Ok(())
}
