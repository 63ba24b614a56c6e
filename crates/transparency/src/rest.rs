//! `/v1/<role>/log/...`.
//!
//! `checkpoint`, `key` and `proofs/*` hold hashes only: any token for the role reads them. `records` holds everything
//! that the role ever recorded: it takes `<family>:audit`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::header;
use lombard_chassis::{Authenticated, CancellationToken, Json, Problem, Query, problems};
use lombard_log::merkle::{MerkleError, TreeHash};
use lombard_types::Position;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{Config, problem, signer::Signer};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) signer: Arc<Signer>,
    pub(crate) queries: Arc<Semaphore>,
    pub(crate) waiters: Arc<Semaphore>,
    /// Cancelled with the drain: nobody waits for records any more.
    pub(crate) stopping: CancellationToken,
    pub(crate) config: Arc<Config>,
    pub(crate) family: &'static str,
}

pub(crate) fn router(role: &str, api: Api) -> Router {
    let routes = Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/key", get(key))
        .route("/proofs/inclusion", get(inclusion))
        .route("/proofs/consistency", get(consistency))
        .route("/records", get(records))
        .with_state(api);
    Router::new().nest(&format!("/v1/{role}/log"), routes)
}

fn text(body: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, body).into_response()
}

/// The newest signed note.
async fn checkpoint(_: Authenticated, State(api): State<Api>) -> Result<Response, Problem> {
    if let Some(contradiction) = api.signer.contradiction() {
        return Err(problem::log_damaged(contradiction));
    }
    let latest = api.signer.latest().ok_or_else(problem::not_ready)?;
    Ok(text(latest.note.clone()))
}

/// The key that verifies it.
async fn key(_: Authenticated, State(api): State<Api>) -> Response {
    text(format!("{}\n", api.signer.verifying_key()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InclusionQuery {
    position: u64,
    size: Option<u64>,
}

#[derive(Serialize)]
struct InclusionBody {
    position: u64,
    size: u64,
    leaf: String,
    path: Vec<String>,
}

/// That the record at a position is in the tree of a size; the newest checkpoint's where it is not said.
async fn inclusion(
    _: Authenticated,
    State(api): State<Api>,
    Query(query): Query<InclusionQuery>,
) -> Result<Json<InclusionBody>, Problem> {
    let InclusionQuery { position, size } = query;
    let size = api.size_or_latest(size)?;
    if position >= size {
        return Err(problem::not_in_log(size));
    }
    let proof = api.blocking(move |signer, runtime| {
        runtime.block_on(signer.tree.inclusion(Position::new(position), size))
    });
    let proof = proof.await?;
    let (leaf, path) = (base64(&proof.leaf), proof.path.iter().map(base64).collect());
    Ok(Json(InclusionBody { position, size, leaf, path }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsistencyQuery {
    from: u64,
    to: Option<u64>,
}

#[derive(Serialize)]
struct ConsistencyBody {
    from: u64,
    to: u64,
    path: Vec<String>,
}

/// That the tree of one size is the beginning of that of another; the newest checkpoint's where it is not said.
async fn consistency(
    _: Authenticated,
    State(api): State<Api>,
    Query(query): Query<ConsistencyQuery>,
) -> Result<Json<ConsistencyBody>, Problem> {
    let ConsistencyQuery { from, to } = query;
    let to = api.size_or_latest(to)?;
    if from > to {
        let detail = format!("from is {from}, which is behind {to}");
        return Err(Problem::new(&problems::INVALID_QUERY).detail(detail));
    }
    let path = api.blocking(move |signer, _| signer.tree.consistency(from, to)).await?;
    Ok(Json(ConsistencyBody { from, to, path: path.iter().map(base64).collect() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordsQuery {
    from: u64,
    limit: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Serialize)]
struct RecordsBody {
    records: Vec<RecordBody>,
    durable: u64,
}

#[derive(Serialize)]
struct RecordBody {
    position: u64,
    payload: String,
}

/// Durable records from a position on, as they are stored. Waits for the first one, where the request says so.
async fn records(
    token: Authenticated,
    State(api): State<Api>,
    Query(query): Query<RecordsQuery>,
) -> Result<Json<RecordsBody>, Problem> {
    token.require(api.family, "audit", None)?;
    api.wait_beyond(query.from, query.wait_ms).await?;
    let _permit = api.permit().await?;
    let limit = query.limit.unwrap_or(usize::MAX).min(api.config.records_max);
    let durable = api.signer.durable();
    let read = api.signer.log.read(Position::new(query.from), api.config.records_bytes_max);
    let records = read.await.map_err(problem::from_read_error)?;
    let record = |record: lombard_log::Record| RecordBody {
        position: record.position.get(),
        payload: BASE64_STANDARD.encode(&record.payload),
    };
    Ok(Json(RecordsBody {
        records: records.into_iter().take(limit).map(record).collect(),
        durable,
    }))
}

fn base64(hash: &TreeHash) -> String {
    BASE64_STANDARD.encode(hash.as_bytes())
}

impl Api {
    fn size_or_latest(&self, size: Option<u64>) -> Result<u64, Problem> {
        let durable = self.signer.durable();
        match size {
            Some(size) if size > durable => Err(problem::not_in_log(durable)),
            Some(size) => Ok(size),
            None => self.signer.latest().map(|latest| latest.size).ok_or_else(problem::not_ready),
        }
    }

    /// Waits until the record at `from` is durable, for a bounded time. Those who wait keep nobody from reading.
    async fn wait_beyond(&self, from: u64, wait_ms: u64) -> Result<(), Problem> {
        let mut durable = self.signer.log.durable();
        if wait_ms == 0 || durable.borrow().get() > from {
            return Ok(());
        }
        let refused = |_| problem::too_many_waiters(self.config.waiters_max);
        let _waiter = self.waiters.try_acquire().map_err(refused)?;
        let wait = Duration::from_millis(wait_ms.min(self.config.wait_ms_max));
        tokio::select! {
            _ = durable.wait_for(|durable| durable.get() > from) => {}
            () = tokio::time::sleep(wait) => {}
            () = self.stopping.cancelled() => {}
        }
        Ok(())
    }

    async fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        let permit = Arc::clone(&self.queries).acquire_owned().await;
        permit.map_err(|_| Problem::new(&problems::STOPPING))
    }

    /// Asks the tree where waiting for the disk, or for the tree's growth, keeps nobody else waiting.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Signer, &tokio::runtime::Handle) -> Result<T, MerkleError> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit().await?;
        let (signer, runtime) = (Arc::clone(&self.signer), tokio::runtime::Handle::current());
        let asked = self.signer.blocking.spawn_blocking(move || {
            // Held until the answer is there, even where nobody waits for it any more.
            let _permit = permit;
            ask(&signer, &runtime)
        });
        let answer = asked.await.map_err(|error| {
            tracing::error!(%error, "a proof panicked");
            Problem::new(&problems::INTERNAL)
        })?;
        answer.map_err(problem::from_merkle_error)
    }
}
