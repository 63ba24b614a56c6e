//! The HTTP interface, `/v1/ledger/...`.
//!
//! Writes go to the writer, reads to the read side. Every answer says in `Lombard-Position` the record of the log that
//! it depends on; given back as `?at_least=`, a read waits for it.

mod accounts;
mod answer;
mod assets;
pub(crate) mod authority;
pub(crate) mod body;
mod chart;
mod entries;
pub(crate) mod evidence;
mod explain;
mod idempotency;
mod import;
mod locks;
mod metadata;
mod paging;
pub(crate) mod sets;
mod transfers;
mod trial_balance;

use std::sync::Arc;

use axum::{
    Extension, Router,
    routing::{delete, get, post, put},
};
use lombard_chassis::{Problem, extract::BodyLimit, problems};
use lombard_engine::{Follower, Handle};
use lombard_ledger_core::{AccountRef, Command, Reply};
use lombard_types::{AccountId, AccountPath, AssetCode, Position, Scale};

pub(crate) use idempotency::InProgress;

use crate::{Config, machine::LedgerMachine, metrics::LedgerMetrics, problem, query::LedgerView};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) writer: Handle<LedgerMachine>,
    pub(crate) view: Follower<LedgerView>,
    pub(crate) metrics: LedgerMetrics,
    pub(crate) config: Arc<Config>,
    pub(crate) in_progress: InProgress,
}

/// All routes. Each needs a token for this role; which scope is said at each handler.
pub(crate) fn router(api: Api) -> Router {
    let body_limit = BodyLimit(api.config.body_bytes_max);
    let batch_limit = BodyLimit(api.config.batch_bytes_max);
    let routes = Router::new()
        .route("/assets", get(assets::list).post(assets::create))
        .route("/accounts", get(accounts::list).post(accounts::open))
        .route("/accounts/by-path/{*path}", get(accounts::by_path))
        .route("/accounts/{id}", get(accounts::by_id))
        .route("/accounts/{id}/entries", get(entries::list))
        .route("/accounts/{id}/close", post(accounts::close))
        .route("/accounts/{id}/reopen", post(accounts::reopen))
        .route("/chart-rules", get(chart::list))
        .route("/chart-rules/{*prefix}", put(chart::set).delete(chart::remove))
        .route("/period-locks", get(locks::list).post(locks::lock))
        .route("/period-locks/{name}", delete(locks::unlock))
        .route("/transfers", get(transfers::list))
        .route("/transfers", post(sets::create))
        .route("/import", post(import::import))
        .route("/batches", post(sets::create_batch).layer(Extension(batch_limit)))
        .route("/transfers/{id}", get(transfers::by_id))
        .route("/transfers/{id}/post", post(sets::post_pending))
        .route("/transfers/{id}/void", post(sets::void_pending))
        .route("/transfers/{id}/reverse", post(sets::reverse))
        .route("/trial-balance", get(trial_balance::get))
        .route("/explain/transfers/{id}", get(explain::transfer))
        .with_state(api);
    Router::new().nest("/v1/ledger", routes).layer(Extension(body_limit))
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

    /// Waits until the read side has applied the record at `at_least`.
    async fn reach(&self, at_least: Option<Position>) -> Result<(), Problem> {
        let Some(wanted) = at_least else {
            return Ok(());
        };
        let wait = self.config.wait();
        self.view.wait_for(wanted.next(), wait).await.map_err(|lagging| {
            let problem = Problem::new(&problems::POSITION_NOT_REACHED)
                .detail(format!("record {wanted} was not reached in {} ms", wait.as_millis()))
                .retry_after(std::time::Duration::from_secs(1));
            problem::with_position(problem, lagging.reached.previous())
        })
    }

    /// Waits until the read side has applied everything that was answered to anybody before now.
    async fn reach_writer(&self) -> Result<(), Problem> {
        let asked = self.writer.query(|_| ()).await;
        let ((), position) = asked.map_err(problem::from_query_error)?;
        self.reach(position).await
    }

    /// Reads the view, and says the last record that it includes.
    fn read<R>(&self, read: impl FnOnce(&LedgerView) -> R) -> (R, Option<Position>) {
        let (result, end) = self.view.read_at(read);
        (result, end.previous())
    }

    /// An account's id and path, which never change: the read side answers where it can, and the writer knows the
    /// accounts that the read side has not seen yet.
    pub(crate) async fn account_named(
        &self,
        name: &AccountRef,
    ) -> Result<Option<(AccountId, AccountPath)>, Problem> {
        let seen = self
            .view
            .read(|view| view.account(name).map(|account| (account.id, account.path.clone())));
        if seen.is_some() {
            return Ok(seen);
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
        if let Some(asset) = self.view.read(|view| view.asset(code)) {
            return Ok(asset.scale);
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
