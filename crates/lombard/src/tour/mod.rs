//! `lombard tour`: the platform's main job on real input, with the ledger killed in the middle, and the proof.

mod kill;
mod payments_csv;
mod proof;
mod send;
mod service;
mod transcript;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lombard_client::{Call, Credentials, NewAccount, Platform};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::{
    kill::Kill,
    payments_csv::{Expected, Payment, is_outside},
    proof::{Books, Check},
    send::{Sending, Sent},
    service::Service,
    transcript::Transcript,
};
use crate::{
    cli::{CommonArguments, TourArguments},
    data_directory::DataDirectory,
    operator::{self, Observe as _},
    role::Role,
    table,
    up::run_state::RunState,
};

/// A payment is tried again until this long after its first try: longer than any restart takes.
const PAYMENT_DEADLINE: Duration = Duration::from_secs(60);
/// How long the payment service may take to be reachable through the gateway.
const SERVICE_WITHIN: Duration = Duration::from_secs(20);
/// Payments whose requests are shown on the screen before the progress bar takes over.
const SHOWN_PAYMENTS: usize = 2;

#[derive(Deserialize)]
struct NewClient {
    client_id: String,
    client_secret: String,
}

pub(crate) async fn run(common: &CommonArguments, arguments: &TourArguments) -> anyhow::Result<()> {
    let payments = payments_csv::read(&arguments.csv)?;
    let expected = payments_csv::expect(&payments)?;
    let directory = DataDirectory::open(&common.data_dir)?;
    let state = RunState::read(&directory)?;
    let transcript_path = directory.path().join("run").join("tour.txt");
    let transcript = Arc::new(Transcript::create(&transcript_path)?);
    transcript.show(!arguments.quiet);
    let tour = Tour {
        gateway: state.issuer.clone(),
        gateway_address: state.role(Role::Gateway).context("no gateway runs")?.address,
        // Each tour has a branch of accounts of its own, so that it can be taken again.
        prefix: format!("tour/{}", &uuid::Uuid::now_v7().simple().to_string()[20..]),
        is_quiet: arguments.quiet,
        operator: operator::connect(&directory, &state, Some(Arc::clone(&transcript) as _)).await?,
        transcript,
        directory,
    };
    let result = tour.take(arguments, &payments, &expected).await;
    let path = tour.transcript.finish()?;
    println!("\nEvery request, with what came back: {}", path.display());
    result
}

struct Tour {
    directory: DataDirectory,
    gateway: String,
    /// Where the gateway listens on this machine.
    gateway_address: std::net::SocketAddr,
    prefix: String,
    is_quiet: bool,
    operator: Platform,
    transcript: Arc<Transcript>,
}

impl Tour {
    async fn take(
        &self,
        arguments: &TourArguments,
        payments: &[Payment],
        expected: &Expected,
    ) -> anyhow::Result<()> {
        self.say("1  Register OAuth clients and get a token");
        let service_scope = format!(
            "ledger:read:{prefix}/* ledger:write:{prefix}/* registry:read registry:register:payments",
            prefix = self.prefix
        );
        let service_client = self.register_client("Tour: payment service", &service_scope).await?;
        let shop_client =
            self.register_client("Tour: a shop that pays", "payments:read payments:write").await?;
        let shop = self.connect(&shop_client).await?;
        self.show_token(&shop).await?;

        self.say("2  Start the example service: it registers itself under a lease");
        self.wait_until_free().await?;
        let program = service::program(arguments.service.as_deref()).await?;
        let mut service = Service::start(
            &program,
            &self.gateway,
            &service_client.client_id,
            &service_client.client_secret,
        )?;
        self.wait_until_served(&mut service, &shop).await?;

        self.say("3  Open the accounts, fund them, and send the payments, many at once");
        self.open_accounts(payments).await?;
        let cut_off_before = self.cut_off_count().await?;
        let (mut sent, kills) = self.send(arguments, payments, &shop).await?;
        sent.cut_off_count = self.cut_off_count().await?.saturating_sub(cut_off_before);
        service.check()?;

        self.say("5  Prove the result");
        let position = highest_position(&sent)?;
        if !self.is_quiet {
            println!(
                "Reading every account with all its entries, as of at least position {position}."
            );
        }
        self.transcript.show(false);
        let books = Books::read(&self.operator, &self.prefix, expected, position).await?;
        self.transcript.show(!self.is_quiet);
        let traced = payments.get(payments.len() / 2).context("no payments")?;
        let (trace, explained) = proof::trace(&self.operator, traced, &sent, position).await?;
        self.say_json("The chain of evidence of one payment", &explained);
        service.stop().await?;

        let checks = [
            books.every_payment_once(payments, &sent),
            books.debits_equal_credits(),
            books.balances_as_computed(expected),
            trace,
        ];
        summarize(&checks, &sent, &kills, payments.len())
    }

