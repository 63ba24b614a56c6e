//! `/v1/ledger/accounts/{id}/statements`: numbered and sealed, as JSON, CSV and camt.053.

mod body;
mod camt053;
mod csv;
mod lines;

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use lombard_chassis::{Context, Json, Path, Problem, Query, problems};
use lombard_ledger_api::{PageBody, parameter};
use lombard_ledger_core::{AccountRef, Evidence};
use lombard_types::{AccountId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use self::{body::HeadBody, lines::Told};
use super::{Api, Reader, answer, with_position};
use crate::{AccountRow, Cut, DrawError, Sealer, StatementRow, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewStatement {
    /// The first instant after the period.
    until: String,
    /// The first instant of the period: where the last statement ends, or for the first one the beginning of time.
    from: Option<String>,
}

/// Seals the account's next statement. 201 with its head, or 200 where one with this end was sealed before, so that it can
/// be repeated. Needs `ledger:seal` for the account's path.
pub(super) async fn seal(
    reader: Reader,
    context: Context,
    State((api, sealer)): State<(Api, Arc<dyn Sealer>)>,
    Path(id): Path<String>,
    Json(asked): Json<NewStatement>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let time = |name, text: &str| text.parse().map_err(|error| invalid_field(name, error));
    let until: Timestamp = time("until", &asked.until)?;
    let from = asked.from.as_deref().map(|from| time("from", from)).transpose()?;
    if until > Timestamp::from_system_time(SystemTime::now()) {
        return Err(problem::period_not_over());
    }
    let evidence = reader.evidence(context)?;
    for _ in 0..TRIES {
        sealer.settle().await?;
        let cut = api.newest_cut(None, None).await?;
        let account = api.account_to_seal(&reader, id)?;
        if let Some(known) = api.sealed_until(&account, until, cut)? {
            return Ok(answer(cut, HeadBody::of(&account, &known)));
        }
        let drawn = api.ask(|index| {
            let max = api.config.statement_lines_max;
            let drawn = index.draw_up(&account, from, until, cut, max);
            drawn.map_err(|error| problem::internal(&error))?.map_err(wrong)
        })?;
        match sealer.seal(drawn, Arc::clone(&evidence)).await {
            Ok(position) => {
                let position = position.to_string();
                let cut = api.cut(Some(&position), None).await?;
                let row = api.sealed_until(&account, until, cut)?;
                let row = row.ok_or_else(|| Problem::new(&problems::INTERNAL))?;
                let body = HeadBody::of(&account, &row);
                let number = row.statement.number;
                let location = format!("/v1/ledger/accounts/{id}/statements/{number}");
                let created = (StatusCode::CREATED, [(header::LOCATION, location)], Json(body));
                return Ok(with_position(cut, created.into_response()));
            }
            // Somebody else sealed one meanwhile: it may be the one that is asked for.
            Err(refused) if *refused.kind() == problem::STATEMENT_OUT_OF_ORDER => {}
            Err(refused) => return Err(refused),
        }
    }
    Err(Problem::new(&problem::STATEMENT_OUT_OF_ORDER)
        .detail("other statements of the account were sealed at the same time")
        .retry_after(std::time::Duration::from_secs(1)))
}

/// How often a statement is drawn up again because another one was sealed meanwhile.
const TRIES: usize = 3;

fn wrong(error: DrawError) -> Problem {
    match error {
        DrawError::Gap { from } => Problem::new(&problem::STATEMENT_OUT_OF_ORDER)
            .detail(error.to_string())
            .with("from", from.to_string()),
        DrawError::Empty { from } => Problem::new(&problem::STATEMENT_OUT_OF_ORDER)
            .detail(error.to_string())
            .with("from", from.to_string()),
        DrawError::TooMany(error) => problem::too_many(error),
    }
}

fn invalid_field(field: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_BODY).detail(format!("{field}: {error}")).with("field", field)
}

impl Reader {
    /// Who asked, for the event.
    fn evidence(&self, context: Context) -> Result<Arc<Evidence>, Problem> {
        let claims = self.claims();
        let client_id = claims.client_id.parse().map_err(|error| {
            let detail = format!("the token's client_id: {error}");
            lombard_chassis::authenticate::unauthenticated(detail, true)
        })?;
        Ok(Arc::new(Evidence {
            command_id: Uuid::now_v7().as_u128(),
            client_id,
            subject: (&*claims.subject).into(),
            token_id: (&*claims.token_id).into(),
            request_id: context.request_id,
            traceparent: context.traceparent,
            idempotency_key: None,
        }))
    }
}

impl Api {
    fn account_to_seal(&self, reader: &Reader, id: AccountId) -> Result<AccountRow, Problem> {
        self.ask(|index| reader.sealable(index.account(&AccountRef::Id(id))).cloned())
    }

    /// The statement of an account whose period ends at a time.
    fn sealed_until(
        &self,
        account: &AccountRow,
        until: Timestamp,
        cut: Cut,
    ) -> Result<Option<StatementRow>, Problem> {
        self.ask(|index| {
            let found = index.statement_until(account, until, cut, self.config.examined_max);
            found.map_err(|error| problem::internal(&error))?.map_err(problem::too_many)
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    before: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
}

/// The heads of an account's statements, latest first. Needs `ledger:read` for its path.
pub(super) async fn list(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let limit = api.limit(listing.limit.as_deref())?;
    let before: Option<u32> = parameter("before", listing.before.as_deref())?;
    let cut = api.cut(listing.at_least.as_deref(), listing.as_of.as_deref()).await?;
    let page = api.about(&reader, id, cut, |index, account| {
        let page = index.statements(account, before, cut, limit);
        let page = page.map_err(|error| problem::internal(&error))?;
        Ok(PageBody::of(page, |row| HeadBody::of(account, &row), |number| number.to_string()))
    })?;
    Ok(answer(cut, page))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    format: Option<String>,
    at_least: Option<String>,
}

/// A statement with its lines: JSON, or what `format` or `Accept` ask for. It says the same for ever. Needs `ledger:read`
/// for the account's path.
pub(super) async fn get(
    reader: Reader,
    State(api): State<Api>,
    Path((id, number)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let number: u32 = number.parse().map_err(problem::invalid_path)?;
    let format = Format::of(asked.format.as_deref(), &headers)?;
    let cut = api.cut(asked.at_least.as_deref(), None).await?;
    let account = api.account(&reader, id, cut)?;
    let (row, lines) = api.ask(|index| {
        let internal = |error| problem::internal(&error);
        let row = index.statement(&account, number, cut).map_err(internal)?;
        let row = row.ok_or_else(|| Problem::new(&problem::STATEMENT_NOT_FOUND))?;
        let lines = index.lines_of(&account, &row, api.config.statement_lines_max);
        let lines = lines.map_err(internal)?.map_err(problem::too_many)?;
        let lines = lines.ok_or_else(|| {
            tracing::error!(account = %account.id, number, "a statement is not what was sealed");
            Problem::new(&problems::INTERNAL)
        })?;
        Ok((row, lines))
    })?;
    let told = Told { account, row, lines };
    if format == Format::Camt053 {
        camt053::check(&told)?;
    }
    Ok(with_position(cut, api.tell(told, format)))
}

/// What a statement is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Camt053,
}

impl Format {
    fn of(asked: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match asked {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("camt.053") => Ok(Self::Camt053),
            Some(_) => Err(problem::invalid_parameter("format", "must be json, csv or camt.053")),
            None => {
                let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                let mut types = accept.unwrap_or_default().split(',').map(|one| {
                    one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
                });
                Ok(types
                    .find_map(|media_type| Self::of_media_type(&media_type))
                    .unwrap_or(Self::Json))
            }
        }
    }

    fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json" => Some(Self::Json),
            "text/csv" => Some(Self::Csv),
            "application/xml" | "text/xml" => Some(Self::Camt053),
            _ => None,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Camt053 => "application/xml",
        }
    }
}
