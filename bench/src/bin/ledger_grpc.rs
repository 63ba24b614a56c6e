//! The ledger over gRPC and HTTP beside PostgreSQL 15 with functions that move money: durable transfers. Servers in processes of their own,
//! load from this process on what is left of the machine.

use std::{sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use lombard_bench::{
    ClosedLoop, Cpu, HttpConnection, Options, Payment, Payments, Postgres, Rounds, Sample, Server,
    Spread, Worker, check, fdatasync, serve_if_asked,
};
use lombard_client::grpc::ledger::{
    GrpcLedger, LedgerSession, PackedSets, PackedTransfer, SessionOptions, TransferKind, id_bytes,
    v1,
};
use lombard_types::{AccountId, Amount, TransferId};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Workloads by name: all where none is given.
    #[arg(long)]
    only: Vec<Workload>,
    /// Accounts of the large book.
    #[arg(long, default_value_t = 1_000_000)]
    large: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Workload {
    /// 2 x 8190, few accounts.
    Batches,
    /// 2 x 8190, many accounts.
    Large,
    /// 2 x 8190, reserved and then posted or voided.
    Pending,
    /// 16 x 100.
    Small,
    /// 64 callers, one transfer each.
    Single,
    /// One caller, one transfer.
    One,
    /// Nobody; two accounts.
    Empty,
}

const UNIFORM: &str = "lombard, uniform";
const HOT: &str = "lombard, one hot";
const PENDING: &str = "lombard, 30 % pending";
const SESSION: &str = "lombard, session";
const UNARY: &str = "lombard, unary";
const HTTP: &str = "lombard, HTTP/JSON";
const PEER: &str = "postgresql";
const DISK: &str = "fdatasync";
const BATCH: usize = 8190;
const FEW: u64 = 10_000;

/// Balances are posted in the order of the accounts' ids, so that no two transactions wait for each other in a ring.
const SCHEMA: &str = "
CREATE TABLE accounts (
    id bigint PRIMARY KEY, debits bigint NOT NULL DEFAULT 0, credits bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE transfers (
    id uuid PRIMARY KEY, debit bigint NOT NULL, credit bigint NOT NULL, amount bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION transfer(i uuid, d bigint, c bigint, a bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transfers (id, debit, credit, amount) VALUES (i, d, c, a);
    IF d < c THEN
        UPDATE accounts SET debits = debits + a WHERE id = d;
        UPDATE accounts SET credits = credits + a WHERE id = c;
    ELSE
        UPDATE accounts SET credits = credits + a WHERE id = c;
        UPDATE accounts SET debits = debits + a WHERE id = d;
    END IF;
END $$;
CREATE FUNCTION transfer_all(i uuid[], d bigint[], c bigint[], a bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transfers (id, debit, credit, amount) SELECT * FROM unnest(i, d, c, a);
    PERFORM 1 FROM accounts WHERE id = ANY (d || c) ORDER BY id FOR UPDATE;
    UPDATE accounts SET debits = debits + sums.debit, credits = credits + sums.credit
    FROM (
        SELECT id, sum(debit)::bigint AS debit, sum(credit)::bigint AS credit FROM (
            SELECT unnest(d) AS id, unnest(a) AS debit, 0 AS credit
            UNION ALL SELECT unnest(c), 0, unnest(a)
        ) AS entries GROUP BY id
    ) AS sums WHERE accounts.id = sums.id;
END $$;
";

fn main() -> anyhow::Result<()> {
    serve_if_asked(|name, _, _| anyhow::bail!("there is no server {name}"))?;
    const WHAT: &str = "ledger over gRPC beside PostgreSQL 15: transfers, durable";
    let Arguments { options, only, large } =
        Options::start_with(WHAT, |it: &Arguments| &it.options);
    let is_wanted = |workload| only.is_empty() || only.contains(&workload);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = Bench { options: &options, runtime };
    for (workload, accounts) in [(Workload::Batches, FEW), (Workload::Large, large)] {
        if is_wanted(workload) {
            bench.batches(accounts)?;
        }
    }
    if is_wanted(Workload::Pending) {
        bench.pending()?;
    }
    if is_wanted(Workload::Small) {
        bench.small()?;
    }
    if is_wanted(Workload::Single) {
        bench.single()?;
    }
    if is_wanted(Workload::One) {
        bench.one()?;
    }
    if is_wanted(Workload::Empty) {
        bench.empty()?;
    }
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    runtime: tokio::runtime::Runtime,
}

impl Bench<'_> {
    fn batches(&self, accounts: u64) -> anyhow::Result<()> {
        let batches = |spread| Load { accounts, workers: 2, batch: BATCH, spread, pending: 0 };
        let outcome =
            Rounds::new(format!("2 x {BATCH}, {accounts} accounts"), "transfers", self.options)
                .contender(UNIFORM, || self.session(batches(Spread::Uniform)))
                .contender(HOT, || self.session(batches(Spread::Hot)))
                .contender(PEER, || self.peer(batches(Spread::Uniform)))
                .run()?;
        outcome.at_least("transfers a second", outcome.median(UNIFORM, Sample::rate), 500_000.0);
        outcome.at_most("CPU us of the server", outcome.median(UNIFORM, Sample::cpu_us), 1.5);
        outcome.at_least("hot, of uniform", outcome.ratio(HOT, UNIFORM), 0.9);
        print_ratio(outcome.ratio(UNIFORM, PEER));
        Ok(())
    }

    fn pending(&self) -> anyhow::Result<()> {
        let load =
            Load { accounts: FEW, workers: 2, batch: BATCH, spread: Spread::Uniform, pending: 30 };
        let name = format!("2 x {BATCH}, 30 % pending, then posted or voided");
        let outcome = Rounds::new(name, "transfers", self.options)
            .contender(PENDING, || self.session(load))
            .run()?;
        outcome.at_least("transfers a second", outcome.median(PENDING, Sample::rate), 300_000.0);
        Ok(())
    }

    fn small(&self) -> anyhow::Result<()> {
        let load =
            Load { accounts: FEW, workers: 16, batch: 100, spread: Spread::Uniform, pending: 0 };
        let outcome = Rounds::new("16 x 100", "transfers", self.options)
            .contender(SESSION, || self.session(load))
            .contender(PEER, || self.peer(load))
            .run()?;
        outcome.at_least("transfers a second", outcome.median(SESSION, Sample::rate), 250_000.0);
        let p99 = outcome.median(SESSION, |sample| sample.percentile_ms(99.0));
        outcome.at_most("p99 in ms", p99, 10.0);
        print_ratio(outcome.ratio(SESSION, PEER));
        Ok(())
    }

    fn single(&self) -> anyhow::Result<()> {
        let load =
            Load { accounts: FEW, workers: 64, batch: 1, spread: Spread::Uniform, pending: 0 };
        let outcome = Rounds::new("64 callers, 1 transfer each", "transfers", self.options)
            .contender(SESSION, || self.session(load))
            .contender(UNARY, || self.unary(load))
            .contender(HTTP, || self.http(load))
            .contender(PEER, || self.peer(load))
            .run()?;
        outcome.at_least("session", outcome.median(SESSION, Sample::rate), 60_000.0);
        outcome.at_least("unary", outcome.median(UNARY, Sample::rate), 25_000.0);
        outcome.at_least("HTTP/JSON", outcome.median(HTTP, Sample::rate), 15_000.0);
        print_ratio(outcome.ratio(SESSION, PEER));
        Ok(())
    }

    fn one(&self) -> anyhow::Result<()> {
        let load =
            Load { accounts: FEW, workers: 1, batch: 1, spread: Spread::Uniform, pending: 0 };
        let disk = || fdatasync(&self.options.directory, 4096, self.options.window());
        let outcome = Rounds::new("1 caller, 1 transfer", "transfers", self.options)
            .contender(SESSION, || self.session(load))
            .contender(UNARY, || self.unary(load))
            .contender(DISK, disk)
            .contender(PEER, || self.peer(load))
            .run()?;
        let p50 = |contender| outcome.median(contender, |sample| sample.percentile_ms(50.0));
        let above = p50(SESSION) - p50(DISK);
        outcome.at_most("session's p50 above the disk's, in ms", above, 0.35);
        print_ratio(outcome.ratio(SESSION, PEER));
        Ok(())
    }

    /// The writer with its servers, without the read side.
    fn empty(&self) -> anyhow::Result<()> {
        println!("an empty ledger");
        let (mut ready, mut memory) = (f64::INFINITY, 0.0_f64);
        for _ in 0..self.options.rounds {
            let started = Instant::now();
            let server = Server::start_ledger(&self.options.directory, 2)?;
            ready = ready.min(started.elapsed().as_secs_f64() * 1000.0);
            memory = memory.max(server.resident_mib()?);
        }
        check::at_most("ms until it answers, at best", ready, 100.0);
        check::at_most("MiB of memory, at worst", memory, 30.0);
        Ok(())
    }

    // === Lombard ===

    fn session(&self, load: Load) -> anyhow::Result<Sample> {
        let server = Server::start_ledger(&self.options.directory, load.accounts)?;
        self.runtime.block_on(async {
            let ledger = GrpcLedger::with_token(&server.address, &server.token);
            let session = ledger.session(SessionOptions::default());
            let worker = |number| Pipelined {
                session: session.clone(),
                payments: load.payments(number),
                load,
                reserved: Vec::new(),
            };
            self.closed_loop(load, server.cpu()).run(worker).await
        })
    }

    fn unary(&self, load: Load) -> anyhow::Result<Sample> {
        let server = Server::start_ledger(&self.options.directory, load.accounts)?;
        self.runtime.block_on(async {
            let ledger = GrpcLedger::with_token(&server.address, &server.token);
            let worker = |number| Unary { ledger: ledger.clone(), payments: load.payments(number) };
            self.closed_loop(load, server.cpu()).run(worker).await
        })
    }

    fn http(&self, load: Load) -> anyhow::Result<Sample> {
        let server = Server::start_ledger(&self.options.directory, load.accounts)?;
        self.runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..load.workers {
                let opened = HttpConnection::open(&server.http_address, &server.token).await?;
                connections.push(Arc::new(Mutex::new(opened)));
            }
            let worker = |number: usize| Http {
                connection: Arc::clone(&connections[number]),
                payments: load.payments(number),
            };
            self.closed_loop(load, server.cpu()).run(worker).await
        })
    }

    // === PostgreSQL ===

    fn peer(&self, load: Load) -> anyhow::Result<Sample> {
        self.runtime.block_on(async {
            let server = Postgres::start(&self.options.directory)?;
            let client = server.connect().await?;
            client.batch_execute(SCHEMA).await?;
            let open = "INSERT INTO accounts SELECT generate_series(1::bigint, $1::bigint)";
            client.execute(open, &[&i64::try_from(load.accounts)?]).await?;
            client.batch_execute("VACUUM ANALYZE accounts").await?;
            let call = match load.batch {
                1 => "SELECT transfer($1, $2, $3, $4)",
                _ => "SELECT transfer_all($1, $2, $3, $4)",
            };
            let mut connections = Vec::new();
            for _ in 0..load.workers {
                let client = server.connect().await?;
                let statement = client.prepare(call).await?;
                connections.push((Arc::new(client), statement));
            }
            let worker = |number: usize| {
                let (client, statement) = connections[number].clone();
                Peer { client, statement, payments: load.payments(number), batch: load.batch }
            };
            self.closed_loop(load, server.cpu()).run(worker).await
        })
    }

    fn closed_loop(&self, load: Load, cpu: Cpu) -> ClosedLoop {
        ClosedLoop {
            workers: load.workers,
            operations_each: load.batch as u64,
            window: self.options.window(),
            cpu,
        }
    }
}

fn print_ratio(ratio: f64) {
    println!("          {ratio:.1} times PostgreSQL's rate\n");
}

#[derive(Clone, Copy)]
struct Load {
    accounts: u64,
    workers: usize,
    batch: usize,
    spread: Spread,
    /// Of 100 transfers, so many reserve; the next batch posts or voids them.
    pending: u64,
}

impl Load {
    fn payments(self, number: usize) -> Payments {
        Payments::new(number, self.accounts, self.spread)
    }
}

struct Pipelined {
    session: LedgerSession,
    payments: Payments,
    load: Load,
    /// What the last batch reserved.
    reserved: Vec<TransferId>,
}

impl Pipelined {
    fn batch(&mut self) -> PackedSets {
        let mut sets = PackedSets::with_capacity(self.load.batch);
        let mut ended = std::mem::take(&mut self.reserved).into_iter();
        for number in 0..self.load.batch {
            let payment = self.payments.next();
            if let Some(pending) = ended.next() {
                let kind = match number % 2 {
                    0 => TransferKind::Post { pending },
                    _ => TransferKind::Void { pending },
                };
                sets.push(&PackedTransfer::whole(id(payment), kind));
            } else if self.payments.is_chosen(self.load.pending) {
                self.reserved.push(id(payment));
                sets.push(&transfer(payment).pending(60));
            } else {
                sets.push(&transfer(payment));
            }
        }
        sets
    }
}

impl Worker for Pipelined {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let batch = self.batch();
        let outcomes = self.session.submit(batch).await?.await?;
        let refused = outcomes.first_refused().map(|(_, outcome)| outcome.result());
        ensure!(refused.is_none(), "a transfer was not created: {refused:?}");
        Ok(())
    }
}

fn id(payment: Payment) -> TransferId {
    TransferId::from_u128(payment.id).expect("an id")
}

fn account(number: u64) -> AccountId {
    AccountId::from_u128(u128::from(number)).expect("an id")
}

fn transfer(payment: Payment) -> PackedTransfer {
    let amount = Amount::from_minor_units(payment.amount.into());
    PackedTransfer::new(id(payment), account(payment.debit), account(payment.credit), amount)
}

struct Unary {
    ledger: GrpcLedger,
    payments: Payments,
}

impl Worker for Unary {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let payment = self.payments.next();
        let named = |number: u64| {
            let bytes = u128::from(number).to_be_bytes().to_vec().into();
            Some(v1::Account { name: Some(v1::account::Name::Id(bytes)) })
        };
        let transfer = v1::NewTransfer {
            debit_account: named(payment.debit),
            credit_account: named(payment.credit),
            asset: "EUR".to_owned(),
            amount: decimal(payment.amount),
            ..Default::default()
        };
        let request = v1::CreateRequest {
            id: id_bytes(id(payment)),
            transfers: vec![transfer],
            ..Default::default()
        };
        self.ledger.create(&request).await?;
        Ok(())
    }
}

