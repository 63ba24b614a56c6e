//! The HTTP interface: reads below `/v1/ledger`. Every answer says in `Lombard-Position` the last record that it takes
//! into account.

mod accounts;
mod as_of;
mod assets;
mod balance;
mod described;
mod entries;
mod explain;
mod export;
mod journal;
mod reader;
mod reservations;
mod statements;
mod totals;
mod transfers;
mod trial_balance;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::HeaderValue;
use lombard_chassis::{Json, Problem};
use lombard_engine::Follower;
use lombard_ledger_api::{LOMBARD_POSITION, limit};
use lombard_ledger_core::{AccountRef, EntrySide};
use lombard_log::SharedLog;
use lombard_types::AccountId;
use serde::Serialize;

use self::reader::Reader;
use crate::{AccountRow, Config, Cut, Latest, LedgerIndex, Sealer, history::Records, problem};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) follower: Follower<LedgerIndex>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) log: SharedLog,
    /// Who knows how much is durable; the log itself where there is nobody.
    pub(crate) latest: Option<Arc<dyn Latest>>,
    pub(crate) config: Arc<Config>,
}

pub(crate) fn router(api: Api, sealer: Option<Arc<dyn Sealer>>) -> Router {
    let routes = Router::new()
        .route("/assets", get(assets::list))
        .route("/accounts", get(accounts::list))
        .route("/accounts/by-path/{*path}", get(accounts::by_path))
        .route("/accounts/{id}", get(accounts::by_id))
        .route("/accounts/{id}/balance", get(balance::get))
        .route("/accounts/{id}/entries", get(entries::list))
        .route("/accounts/{id}/reservations", get(reservations::list))
        .route("/accounts/{id}/statements", get(statements::list))
        .route("/accounts/{id}/statements/{number}", get(statements::get))
        .route("/export/entries", get(export::entries))
        .route("/export/hledger", get(journal::get))
        .route("/export/transfers", get(export::transfers))
        .route("/explain/balances/{id}", get(explain::balance))
        .route("/explain/transfers/{id}", get(explain::transfer))
        .route("/totals", get(totals::get))
        .route("/transfers", get(transfers::list))
        .route("/transfers/{id}", get(transfers::by_id))
        .route("/trial-balance", get(trial_balance::get))
        .with_state(api.clone());
    let routes = match sealer {
        Some(sealer) => routes.merge(sealing(api, sealer)),
        None => routes,
    };
    Router::new().nest("/v1/ledger", routes)
}

fn sealing(api: Api, sealer: Arc<dyn Sealer>) -> Router {
    Router::new()
        .route("/accounts/{id}/statements", post(statements::seal))
        .with_state((api, sealer))
}

impl Api {
    fn wait(&self) -> Duration {
        Duration::from_millis(self.config.wait_ms_max)
    }

    /// How many items a page may have.
    fn limit(&self, text: Option<&str>) -> Result<usize, Problem> {
        limit(text, self.config.page_items_default, self.config.page_items_max)
    }

    /// Asks the index, unless it cannot go on.
    fn ask<R>(&self, ask: impl FnOnce(&LedgerIndex) -> Result<R, Problem>) -> Result<R, Problem> {
        self.follower.read(|index| {
            index.check().map_err(|error| problem::internal(&error))?;
            ask(index)
        })
    }

    /// Asks the index about an account that the caller may read, and that was open at the cut.
    fn about<R>(
        &self,
        reader: &Reader,
        id: AccountId,
        cut: Cut,
        ask: impl FnOnce(&LedgerIndex, &AccountRow) -> Result<R, Problem>,
    ) -> Result<R, Problem> {
        self.ask(|index| {
            let account = index.account(&AccountRef::Id(id));
            let account = account.filter(|account| account.opened.position < cut.end);
            ask(index, reader.readable(account)?)
        })
    }

    /// What is known of an account that the caller may read.
    fn account(&self, reader: &Reader, id: AccountId, cut: Cut) -> Result<AccountRow, Problem> {
        self.about(reader, id, cut, |_, account| Ok(account.clone()))
    }
}

/// A body with the position that it is of.
fn answer<T: Serialize>(cut: Cut, body: T) -> Response {
    with_position(cut, Json(body).into_response())
}

fn with_position(cut: Cut, mut response: Response) -> Response {
    if let Some(position) = cut.end.previous() {
        response.headers_mut().insert(LOMBARD_POSITION, HeaderValue::from(position.get()));
    }
    response
}

/// One row of CSV.
fn csv_row<const N: usize>(cells: [&str; N]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const fn side(side: EntrySide) -> &'static str {
    match side {
        EntrySide::Debit => "debit",
        EntrySide::Credit => "credit",
    }
}
