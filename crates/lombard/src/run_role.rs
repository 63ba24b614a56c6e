//! `lombard <role>`: one role in the foreground, as the supervisor, systemd or a container runs it.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context as _;
use lombard_chassis::{
    CancellationToken, Health, Metrics, ServerLimits, config, drain, keys, listen, operations,
    serve, telemetry,
};
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog};
use lombard_token::Verifier;

use crate::{
    cli::CommonArguments,
    data_directory::DataDirectory,
    role::{Addresses, Role},
};

/// What every role is started with.
struct Start {
    role: Role,
    directory: DataDirectory,
    config_file: Option<PathBuf>,
    issuer: String,
    addresses: Addresses,
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    drain: CancellationToken,
}

pub(crate) async fn run(role: Role, common: &CommonArguments) -> anyhow::Result<()> {
    telemetry::init(role.name(), common.log_format(), &common.log);
    end_with_the_supervisor();
    let drain = drain::on_signal().context("failed to listen for signals")?;
    let addresses = Addresses::with(&common.listen);
    let listener = match listen::inherited()? {
        Some(listener) => listener,
        None => {
            let address = common.listen_of(role);
            listen::bind(
                address,
                &format!("--listen {role}={}:PORT", address.ip()),
                common.insecure,
            )?
        }
    };
    let start = Start {
        role,
        directory: DataDirectory::open_or_create(&common.data_dir)?,
        config_file: common.config.clone(),
        issuer: common.issuer.clone().unwrap_or_else(|| addresses.url(Role::Gateway)),
        addresses,
        listener,
        health: Health::starting(),
        metrics: Metrics::new(role.name()),
        drain,
    };
    tracing::info!(address = %start.listener.local_addr()?, "starting");
    let (health, started) = (start.health.clone(), Instant::now());
    tokio::spawn(async move {
        health.wait_until_ready().await;
        tracing::info!(after = ?started.elapsed(), "ready");
    });
    match role {
        Role::Gateway => start.gateway().await,
        Role::Registry => start.registry().await,
        Role::Auth => start.auth().await,
        Role::Eventstore => start.eventstore().await,
        Role::Ledger => start.ledger().await,
        Role::Console => start.console().await,
    }?;
    tracing::info!("stopped");
    Ok(())
}

/// A supervised role ends when its supervisor does, however that ends.
fn end_with_the_supervisor() {
    if std::env::var_os("LOMBARD_SUPERVISED").is_some()
        && let Err(error) =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
    {
        tracing::warn!(%error, "this role will outlive a supervisor that is killed");
    }
}

impl Start {
    fn config<T>(&self) -> anyhow::Result<T>
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Default,
    {
        Ok(config::load(self.role.name(), self.config_file.as_deref(), serde_json::json!({}))?)
    }

    fn log(&self, config: SegmentedConfig) -> anyhow::Result<SharedLog> {
        let directory = self.directory.role(self.role).join("log");
        Ok(Arc::new(SegmentedLog::open(&directory, config)?))
    }

    fn jwks_url(&self) -> String {
        format!("{}/oauth/jwks", self.addresses.url(Role::Auth))
    }

    /// Verifies tokens for this role.
    fn verifier(&self) -> Verifier {
        let audience = format!("{}/v1/{}", self.issuer, self.role);
        keys::verifier(&self.issuer, audience, self.jwks_url(), &self.health, self.drain.clone())
    }

    /// Serves the role's routes until the drain, and watches over what runs behind them.
    async fn serve<E>(
        listener: TcpListener,
        router: axum::Router,
        health: Health,
        metrics: Metrics,
        drain: CancellationToken,
        run: impl Future<Output = Result<(), E>>,
    ) -> anyhow::Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let router = router.merge(operations::router(health, metrics));
        let serving = serve(listener, router, ServerLimits::default(), drain.clone());
        tokio::pin!(serving);
        tokio::pin!(run);
        // What runs behind the routes ends with the drain, or because it failed; then serving makes no sense any more.
        tokio::select! {
            ended = &mut run => {
                ended?;
                drain.cancel();
                serving.await?;
            }
            served = &mut serving => {
                served?;
            }
        }
        Ok(())
    }

    async fn auth(self) -> anyhow::Result<()> {
        let deps = lombard_auth::Deps {
            log: self.log(SegmentedConfig::small())?,
            issuer: self.issuer.clone(),
            signing_key_file: self.directory.role(self.role).join("signing.key"),
            bootstrap_file: Some(self.directory.bootstrap()).filter(|path| path.exists()),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let auth = lombard_auth::Auth::new(self.config()?, deps)?;
        let (router, drain) = (auth.router(), self.drain.clone());
        Self::serve(self.listener, router, self.health, self.metrics, self.drain, auth.run(drain))
            .await
    }

    async fn ledger(self) -> anyhow::Result<()> {
        let deps = lombard_ledger::Deps {
            log: self.log(SegmentedConfig::default())?,
            verifier: self.verifier(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let ledger = lombard_ledger::Ledger::new(self.config()?, deps)?;
        let (router, drain) = (ledger.router(), self.drain.clone());
        Self::serve(self.listener, router, self.health, self.metrics, self.drain, ledger.run(drain))
            .await
    }

    async fn registry(self) -> anyhow::Result<()> {
        let deps = lombard_registry::Deps {
            log: self.log(SegmentedConfig::small())?,
            verifier: self.verifier(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let registry = lombard_registry::Registry::new(self.config()?, deps)?;
        let (router, drain) = (registry.router(), self.drain.clone());
        Self::serve(
            self.listener,
            router,
            self.health,
            self.metrics,
            self.drain,
            registry.run(drain),
        )
        .await
    }

    async fn eventstore(self) -> anyhow::Result<()> {
        let deps = lombard_eventstore::Deps {
            log: self.log(SegmentedConfig::default())?,
            verifier: self.verifier(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let eventstore = lombard_eventstore::EventStore::new(self.config()?, deps)?;
        let (router, drain) = (eventstore.router(), self.drain.clone());
        Self::serve(
            self.listener,
            router,
            self.health,
            self.metrics,
            self.drain,
            eventstore.run(drain),
        )
        .await
    }
}

// TEMP
impl Start {
    async fn gateway(self) -> anyhow::Result<()> {
        anyhow::bail!("x")
    }
    async fn console(self) -> anyhow::Result<()> {
        anyhow::bail!("x")
    }
}