    fn say(&self, heading: &str) {
        if !self.is_quiet {
            println!("\n=== {heading}\n");
        }
    }

    fn say_json(&self, heading: &str, value: &Value) {
        if !self.is_quiet {
            println!("\n{heading}:\n{value:#}");
        }
    }

    async fn register_client(&self, name: &str, scope: &str) -> anyhow::Result<NewClient> {
        let body = json!({ "name": name, "scope": scope, "profile": "oauth-2.1" });
        let call =
            |url| Call::new(Method::POST, url).json(body).idempotency_key(uuid::Uuid::now_v7());
        let registered = self.operator.call::<NewClient>("/v1/auth", "/clients", call).await;
        Ok(registered.context("failed to register an OAuth client")?.body)
    }

    async fn connect(&self, client: &NewClient) -> anyhow::Result<Platform> {
        let transcript = Arc::clone(&self.transcript);
        let credentials = Credentials::secret(&client.client_id, &client.client_secret);
        Ok(Platform::builder(&self.gateway, credentials)
            .deadline(PAYMENT_DEADLINE)
            .observer(move |exchange| transcript.observe(exchange))
            .connect()
            .await?)
    }

    /// Shows what is in a token: its header and claims, not its signature.
    async fn show_token(&self, platform: &Platform) -> anyhow::Result<()> {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let token = platform.access_token("/payments").await?;
        let mut parts = token.secret().split('.');
        for name in ["header", "claims"] {
            let part = parts.next().context("the token is not a JWT")?;
            let decoded: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?;
            if name == "header" {
                let is_es256 = decoded.get("alg").is_some_and(|alg| alg == "ES256");
                ensure!(is_es256, "the token is not signed with ES256");
            }
            self.say_json(&format!("The {name} of its ES256 access token"), &decoded);
        }
        Ok(())
    }