struct Http {
    connection: Arc<Mutex<HttpConnection>>,
    payments: Payments,
}

impl Worker for Http {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let payment = self.payments.next();
        let Payment { debit, credit, amount, .. } = payment;
        let (key, amount) = (Uuid::from_u128(payment.id).to_string(), decimal(amount));
        let body = format!(
            r#"{{"debit_account":"a/{debit}","credit_account":"a/{credit}","asset":"EUR","amount":"{amount}"}}"#
        );
        let mut connection = self.connection.lock().await;
        let status = connection.post("/v1/ledger/transfers", &key, &body).await?;
        ensure!(status == 201, "the answer is {status}");
        Ok(())
    }
}

fn decimal(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

struct Peer {
    client: Arc<Client>,
    statement: Statement,
    payments: Payments,
    batch: usize,
}

impl Worker for Peer {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let mut ids = Vec::with_capacity(self.batch);
        let (mut debits, mut credits, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.batch {
            let Payment { id, debit, credit, amount } = self.payments.next();
            ids.push(Uuid::from_u128(id));
            debits.push(i64::try_from(debit)?);
            credits.push(i64::try_from(credit)?);
            amounts.push(i64::try_from(amount)?);
        }
        match self.batch {
            1 => {
                let id = ids.first().context("no payment")?;
                let row: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                    [id, &debits[0], &credits[0], &amounts[0]];
                self.client.query(&self.statement, &row).await?;
            }
            _ => {
                self.client.query(&self.statement, &[&ids, &debits, &credits, &amounts]).await?;
            }
        }
        Ok(())
    }
}
