//! The ledger's read side as a process of its own: a copy of the ledger's log, and the indexes that follow the copy.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use lombard_chassis::{Health, config};
use lombard_engine::Follower;
use lombard_log::{LogId, SharedLog};
use lombard_mirror::{HttpSource, Mirror, Source as _};
use lombard_projection::Projections;
use lombard_query::LedgerIndex;
use lombard_token::Verifier;
use lombard_types::Position;
use tokio::sync::watch;

use super::Start;
use crate::{role::Role, up::first_start::QUERY};

impl Start {
    pub(super) async fn query(self) -> anyhow::Result<()> {
        let verifier = self.verifier_for(Role::Ledger)?;
        let health = self.health.clone();
        let limits = config::load("mirror", self.config_file.as_deref(), serde_json::json!({}))?;
        let tokens = Arc::new(self.tokens_of(QUERY)?);
        let resource = format!("{}/v1/ledger", self.issuer);
        let ledger = self.addresses.url(Role::Ledger);
        let directory = self.directory.role(self.role);
        let source =
            || HttpSource::new(&limits, Arc::clone(&tokens), resource.clone(), &ledger, "ledger");
        let asked = source();
        let deps = lombard_mirror::Deps {
            source: source(),
            directory: directory.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        };
        let mirror = Mirror::open(limits, deps).await?;
        let deps = lombard_query::Deps {
            log: mirror.log(),
            codec: lombard_ledger::EventCodec,
            directory: directory.join("index"),
            verifier: verifier.clone(),
            metrics: self.metrics.clone(),
        };
        let query = lombard_query::Query::start(self.query_config()?, deps).await?;
        let query = query.with_latest(Arc::new(LedgerSource { asked, log: mirror.log() }));
        let followed = Followed {
            log: mirror.log(),
            origin: mirror.origin(),
            records: mirror.source_records(),
        };
        let projections = self.projections(followed, verifier)?;
        let (log, follower) = (mirror.log(), query.follower());
        tokio::spawn(self.drain.clone().run_until_cancelled_owned(async move {
            watch_index(&log, &follower, &health).await;
        }));
        let router = query.router().merge(projections.router());
        let run = Box::pin(mirror.run(self.drain.clone()));
        let listener = (self.listener, self.limits);
        let served =
            Self::serve(listener, router, self.health, self.metrics, self.drain, run).await;
        projections.stop().await;
        served
    }

    /// The projections of the configuration, on a log of the ledger's records.
    pub(super) fn projections(
        &self,
        followed: Followed,
        verifier: Verifier,
    ) -> anyhow::Result<Projections> {
        let config =
            config::load("projection", self.config_file.as_deref(), serde_json::json!({}))?;
        let Followed { log, origin, records } = followed;
        let deps = lombard_projection::Deps {
            log,
            codec: lombard_ledger::EventCodec,
            origin,
            records,
            directory: self.directory.role(self.role).join("projections"),
            verifier,
            metrics: self.metrics.clone(),
        };
        Ok(Projections::start(config, deps)?)
    }
}

/// The ledger, asked how far it is.
#[derive(Debug)]
struct LedgerSource {
    asked: HttpSource,
    /// The copy of its log, so that nothing is sent that is there already.
    log: SharedLog,
}

impl lombard_query::Latest for LedgerSource {
    fn durable(&self) -> BoxFuture<'_, Option<Position>> {
        Box::pin(async {
            let page = self.asked.records(self.log.tail().get(), Duration::ZERO).await;
            let page = page.inspect_err(|error| {
                tracing::warn!(%error, "the ledger could not be asked how far it is");
            });
            page.ok().map(|page| Position::new(page.durable))
        })
    }
}

/// A log of the ledger's records, and what is known of the ledger's own.
pub(super) struct Followed {
    log: SharedLog,
    origin: watch::Receiver<Option<Arc<str>>>,
    records: watch::Receiver<Option<u64>>,
}

impl Followed {
    /// The ledger's own log: nobody knows more of it.
    pub(super) fn own(log: &SharedLog, id: LogId) -> Self {
        let origin = lombard_transparency::origin(Role::Ledger.name(), id);
        let (_, origin) = watch::channel(Some(origin.into()));
        let (_, records) = watch::channel(Some(log.tail().get()));
        Self { log: Arc::clone(log), origin, records }
    }
}

/// Tells when the index has everything that was there at the start, and when it stops following.
async fn watch_index(log: &SharedLog, follower: &Follower<LedgerIndex>, health: &Health) {
    /// Longer than any process runs.
    const FOR_EVER: Duration = Duration::from_secs(1 << 32);
    if follower.wait_for(log.tail(), FOR_EVER).await.is_ok() {
        health.ready();
    }
    // Never reached: the wait ends when the index has stopped following.
    if follower.wait_for(Position::new(u64::MAX), FOR_EVER).await.is_err() {
        health.obstacle("index", "stopped following the log; see the log of the role");
    }
}
