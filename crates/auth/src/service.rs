//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{
    fmt,
    ops::Deref,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{Extension, Router};
use futures_util::future::BoxFuture;
use lombard_auth_core::Client;
use lombard_chassis::{
    CancellationToken, Health, Metrics,
    tls::{self, ServerCertificate},
};
use lombard_engine::{Engine, Follower, Handle, Snapshots, StartError, StoppedError};
use lombard_log::SharedLog;
use lombard_token::{DpopNonces, Jwks, KeySource, KeySourceError, Verifier};
use lombard_types::Timestamp;
use lombard_webauthn::RelyingParty;
use rustls::ServerConfig;
use tokio::sync::Semaphore;

use crate::{
    AuthMachine, Config, EventCodec,
    audit::{self, Audit, Scribe},
    backchannel::{self, Connector, ConnectorError},
    bootstrap::{self, BootstrapError},
    device::DeviceRequests,
    metrics::AuthMetrics,
    mtls::{self, ClientCertificates},
    oauth,
    password::Passwords,
    pending::PendingRequests,
    replay::UsedAssertions,
    rest,
    server_secret::ServerKeys,
    signing_keys::{self, BeginError, Keyring, SigningKeyError},
    throttle::LoginThrottle,
};

/// What the role is given.
pub struct Deps {
    /// The role's log; nobody else writes to it.
    pub log: SharedLog,
    /// Where snapshots of the state are kept; without it every start replays the whole log.
    pub snapshot_directory: Option<PathBuf>,
    /// Who makes the tokens: the public URL of the gateway.
    pub issuer: String,
    /// What proofs of possession must have nonces of, where they must have some.
    pub dpop_nonces: Option<Arc<DpopNonces>>,
    /// Where the private signing keys are kept, sealed; they are made if they are not there.
    pub signing_keys_directory: PathBuf,
    /// Where the server's own secret is kept; it is made if it is not there.
    pub server_secret_file: PathBuf,
    /// The clients of the first start.
    pub bootstrap_file: Option<PathBuf>,
    /// Told when the role is ready, and what is in the way.
    pub health: Health,
    /// Where the role counts.
    pub metrics: Metrics,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps")
            .field("log", &self.log)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// What the handlers share. Cheap to clone: each layer of the router does so for each request.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Shared>);

/// What an [`Api`] has.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) writer: Handle<AuthMachine>,
    /// The copy of the clients that requests read.
    pub(crate) view: Follower<AuthMachine>,
    pub(crate) config: Arc<Config>,
    pub(crate) issuer: Arc<str>,
    pub(crate) dpop_nonces: Option<Arc<DpopNonces>>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) used_assertions: Arc<UsedAssertions>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) throttle: Arc<LoginThrottle>,
    /// The role's log, in which the audit is.
    pub(crate) log: SharedLog,
    pub(crate) audit: Audit,
    pub(crate) pending: Arc<PendingRequests>,
    pub(crate) devices: Arc<DeviceRequests>,
    /// Keys for what is not signed with a signing key and not stored.
    pub(crate) keys: Arc<ServerKeys>,
    pub(crate) health: Health,
    /// Who asks for passkeys; none where the issuer's URL is none that browsers make them for.
    pub(crate) relying_party: Option<Arc<RelyingParty>>,
    /// Reaches clients that hear of logouts.
    pub(crate) connector: Arc<Connector>,
    /// Verifies the tokens that were issued here.
    pub(crate) verifier: Verifier,
    pub(crate) client_certificates: Arc<ClientCertificates>,
    /// Room for verifiers that wait for revocations.
    pub(crate) revocation_seats: Arc<Semaphore>,
    pub(crate) metrics: AuthMetrics,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// The time of the request.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_system_time(SystemTime::now())
    }
}

