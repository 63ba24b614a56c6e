//! The HTTP interface, `/v1/ledger/...`.
//!
//! Writes, and what only the writer knows. Every answer says in `Lombard-Position` the record of the log that it depends
//! on; given back as `?at_least=`, a read (`lombard-query`) waits for it.

mod accounts;
mod assets;
pub(crate) mod authority;
pub(crate) mod body;
mod chart;
pub(crate) mod evidence;
mod idempotency;
mod import;
mod locks;
mod metadata;
pub(crate) mod sets;

use std::sync::Arc;

use axum::{
    Extension, Router,
    routing::{delete, get, post, put},
};
use lombard_chassis::{Problem, extract::BodyLimit, problems};
use lombard_engine::Handle;
use lombard_ledger_core::{AccountRef, Command, Reply};
use lombard_token::Verifier;
use lombard_types::{AccountId, AccountPath, AssetCode, Position, Scale};

pub(crate) use idempotency::InProgress;

use crate::{
    Config,
    directory::{Directory, Named},
    machine::LedgerMachine,
    metrics::LedgerMetrics,
    problem,
};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) writer: Handle<LedgerMachine>,
    pub(crate) directory: Directory,
    pub(crate) metrics: LedgerMetrics,
    pub(crate) config: Arc<Config>,
    pub(crate) in_progress: InProgress,
}

/// All routes. Each needs a token for this role; which scope is said at each handler.
///
/// Whole paths and few layers: each nesting and each layer keeps every route in one more box, which is made again for each
/// request.
pub(crate) fn router(api: Api, verifier: Verifier) -> Router {
    let body_limit = BodyLimit(api.config.body_bytes_max);
    let batch_limit = BodyLimit(api.config.batch_bytes_max);
    Router::new()
        .route("/v1/ledger/assets", post(assets::create))
        .route("/v1/ledger/accounts", post(accounts::open))
        .route("/v1/ledger/accounts/{id}/close", post(accounts::close))
        .route("/v1/ledger/accounts/{id}/reopen", post(accounts::reopen))
        .route("/v1/ledger/chart-rules", get(chart::list))
        .route("/v1/ledger/chart-rules/{*prefix}", put(chart::set).delete(chart::remove))
        .route("/v1/ledger/period-locks", get(locks::list).post(locks::lock))
        .route("/v1/ledger/period-locks/{name}", delete(locks::unlock))
        .route("/v1/ledger/transfers", post(sets::create))
        .route("/v1/ledger/import", post(import::import))
        .route("/v1/ledger/batches", post(sets::create_batch).layer(Extension(batch_limit)))
        .route("/v1/ledger/transfers/{id}/post", post(sets::post_pending))
        .route("/v1/ledger/transfers/{id}/void", post(sets::void_pending))
        .route("/v1/ledger/transfers/{id}/reverse", post(sets::reverse))
        .with_state(Arc::new(api))
        .layer((Extension(verifier), Extension(body_limit)))
}

/// A command's effect, and where it was recorded.
struct Done {
    reply: Reply,
    position: Position,
    is_new: bool,
}

impl Api {
    async fn submit(&self, command: Command) -> Result<Done, Problem> {
        let committed = self.writer.submit(command).await.map_err(problem::from_submit_error)?;
        let (position, is_new) = (committed.position, committed.written);
        Ok(Done { reply: committed.reply, position, is_new })
    }

    /// What never changes of an account that is durable.
    pub(crate) fn named(&self, name: &AccountRef) -> Option<Named> {
        self.directory.account(name, *self.writer.log().durable().borrow())
    }

    /// An account's id and path, which never change. An account that is not durable yet is waited for.
    pub(crate) async fn account_named(
        &self,
        name: &AccountRef,
    ) -> Result<Option<(AccountId, AccountPath)>, Problem> {
        if let Some(named) = self.named(name) {
            return Ok(Some((named.id, named.path)));
        }
        let name = name.clone();
        let asked = self.writer.query(move |machine| {
            let account = machine.book().account(&name)?;
            Some((account.id, account.path.clone()))
        });
        asked.await.map(|(found, _)| found).map_err(problem::from_query_error)
    }

    /// An asset's scale, which never changes either.
    async fn scale_of(&self, code: &AssetCode) -> Result<Scale, Problem> {
        if let Some(scale) = self.directory.scale(code, *self.writer.log().durable().borrow()) {
            return Ok(scale);
        }
        let wanted = code.clone();
        let asked = self
            .writer
            .query(move |machine| machine.book().asset(&wanted).map(|asset| asset.scale));
        let (scale, _) = asked.await.map_err(problem::from_query_error)?;
        scale.ok_or_else(|| {
            Problem::new(&problem::ASSET_NOT_FOUND)
                .detail(format!("no asset has the code {code}; create it first"))
                .with("result", "asset_not_found")
        })
    }
}

/// The writer replied to another command than it was asked: a defect of ours.
pub(crate) fn unexpected_reply() -> Problem {
    tracing::error!("the ledger's writer gave a reply of another kind than its command");
    Problem::new(&problems::INTERNAL)
}
