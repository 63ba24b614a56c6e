//! `lombard <role>`: one role in the foreground, as the supervisor, systemd or a container runs it.

mod query;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use lombard_chassis::{
    CancellationToken, Health, Metrics, Server, ServerLimits, config, drain, keys, listen,
    operations, serve, serve_tls, telemetry,
};
use lombard_client::{AccessTokens, Credentials};
use lombard_log::{LogId, SegmentedConfig, SegmentedLog, SharedLog};
use lombard_projection::Projections;
use lombard_token::{DpopNonces, Verifier};
use lombard_transparency::Transparency;

use crate::{
    cli::CommonArguments,
    data_directory::DataDirectory,
    dpop::DpopConfig,
    open_files, operator,
    role::{Addresses, OptionalAddress, Role},
    up::first_start::GATEWAY,
};

/// What every role is started with.
struct Start {
    role: Role,
    directory: DataDirectory,
    config_file: Option<PathBuf>,
    issuer: String,
    addresses: Addresses,
    listener: TcpListener,
    others: Others,
    limits: ServerLimits,
    health: Health,
    metrics: Metrics,
    drain: CancellationToken,
}

pub(crate) async fn run(role: Role, common: &CommonArguments) -> anyhow::Result<()> {
    telemetry::init(role.name(), common.log_format(), &common.log);
    end_with_the_supervisor();
    let drain = drain::on_signal().context("failed to listen for signals")?;
    let addresses = Addresses::with(&common.listen);
    let mut inherited = listen::inherited()?;
    // A supervisor passes all of a role's sockets, or none.
    let (listener, others) = match inherited.take_first() {
        Some(listener) => (listener, Others::inherited(inherited)),
        None => {
            (bind(role, common.listen_of(role), "--listen", common)?, Others::bind(role, common)?)
        }
    };
    let start = Start {
        role,
        directory: DataDirectory::open_or_create(&common.data_dir)?,
        config_file: common.config.clone(),
        issuer: common.issuer.clone().unwrap_or_else(|| addresses.url(Role::Gateway)),
        addresses,
        listener,
        others,
        limits: config::load("server", common.config.as_deref(), serde_json::json!({}))?,
        health: Health::starting(),
        metrics: Metrics::new(role.name()),
        drain,
    };
    open_files::raise_limit();
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
        Role::Query => start.query().await,
        Role::Console => start.console().await,
    }?;
    tracing::info!("stopped");
    Ok(())
}

/// What a role listens on beside HTTP.
#[derive(Default)]
struct Others {
    grpc: Option<TcpListener>,
    /// For the clients of other registries.
    consul: Option<TcpListener>,
    dns: Option<(TcpListener, UdpSocket)>,
    /// Of the gateway and of auth: bound where the configuration says it, if nobody passes it.
    tls: Option<TcpListener>,
}

impl Others {
    fn inherited(mut passed: listen::Inherited) -> Self {
        Self {
            grpc: passed.take_tcp("grpc"),
            consul: passed.take_tcp("consul"),
            tls: passed.take_tcp("tls"),
            dns: passed.take_tcp("dns").zip(passed.take_udp("dns")),
        }
    }

    fn bind(role: Role, common: &CommonArguments) -> Result<Self, listen::ListenError> {
        let grpc = role.grpc_address(&common.grpc_listen);
        let grpc = grpc.map(|address| bind(role, address, "--grpc-listen", common)).transpose()?;
        if role != Role::Registry {
            return Ok(Self { grpc, ..Self::default() });
        }
        let consul = common.consul_listen.and_then(OptionalAddress::address);
        let consul = consul
            .map(|address| listen::bind(address, "--consul-listen", common.insecure))
            .transpose()?;
        let dns = common.dns_listen.and_then(OptionalAddress::address);
        let dns = dns
            .map(|address| listen::bind_both(address, "--dns-listen", common.insecure))
            .transpose()?;
        Ok(Self { grpc, consul, dns, tls: None })
    }
}

