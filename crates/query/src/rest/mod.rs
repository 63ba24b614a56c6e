//! The HTTP interface: reads below `/v1/ledger`. Every answer says in `Lombard-Position` the last record that it takes
//! into account.

mod as_of;
mod balance;
mod journal;
mod reservations;
mod totals;

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue};
use lombard_chassis::{Authenticated, Json, Problem};
use lombard_engine::Follower;
use lombard_ledger_core::{AccountRef, EntrySide};
use lombard_log::SharedLog;
use lombard_types::AccountId;
use serde::Serialize;

use crate::{AccountRow, Config, Cut, LedgerIndex, history::Records, problem};

const LOMBARD_POSITION: HeaderName = HeaderName::from_static("lombard-position");
const FAMILY: &str = "ledger";
const READ: &str = "read";

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) follower: Follower<LedgerIndex>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) log: SharedLog,
    pub(crate) config: Arc<Config>,
}

pub(crate) fn router(api: Api) -> Router {
    let routes = Router::new()
        .route("/accounts/{id}/balance", get(balance::get))
        .route("/accounts/{id}/reservations", get(reservations::list))
        .route("/export/hledger", get(journal::get))
        .route("/totals", get(totals::get))
        .with_state(api);
    Router::new().nest("/v1/ledger", routes)
}

impl Api {
    fn wait(&self) -> Duration {
        Duration::from_millis(self.config.wait_ms_max)
    }

    /// Asks the index about an account that the caller may read. Who may read only some accounts is not told whether
    /// another one exists.
    fn about<R>(
        &self,
        token: &Authenticated,
        id: AccountId,
        ask: impl FnOnce(&LedgerIndex, &AccountRow) -> Result<R, Problem>,
    ) -> Result<R, Problem> {
        self.follower.read(|index| {
            index.check().map_err(|error| problem::internal(&error))?;
            match index.account(&AccountRef::Id(id)) {
                Some(account) => {
                    token.require(FAMILY, READ, Some(account.path.as_str()))?;
                    ask(index, account)
                }
                None => {
                    token.require(FAMILY, READ, None)?;
                    Err(Problem::new(&problem::ACCOUNT_NOT_FOUND))
                }
            }
        })
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

/// Reads a parameter that has a grammar of its own.
fn parameter<T>(name: &'static str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.map(str::parse).transpose().map_err(|error| problem::invalid_parameter(name, error))
}

const fn side(side: EntrySide) -> &'static str {
    match side {
        EntrySide::Debit => "debit",
        EntrySide::Credit => "credit",
    }
}