    /// The tour's service needs the name `payments` for itself. What an earlier tour left runs out by itself.
    async fn wait_until_free(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        while !self.operator.registry().instances("payments").await?.is_empty() {
            ensure!(
                started.elapsed() < SERVICE_WITHIN,
                "another instance of the service `payments` is registered and keeps its lease: stop it first"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    async fn wait_until_served(
        &self,
        service: &mut Service,
        shop: &Platform,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        // Shown once it works: the asking before is noise.
        self.transcript.show(false);
        loop {
            service.check()?;
            let call = |url| Call::new(Method::GET, url);
            if self.operator.registry().instances("payments").await?.len() == 1 {
                match shop.call::<Value>("/payments", "/v1/payments/ping", call).await {
                    Ok(_) => break,
                    // The service itself answers: it is reached.
                    Err(lombard_client::Error::Refused(problem)) if problem.status == 404 => break,
                    Err(error) if started.elapsed() > SERVICE_WITHIN => {
                        return Err(error)
                            .context("the payment service is not reachable through the gateway");
                    }
                    Err(_) => {}
                }
            }
            if started.elapsed() > SERVICE_WITHIN {
                bail!("the payment service did not register itself in {SERVICE_WITHIN:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.transcript.show(!self.is_quiet);
        self.operator.registry().instances("payments").await?;
        Ok(())
    }

    /// Requests that the gateway lost its upstream for, as its metrics count them: by the kills, most of all.
    async fn cut_off_count(&self) -> anyhow::Result<u64> {
        const NAME: &str = "lombard_gateway_upstream_failures_total{";
        let url = format!("http://{}/metrics", self.gateway_address);
        let text = reqwest::get(url).await?.error_for_status()?.text().await?;
        let counts = text.lines().filter(|line| line.starts_with(NAME));
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    async fn open_accounts(&self, payments: &[Payment]) -> anyhow::Result<()> {
        let accounts: BTreeSet<(&str, &str)> = payments
            .iter()
            .flat_map(|payment| {
                [
                    (payment.payer.as_str(), payment.currency.as_str()),
                    (payment.payee.as_str(), payment.currency.as_str()),
                ]
            })
            .collect();
        for (index, (path, asset)) in accounts.iter().enumerate() {
            self.transcript.show(!self.is_quiet && index < SHOWN_PAYMENTS);
            let account = NewAccount {
                path: format!("{}/{path}", self.prefix),
                asset: (*asset).to_owned(),
                floor: (!is_outside(path)).then(|| "0".to_owned()),
            };
            self.operator.ledger().open_account(&account).await?;
        }
        if !self.is_quiet {
            println!(
                "\n{} accounts opened; those under world/ may fall below zero, the others not.\n",
                accounts.len()
            );
        }
        Ok(())
    }

    /// Funds the accounts, then sends the payments with the kills in the middle.
    async fn send(
        &self,
        arguments: &TourArguments,
        payments: &[Payment],
        shop: &Platform,
    ) -> anyhow::Result<(Sent, Vec<Kill>)> {
        let (funding, spending): (Vec<&Payment>, Vec<&Payment>) =
            payments.iter().partition(|payment| payment.is_funding());
        let (done, watched) = watch::channel(0);
        let target =
            if self.is_quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let progress = ProgressBar::with_draw_target(Some(u64::try_from(payments.len())?), target);
        progress.set_style(ProgressStyle::with_template(
            "{bar:40} {pos}/{len} payments  {per_sec}  {elapsed}",
        )?);
        let sending = Arc::new(Sending {
            platform: shop.clone(),
            prefix: self.prefix.clone(),
            in_flight: usize::from(arguments.in_flight),
            progress: progress.clone(),
            done,
        });
        let (shown, funding) = funding.split_at(SHOWN_PAYMENTS.min(funding.len()));
        self.transcript.show(!self.is_quiet);
        let mut sent = sending.send_all(shown).await?;
        self.transcript.show(false);
        merge(&mut sent, sending.send_all(funding).await?);

        self.say(&format!(
            "4  Kill the ledger {} time(s) while payments are under way",
            arguments.kills
        ));
        let on_kill = {
            let (progress, is_quiet) = (progress.clone(), self.is_quiet);
            Arc::new(move |kill: &Kill| {
                let text = format!(
                    "killed the ledger (pid {}) after {} payments; ready again after {} ms",
                    kill.pid,
                    kill.done,
                    kill.away.as_millis()
                );
                if !is_quiet {
                    progress.println(text);
                }
            })
        };
        let kills = tokio::spawn(kill::kill_in_the_middle(
            self.directory.clone(),
            arguments.kills,
            arguments.seed,
            payments.len(),
            watched,
            on_kill,
        ));
        merge(&mut sent, sending.send_all(&spending).await?);
        drop(sending);
        let kills = kills.await??;
        progress.finish();
        self.transcript.show(!self.is_quiet);
        Ok((sent, kills))
    }
}

fn merge(sent: &mut Sent, more: Sent) {
    sent.booked.extend(more.booked);
    sent.retry_count += more.retry_count;
    sent.took += more.took;
}

fn highest_position(sent: &Sent) -> anyhow::Result<u64> {
    let mut highest = 0;
    for booked in sent.booked.values() {
        highest =
            highest.max(booked.transfer.position.parse().context("a position is not a number")?);
    }
    Ok(highest)
}

/// Prints the result; an error if anything differs.
fn summarize(
    checks: &[Check],
    sent: &Sent,
    kills: &[Kill],
    payment_count: usize,
) -> anyhow::Result<()> {
    let row = |check: &Check| {
        let result = match check.differences.len() {
            0 => "ok".to_owned(),
            count => format!("{count} DIFFER"),
        };
        [check.what.to_owned(), check.found.clone(), result]
    };
    let table = table::plain(["CHECK", "FOUND", "RESULT"], checks.iter().map(row).collect(), &[]);
    println!("\n{table}\n");
    let away = kills.iter().map(|kill| kill.away).max().unwrap_or_default();
    println!(
        "{payment_count} payments in {:.1} s ({:.0} a second), {} kills of the ledger (away at most {} ms)",
        sent.took.as_secs_f64(),
        payment_count as f64 / sent.took.as_secs_f64().max(f64::EPSILON),
        kills.len(),
        away.as_millis(),
    );
    println!(
        "{} requests were cut off in the middle and sent again: {} by the payment service, {} by the tour",
        sent.cut_off_count,
        sent.cut_off_count.saturating_sub(sent.retry_count),
        sent.retry_count,
    );
    let differences: Vec<_> = checks.iter().flat_map(|check| &check.differences).collect();
    if differences.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 20;
    for difference in differences.iter().take(SHOWN) {
        println!("  {difference}");
    }
    bail!("{} differences between the payments and the books", differences.len())
}
