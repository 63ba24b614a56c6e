//! `/v1/ledger/accounts`.

use std::sync::Arc;

use axum::extract::State;
use lombard_chassis::{Context, Json, Path, Problem};
use lombard_ledger_api::{AccountBody, AccountParts, Answer, SideBody};
use lombard_ledger_core::{
    AccountIdentity, AccountRef, Balance, Command, NameAccount, OpenAccount, Reply,
};
use lombard_types::{AccountId, AccountPath, Scale};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Api,
    authority::{Caller, Right},
    body::Decimal,
    evidence,
    idempotency::{IdempotencyKey, OptionalIdempotencyKey},
};
use crate::problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    id: Option<String>,
    path: String,
    asset: String,
    #[serde(default = "credit")]
    normal_side: SideBody,
    #[serde(default)]
    floor: Floor,
    ceiling: Option<Decimal>,
}

/// What a customer's account is: money that one owes.
fn credit() -> SideBody {
    SideBody::Credit
}

/// Absent means zero, and null that there is none.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a decimal string such as \"-100.00\", or null for none")]
enum Floor {
    At(Decimal),
    None,
}

impl Default for Floor {
    fn default() -> Self {
        Self::At(Decimal::Text("0".to_owned()))
    }
}

impl Floor {
    fn parse(&self, scale: Scale) -> Result<Option<Balance>, Problem> {
        match self {
            Self::At(decimal) => limit("floor", decimal, scale).map(Some),
            Self::None => Ok(None),
        }
    }
}

fn limit(field: &'static str, decimal: &Decimal, scale: Scale) -> Result<Balance, Problem> {
    Balance::parse(decimal.text(field)?, scale)
        .map_err(|error| problem::from_parse_amount_error(field, error))
}

/// Opens an account. 201, or 200 where it was open. Needs `ledger:write` for the path.
pub(super) async fn open(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Json(body): Json<NewAccount>,
) -> Result<Answer<AccountBody>, Problem> {
    caller.write_anything()?;
    let path: AccountPath =
        body.path.parse().map_err(|error| problem::invalid_field("path", error))?;
    caller.write(&path)?;
    let asset = body.asset.parse().map_err(|error| problem::invalid_field("asset", error))?;
    let scale = api.scale_of(&asset).await?;
    let floor = body.floor.parse(scale)?;
    let ceiling =
        body.ceiling.as_ref().map(|ceiling| limit("ceiling", ceiling, scale)).transpose()?;
    let identity = match &body.id {
        Some(id) => AccountIdentity::Chosen(
            id.parse().map_err(|error| problem::invalid_field("id", error))?,
        ),
        None => AccountIdentity::Fresh(fresh_id()),
    };
    let normal_side = body.normal_side.into();
    let evidence = evidence::of(&caller, context, key);
    let command = OpenAccount { identity, path, asset, normal_side, floor, ceiling, evidence };
    let done = api.submit(Command::OpenAccount(command)).await?;
    let (id, body) = account_body(done.reply)?;
    let location = format!("/v1/ledger/accounts/{id}");
    Ok(if done.is_new {
        Answer::created(done.position, location, body)
    } else {
        Answer::ok(Some(done.position), body)
    })
}

fn account_body(reply: Reply) -> Result<(AccountId, AccountBody), Problem> {
    let Reply::Account(account, asset) = reply else {
        return Err(super::unexpected_reply());
    };
    let body = AccountBody::from(AccountParts {
        id: account.id,
        path: &account.path,
        asset: &asset,
        normal_side: account.normal_side,
        floor: account.floor,
        ceiling: account.ceiling,
        is_closed: account.is_closed,
        version: account.version,
        totals: &account.totals,
    });
    Ok((account.id, body))
}

/// Lets an account take no more transfers. Needs `ledger:close` or `ledger:write` for its path.
pub(super) async fn close(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Path(id): Path<String>,
) -> Result<Answer<AccountBody>, Problem> {
    change(&api, caller, context, key, &id, Command::CloseAccount).await
}

/// Lets an account take transfers again. Needs `ledger:close` or `ledger:write` for its path.
pub(super) async fn reopen(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Path(id): Path<String>,
) -> Result<Answer<AccountBody>, Problem> {
    change(&api, caller, context, key, &id, Command::ReopenAccount).await
}

async fn change(
    api: &Api,
    caller: Caller,
    context: Context,
    key: Option<IdempotencyKey>,
    id: &str,
    command: fn(NameAccount) -> Command,
) -> Result<Answer<AccountBody>, Problem> {
    caller.may_anywhere(Right::Close)?;
    let account = AccountRef::Id(id.parse().map_err(problem::invalid_path)?);
    match api.account_named(&account).await? {
        Some((_, path)) => caller.may(Right::Close, &path)?,
        None => caller.may_book(Right::Close)?,
    }
    let evidence = evidence::of(&caller, context, key);
    let done = api.submit(command(NameAccount { account, evidence })).await?;
    let (_, body) = account_body(done.reply)?;
    Ok(Answer::ok(Some(done.position), body))
}

#[expect(
    clippy::expect_used,
    reason = "the version and variant bits make it neither all zeros nor all ones"
)]
fn fresh_id() -> AccountId {
    AccountId::try_from(Uuid::now_v7()).expect("a UUIDv7 is an id")
}