/// The authorization server role.
#[derive(Debug)]
pub struct Auth {
    api: Api,
    engine: Engine,
    verifier: Verifier,
    tls: Option<Arc<ServerConfig>>,
    certificate: Option<Arc<ServerCertificate>>,
    health: Health,
    first_clients: Vec<Client>,
    scribe: Scribe,
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the authorization server has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The log could not be replayed.
    #[error("failed to start the authorization server")]
    Start(#[from] StartError),
    /// The private signing keys could not be read.
    #[error("failed to start the authorization server")]
    SigningKey(#[from] SigningKeyError),
    /// The clients of the first start could not be read.
    #[error("failed to start the authorization server")]
    Bootstrap(#[from] BootstrapError),
    /// The server's own secret could not be read or made.
    #[error("failed to read or write the server's secret {path}")]
    ServerSecret {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The authorities of clients could not be read.
    #[error("failed to start the authorization server")]
    Connector(#[from] ConnectorError),
    /// Passwords could not be hashed as configured.
    #[error("failed to hash passwords as the configuration says")]
    Passwords,
}

/// Why a running role ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The writer stopped: only a restart recovers.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The clients of the first start could not be registered.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// There is no key to sign with.
    #[error("failed to begin with the signing keys")]
    SigningKeys(#[from] BeginError),
}

/// The role's own keys, for verifying the tokens that it made itself.
struct OwnKeys(Follower<AuthMachine>);

impl KeySource for OwnKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(self.0.read(signing_keys::published)) })
    }
}

impl Auth {
    /// Reads the newest snapshot, replays the log from there, and opens the master key. Blocks while it does.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps {
            log,
            snapshot_directory,
            issuer,
            dpop_nonces,
            signing_keys_directory,
            server_secret_file,
            bootstrap_file,
            health,
            metrics,
        } = deps;
        let keys = ServerKeys::read_or_create(&server_secret_file).map_err(|source| {
            let path = server_secret_file.display().to_string();
            NewError::ServerSecret { path, source }
        })?;
        let of_file = |mistake| NewError::Config { mistakes: vec![format!("mtls: {mistake}")] };
        let client_certificates = ClientCertificates::new(&config.mtls).map_err(of_file)?;
        let certificate = config.mtls.server().map_err(of_file)?;
        let tls = certificate.clone().map(tls::asking_for_certificates).transpose();
        let tls = tls.map_err(of_file)?;
        let keyring = Keyring::open(signing_keys_directory, config.signing_master_key())?;
        let first_clients =
            bootstrap_file.as_deref().map(bootstrap::read).transpose()?.unwrap_or_default();
        let snapshots =
            snapshot_directory.map(|directory| Snapshots::new(directory, config.snapshot_policy()));
        let (writer, engine) = Engine::start_with_snapshots(
            "auth",
            Arc::clone(&log),
            snapshots.clone(),
            AuthMachine::default,
            EventCodec,
            config.engine_limits(),
        )?;
        let view = Follower::start_with_snapshots(
            "auth",
            Arc::clone(&log),
            snapshots,
            AuthMachine::default,
            EventCodec,
        )?;
        let own_keys = OwnKeys(view.clone());
        let verifier = Verifier::new(&issuer, format!("{issuer}/v1/auth"), Arc::new(own_keys));
        if let Some(nonces) = &dpop_nonces {
            verifier.require_nonces(Arc::clone(nonces));
        }
        let timeout = Duration::from_millis(config.backchannel_timeout_ms);
        let connector = Connector::new(config.backchannel_ca_file.as_deref(), timeout)?;
        let (audit, scribe) = Audit::new(config.audit_refusals_per_second_max);
        let metrics = AuthMetrics::register(&metrics, writer.clone());
        let api = Api(Arc::new(Shared {
            writer,
            view,
            verifier: verifier.clone(),
            client_certificates: Arc::new(client_certificates),
            revocation_seats: Arc::new(Semaphore::new(config.revocation_waiters_max)),
            used_assertions: Arc::new(UsedAssertions::new(config.assertions_max)),
            passwords: Arc::new(Passwords::new(&config).map_err(|_| NewError::Passwords)?),
            throttle: Arc::new(LoginThrottle::new(config.throttle_limits())),
            pending: Arc::new(PendingRequests::new(config.authorization_requests_max)),
            log,
            audit,
            devices: Arc::new(DeviceRequests::new(config.device_requests_max)),
            keys: Arc::new(keys),
            health: health.clone(),
            connector: Arc::new(connector),
            relying_party: RelyingParty::of_origin(&issuer).map(Arc::new),
            config: Arc::new(config),
            issuer: issuer.into(),
            dpop_nonces,
            keyring: Arc::new(keyring),
            metrics,
        }));
        Ok(Self { api, engine, verifier, tls, certificate, health, first_clients, scribe })
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        oauth::router(self.api.clone())
            .merge(rest::router(self.api.clone()).layer(Extension(self.verifier.clone())))
            .layer(axum::middleware::from_fn_with_state(self.api.clone(), audit::layer))
    }

    /// TLS for the listener on which clients show certificates, where the configuration says one.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.clone()
    }

    /// Verifies the tokens that the role issues for itself.
    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// Registers the clients of the first start, becomes ready, and watches over the writer until `drain` is cancelled.
    ///
    /// An error means that the process must end.
    pub async fn run(self, drain: CancellationToken) -> Result<(), RunError> {
        let Self { api, engine, certificate, health, first_clients, scribe, .. } = self;
        // It goes on with what is served while the role drains.
        tokio::spawn(scribe.run(api.writer.clone(), health.clone()));
        bootstrap::register(first_clients, &api.writer).await?;
        let tail = api.writer.log().tail();
        // The token endpoint reads the copy, so it must have seen everything first.
        while api.view.wait_for(tail, Duration::from_secs(60)).await.is_err() {
            tracing::warn!("the copy of the clients is still catching up with the log");
        }
        api.keyring.begin(&api).await?;
        health.ready();
        tokio::select! {
            stopped = engine.stopped() => Ok(stopped?),
            () = api.keyring.run(&api) => Ok(()),
            () = tell_own_verifier(&api) => Ok(()),
            () = backchannel::run(&api) => Ok(()),
            () = mtls::follow(&api.config.mtls, certificate.as_deref(), &api.client_certificates) => Ok(()),
            () = drain.cancelled() => {
                api.audit.flush().await;
                Ok(())
            }
        }
    }
}

/// The role's own verifier hears of what is revoked here like every other.
async fn tell_own_verifier(api: &Api) {
    let mut known = 0;
    loop {
        let ((last, new), position) = api.view.read_at(|view| {
            let revocations = &view.state.revocations;
            let new: Vec<_> = revocations.after(known).map(|(_, revocation)| *revocation).collect();
            (revocations.last_number(), new)
        });
        known = last;
        api.verifier.revoked().hear(new, Timestamp::from_system_time(SystemTime::now()));
        while api.view.wait_for(position.next(), Duration::from_secs(10)).await.is_err() {
            api.verifier.revoked().hear([], Timestamp::from_system_time(SystemTime::now()));
        }
    }
}
