//! `/v1/ledger/projections`: how far they are, and building them anew.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;
use lombard_chassis::{Authenticated, Json, Path, Problem, problems};
use lombard_log::SharedLog;
use serde::Serialize;

use crate::{problem, progress::Progress, service::Projection};

const FAMILY: &str = "ledger";
/// Projections show everything that is in the log.
const AUDIT: &str = "audit";
const REBUILD: &str = "rebuild";

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) projections: Arc<[Projection]>,
    pub(crate) log: SharedLog,
}

#[derive(Serialize)]
struct ListBody {
    projections: Vec<Progress>,
}

pub(crate) fn router(api: Api) -> Router {
    let routes = Router::new()
        .route("/projections", get(list))
        .route("/projections/{name}", get(one))
        .route("/projections/{name}/rebuild", post(rebuild))
        .with_state(api);
    Router::new().nest("/v1/ledger", routes)
}

impl Api {
    fn durable(&self) -> u64 {
        self.log.durable().borrow().get()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Projection> {
        self.projections.iter().find(|projection| projection.name == name)
    }

    pub(crate) fn progress(&self, projection: &Projection) -> Progress {
        projection.progress(self.durable())
    }
}

async fn list(token: Authenticated, State(api): State<Api>) -> Result<Json<ListBody>, Problem> {
    token.require(FAMILY, AUDIT, None)?;
    let projections = api.projections.iter().map(|projection| api.progress(projection)).collect();
    Ok(Json(ListBody { projections }))
}

async fn one(
    token: Authenticated,
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Progress>, Problem> {
    token.require(FAMILY, AUDIT, None)?;
    let projection = api.find(&name).ok_or_else(problem::not_found)?;
    Ok(Json(api.progress(projection)))
}

/// Asks for the tables to be built anew. Where that is under way already, there is nothing more to ask for.
async fn rebuild(
    token: Authenticated,
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Progress>), Problem> {
    token.require(FAMILY, REBUILD, None)?;
    let projection = api.find(&name).ok_or_else(problem::not_found)?;
    if !projection.ask_rebuild() {
        return Err(Problem::new(&problems::OVERLOADED));
    }
    Ok((StatusCode::ACCEPTED, Json(api.progress(projection))))
}