fn bind(
    role: Role,
    address: SocketAddr,
    flag: &str,
    common: &CommonArguments,
) -> Result<TcpListener, listen::ListenError> {
    listen::bind(address, &format!("{flag} {role}={}:PORT", address.ip()), common.insecure)
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

    /// The role's log, and what proves its history. Who has `<family>:audit` may read it whole.
    fn log(
        &self,
        config: SegmentedConfig,
        family: &'static str,
    ) -> anyhow::Result<(SharedLog, LogId, Transparency)> {
        let directory = self.directory.log(self.role);
        let log = SegmentedLog::open(&directory, config)?;
        let log_id = log.id();
        let log: SharedLog = Arc::new(log);
        let deps = lombard_transparency::Deps {
            role: self.role.name(),
            family,
            log: Arc::clone(&log),
            log_id,
            directory,
            key_file: self.directory.role(self.role).join("checkpoint.key"),
            metrics: self.metrics.clone(),
        };
        let limits =
            config::load("transparency", self.config_file.as_deref(), serde_json::json!({}))?;
        Ok((log, log_id, Transparency::new(limits, deps)?))
    }

    /// Beside the log, not in it: a snapshot is worth nothing without its log, and can always be made again.
    fn snapshots(&self) -> PathBuf {
        self.directory.role(self.role).join("snapshots")
    }

    /// The consumer groups' log moves cursors: it is trimmed, proves nothing, and stays small.
    fn groups(&self) -> anyhow::Result<lombard_eventstore::GroupsLog> {
        let directory = self.directory.groups();
        let sizes = SegmentedConfig {
            segment_bytes_min: 8 << 20,
            segment_bytes_max: 8 << 20,
            ..SegmentedConfig::default()
        };
        Ok(lombard_eventstore::GroupsLog {
            log: Arc::new(SegmentedLog::open(&directory.join("log"), sizes)?),
            snapshot_directory: Some(directory.join("snapshots")),
        })
    }

    /// What this server wants nonces of in proofs of possession, if it wants some.
    fn dpop_nonces(&self) -> anyhow::Result<Option<Arc<DpopNonces>>> {
        let config: DpopConfig =
            config::load("dpop", self.config_file.as_deref(), serde_json::json!({}))?;
        config.nonces_of(self.role, &self.directory)
    }

    /// Verifies tokens for this role.
    fn verifier(&self) -> anyhow::Result<Verifier> {
        self.verifier_for(self.role)
    }

    /// Verifies tokens for a role, part of whose interface this one may serve.
    fn verifier_for(&self, role: Role) -> anyhow::Result<Verifier> {
        let audience = format!("{}/v1/{role}", self.issuer);
        let server = self.addresses.url(Role::Auth);
        let verifier =
            keys::verifier(&self.issuer, audience, server, &self.health, self.drain.clone());
        if let Some(nonces) = self.dpop_nonces()? {
            verifier.require_nonces(nonces);
        }
        Ok(verifier)
    }

    /// Gets tokens for one of the platform's own clients.
    fn tokens_of(&self, client_id: &str) -> anyhow::Result<AccessTokens> {
        let key = operator::read_key(&self.directory, client_id)?;
        Ok(AccessTokens::new(
            reqwest::Client::new(),
            Credentials::key(client_id, key),
            self.issuer.clone(),
            // Not through the gateway, which may not be there yet.
            format!("{}/oauth/token", self.addresses.url(Role::Auth)),
        ))
    }

    /// Adds the routes below `/v1/<role>/log`, and signs the log until the drain.
    fn with_proofs(
        &self,
        router: axum::Router,
        transparency: Transparency,
        verifier: Verifier,
    ) -> axum::Router {
        let router = router.merge(transparency.router(verifier));
        tokio::spawn(transparency.run(self.drain.clone()));
        router
    }

    /// Serves methods over gRPC until the drain, where the role listens for it.
    fn spawn_grpc(
        &mut self,
        routes: lombard_grpc::Routes,
        limits: lombard_grpc::Limits,
        verifier: Verifier,
    ) -> Option<tokio::task::JoinHandle<std::io::Result<()>>> {
        let (health, metrics) = (self.health.clone(), self.metrics.clone());
        let server = lombard_grpc::Server { routes, verifier, health, metrics, limits };
        let listener = self.others.grpc.take()?;
        Some(tokio::spawn(lombard_grpc::serve(listener, server, self.drain.clone())))
    }

    /// Of other routes than the role's own.
    fn server(&self, router: axum::Router) -> Server {
        Server { router, limits: self.limits.clone(), metrics: self.metrics.clone() }
    }

    /// Serves the role's routes until the drain, and watches over what runs behind them.
    async fn serve<E>(
        (listener, limits): (TcpListener, ServerLimits),
        router: axum::Router,
        health: Health,
        metrics: Metrics,
        drain: CancellationToken,
        run: impl Future<Output = Result<(), E>>,
    ) -> anyhow::Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let router = router.merge(operations::router(health, metrics.clone()));
        let serving = serve(listener, Server { router, limits, metrics }, drain.clone());
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

    async fn auth(mut self) -> anyhow::Result<()> {
        let (log, _, transparency) = self.log(SegmentedConfig::small(), "auth")?;
        let deps = lombard_auth::Deps {
            log,
            snapshot_directory: Some(self.snapshots()),
            issuer: self.issuer.clone(),
            dpop_nonces: self.dpop_nonces()?,
            signing_keys_directory: self.directory.role(self.role).join("signing-keys"),
            server_secret_file: self.directory.role(self.role).join("server.secret"),
            bootstrap_file: Some(self.directory.bootstrap()).filter(|path| path.exists()),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let config: lombard_auth::Config = self.config()?;
        let mtls_listen = config.mtls.listen;
        let auth = lombard_auth::Auth::new(config, deps)?;
        let router = self.with_proofs(auth.router(), transparency, auth.verifier());
        let over_tls = match (auth.tls(), mtls_listen) {
            (Some(tls), Some(address)) => {
                // Nothing crosses the network in clear text there.
                let listener = match self.others.tls.take() {
                    Some(listener) => listener,
                    None => listen::bind(address, "listen of [auth.mtls]", true)?,
                };
                let server = self.server(auth.router());
                Some(tokio::spawn(serve_tls(listener, server, tls, self.drain.clone())))
            }
            _ => None,
        };
        let drain = self.drain.clone();
        Self::serve(
            (self.listener, self.limits),
            router,
            self.health,
            self.metrics,
            self.drain,
            Box::pin(auth.run(drain)),
        )
        .await?;
        // Both drain at the same time; the process ends with the last.
        if let Some(over_tls) = over_tls {
            over_tls.await??;
        }
        Ok(())
    }

    async fn ledger(mut self) -> anyhow::Result<()> {
        let (log, log_id, transparency) = self.log(SegmentedConfig::default(), "ledger")?;
        let verifier = self.verifier()?;
        let config = self.query_config()?;
        let query = if config.separate {
            None
        } else {
            let deps = lombard_query::Deps {
                log: Arc::clone(&log),
                codec: lombard_ledger::EventCodec,
                directory: self.directory.role(self.role).join("query"),
                verifier: verifier.clone(),
                metrics: self.metrics.clone(),
            };
            let query = lombard_query::Query::start(config, deps).await?;
            tokio::spawn(query.watch(self.health.clone()));
            Some(query)
        };
        let projections = match &query {
            Some(_) => {
                Some(self.projections(query::Followed::own(&log, log_id), verifier.clone())?)
            }
            None => None,
        };
        let deps = lombard_ledger::Deps {
            log,
            snapshot_directory: Some(self.snapshots()),
            index_directory: self.directory.role(self.role).join("index"),
            verifier: verifier.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let ledger = lombard_ledger::Ledger::new(self.config()?, deps)?;
        let reads = query.map_or_else(axum::Router::new, |query| {
            query.with_sealer(Arc::new(crate::sealer::LedgerSealer(ledger.sealer()))).router()
        });
        let tables = projections.as_ref().map_or_else(axum::Router::new, Projections::router);
        let router = ledger.router().merge(reads).merge(tables);
        let router = self.with_proofs(router, transparency, verifier.clone());
        let grpc = self.spawn_grpc(ledger.grpc_routes(), ledger.grpc_limits(), verifier);
        let drain = self.drain.clone();
        Self::serve(
            (self.listener, self.limits),
            router,
            self.health,
            self.metrics,
            self.drain,
            ledger.run(drain),
        )
        .await?;
        // All drain at the same time; the process ends with the last.
        if let Some(grpc) = grpc {
            grpc.await??;
        }
        if let Some(projections) = projections {
            projections.stop().await;
        }
        Ok(())
    }

    fn query_config(&self) -> anyhow::Result<lombard_query::Config> {
        Ok(config::load("query", self.config_file.as_deref(), serde_json::json!({}))?)
    }

    async fn registry(mut self) -> anyhow::Result<()> {
        let (log, _, transparency) = self.log(SegmentedConfig::small(), "registry")?;
        let verifier = self.verifier()?;
        let deps = lombard_registry::Deps {
            log,
            snapshot_directory: Some(self.snapshots()),
            verifier: verifier.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let registry = lombard_registry::Registry::new(self.config()?, deps)?;
        let router = self.with_proofs(registry.router(), transparency, verifier.clone());
        let grpc = self.spawn_grpc(registry.grpc_routes(), registry.grpc_limits(), verifier);
        let compatible = self.others.consul.take().map(|listener| {
            let server = self.server(registry.compatible_router());
            tokio::spawn(serve(listener, server, self.drain.clone()))
        });
        let dns = self
            .others
            .dns
            .take()
            .map(|(tcp, udp)| tokio::spawn(registry.dns().serve(udp, tcp, self.drain.clone())));
        let drain = self.drain.clone();
        Self::serve(
            (self.listener, self.limits),
            router,
            self.health,
            self.metrics,
            self.drain,
            registry.run(drain),
        )
        .await?;
        for serving in [compatible, dns, grpc].into_iter().flatten() {
            serving.await??;
        }
        Ok(())
    }

    async fn eventstore(mut self) -> anyhow::Result<()> {
        let (log, _, transparency) = self.log(SegmentedConfig::default(), "events")?;
        let verifier = self.verifier()?;
        let deps = lombard_eventstore::Deps {
            log,
            index_directory: self.directory.role(self.role).join("index"),
            subjects_directory: self.directory.role(self.role).join("subjects"),
            disk: Arc::new(lombard_log::disk::Real),
            groups: self.groups()?,
            verifier: verifier.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let eventstore = lombard_eventstore::EventStore::new(self.config()?, deps)?;
        let router = self.with_proofs(eventstore.router(), transparency, verifier.clone());
        let (routes, limits) = (eventstore.grpc_routes(), eventstore.grpc_limits());
        let grpc = self.spawn_grpc(routes, limits, verifier);
        let drain = self.drain.clone();
        Self::serve(
            (self.listener, self.limits),
            router,
            self.health,
            self.metrics,
            self.drain,
            eventstore.run(drain),
        )
        .await?;
        // Both drain at the same time; the process ends with the last.
        if let Some(grpc) = grpc {
            grpc.await??;
        }
        Ok(())
    }

    async fn gateway(self) -> anyhow::Result<()> {
        let query = self.query_config()?.separate.then(|| self.addresses.of(Role::Query));
        let tokens =
            GatewayTokens { tokens: self.tokens_of(GATEWAY)?, issuer: self.issuer.clone() };
        let config = lombard_gateway::Config::load(self.config_file.as_deref())?;
        let deps = lombard_gateway::Deps {
            issuer: self.issuer.clone(),
            roles: lombard_gateway::RoleAddresses {
                ledger: self.addresses.of(Role::Ledger),
                query,
                registry: self.addresses.of(Role::Registry),
                auth: self.addresses.of(Role::Auth),
                eventstore: self.addresses.of(Role::Eventstore),
                console: self.addresses.of(Role::Console),
            },
            tokens: Arc::new(tokens),
            dpop_nonces: self.dpop_nonces()?,
            keys: Arc::new(keys::HttpKeySource::new(self.addresses.url(Role::Auth))),
            reader: crate::gateway_commands::reader(self.config_file.clone()),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            listener: self.listener.try_clone()?,
            tls_listener: self.others.tls,
        };
        let gateway = lombard_gateway::Gateway::new(config, deps)?;
        drop(self.listener);
        tokio::spawn(reload_on_hangup(gateway.control())?);
        Ok(gateway.run(self.drain).await?)
    }

    async fn console(self) -> anyhow::Result<()> {
        let has_query = self.query_config()?.separate;
        let roles: BTreeMap<&str, String> = Role::ALL
            .into_iter()
            .filter(|role| *role != Role::Console && (has_query || *role != Role::Query))
            .map(|role| (role.name(), self.addresses.url(role)))
            .collect();
        let overrides = serde_json::json!({ "issuer": self.issuer, "roles": roles });
        let config = config::load(self.role.name(), self.config_file.as_deref(), overrides)?;
        let deps =
            lombard_console::Deps { health: self.health.clone(), metrics: self.metrics.clone() };
        let console = lombard_console::Console::new(config, deps)?;
        let (router, drain) = (console.router(), self.drain.clone());
        Self::serve(
            (self.listener, self.limits),
            router,
            self.health,
            self.metrics,
            self.drain,
            console.run(drain),
        )
        .await
    }
}

/// Reads the gateway's configuration again at each SIGHUP, for ever.
fn reload_on_hangup(
    control: lombard_gateway::Control,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            if let Err(error) = control.reload() {
                tracing::error!(%error, "failed to reload");
            }
        }
    })
}

/// The gateway's tokens for the roles that it calls for itself.
struct GatewayTokens {
    tokens: AccessTokens,
    issuer: String,
}

impl lombard_gateway::TokenSource for GatewayTokens {
    fn token(&self, resource: lombard_gateway::Resource) -> BoxFuture<'_, Result<String, String>> {
        let role = match resource {
            lombard_gateway::Resource::Registry => Role::Registry,
            lombard_gateway::Resource::Eventstore => Role::Eventstore,
            lombard_gateway::Resource::Gateway => Role::Gateway,
        };
        Box::pin(async move {
            let resource = format!("{}/v1/{role}", self.issuer);
            let token = self.tokens.for_resource(&resource).await;
            token.map(|token| token.secret().to_owned()).map_err(|error| error.to_string())
        })
    }
}
