//! Posting and voiding pending sets, and reversing sets.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use lombard_chassis::{Context, Json, Path, Problem, Query};
use lombard_ledger_core::{AccountRef, NewTransfer, RecordedTransfer, TransferFlags, TransferKind};
use lombard_types::{Scale, Timestamp, TransferId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::{
        Api,
        authority::{Caller, Right},
        body::Decimal,
        idempotency::IdempotencyKey,
    },
    Request, Stored, Trying,
    request::{Asked, amount, note},
};
use crate::problem;

/// What is asked of another set: all of it where no amount is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct About {
    pub(crate) id: Option<String>,
    /// Of a set of one transfer.
    pub(crate) amount: Option<Decimal>,
    /// Of each transfer of a larger set.
    pub(crate) amounts: Option<Vec<Decimal>>,
    pub(crate) code: u16,
    pub(crate) effective_at: Option<String>,
    pub(crate) override_lock: bool,
    pub(crate) external_id: Option<String>,
    pub(crate) metadata: Option<Box<RawValue>>,
}

/// Posts a pending set: all of it, or the amounts that are given. Needs `ledger:post` or `ledger:write` for its debit
/// accounts.
pub(crate) async fn post_pending(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Query(trying): Query<Trying>,
    Json(body): Json<About>,
) -> Result<Response, Problem> {
    body.carry_out(&api, &caller, (context, key), Action::Post, &id, trying.dry_run).await
}

/// Voids a pending set. Needs `ledger:void` or `ledger:write` for its debit accounts.
pub(crate) async fn void_pending(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Query(trying): Query<Trying>,
    Json(body): Json<About>,
) -> Result<Response, Problem> {
    body.carry_out(&api, &caller, (context, key), Action::Void, &id, trying.dry_run).await
}

/// Reverses a set that moved money: what is left of it, or the amounts that are given. Needs `ledger:reverse` or
/// `ledger:write` for the accounts that it credited, which are now debited.
pub(crate) async fn reverse(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Query(trying): Query<Trying>,
    Json(body): Json<About>,
) -> Result<Response, Problem> {
    body.carry_out(&api, &caller, (context, key), Action::Reverse, &id, trying.dry_run).await
}

/// What is done with another set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Post,
    Void,
    Reverse,
}

impl Action {
    const fn right(self) -> Right {
        match self {
            Self::Post => Right::Post,
            Self::Void => Right::Void,
            Self::Reverse => Right::Reverse,
        }
    }

    const fn kind(self, other: TransferId) -> TransferKind {
        match self {
            Self::Post => TransferKind::Post { pending: other },
            Self::Void => TransferKind::Void { pending: other },
            Self::Reverse => TransferKind::Reversal { of: other },
        }
    }

    /// The other set, after it was made sure that the caller may do this with it.
    pub(crate) async fn permitted(
        self,
        api: &Api,
        caller: &Caller,
        other: TransferId,
    ) -> Result<Stored, Problem> {
        let stored = permitted(api, caller, other, self.right()).await?;
        stored.ok_or_else(|| Problem::new(&problem::TRANSFER_NOT_FOUND))
    }
}

/// The set with an id, if the caller may do this with it; `None` where there is none and the caller may know.
pub(crate) async fn permitted(
    api: &Api,
    caller: &Caller,
    id: TransferId,
    right: Right,
) -> Result<Option<Stored>, Problem> {
    caller.may_anywhere(right)?;
    let Some(stored) = api.find_stored(id).await? else {
        caller.may_book(right)?;
        return Ok(None);
    };
    for recorded in stored.set()?.recorded {
        let id = match right {
            Right::Reverse => recorded.transfer.credit_account,
            _ => recorded.transfer.debit_account,
        };
        match api.account_named(&AccountRef::Id(id)).await? {
            Some((_, path)) => caller.may(right, &path)?,
            None => caller.may_book(right)?,
        }
    }
    Ok(Some(stored))
}

impl About {
    async fn carry_out(
        self,
        api: &Api,
        caller: &Caller,
        (context, key): (Context, IdempotencyKey),
        action: Action,
        other: &str,
        is_dry_run: bool,
    ) -> Result<Response, Problem> {
        caller.may_anywhere(action.right())?;
        let other = action.permitted(api, caller, other.parse().map_err(problem::invalid_path)?);
        let other = other.await?;
        let chosen_id: Option<TransferId> = self
            .id
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| problem::invalid_field("id", error))?;
        let (id, held) = api.in_progress.id_of(chosen_id, &key, caller)?;
        let asked = self.ask(api, caller, id, action, &other).await?;
        let request = Request { caller, context, key, held };
        request.carry_out(api, asked, is_dry_run).await
    }

    /// What is asked of the writer. `other` is the set that it is about.
    pub(crate) async fn ask(
        &self,
        api: &Api,
        caller: &Caller,
        id: TransferId,
        action: Action,
        other: &Stored,
    ) -> Result<Asked, Problem> {
        if action == Action::Void && (self.amount.is_some() || self.amounts.is_some()) {
            return Err(problem::invalid_field("amount", "a void is always of the whole"));
        }
        if self.override_lock {
            caller.may_book(Right::OverrideLock)?;
        }
        let mut note = note(api, self.metadata.as_deref(), self.external_id.as_deref())?;
        let facts = other.set()?.recorded;
        let transfers = self.transfers(api, id, action.kind(other.id), facts).await?;
        if action == Action::Reverse {
            note.reversed = facts.into();
        }
        Ok(Asked { id, transfers, note })
    }

    async fn transfers(
        &self,
        api: &Api,
        id: TransferId,
        kind: TransferKind,
        facts: &[RecordedTransfer],
    ) -> Result<Vec<NewTransfer>, Problem> {
        let effective_at: Option<Timestamp> = self
            .effective_at
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| problem::invalid_field("effective_at", error))?;
        let override_lock = match self.override_lock {
            true => TransferFlags::OVERRIDES_LOCK,
            false => TransferFlags::default(),
        };
        let whole = NewTransfer {
            code: self.code,
            effective_at,
            flags: TransferFlags::WHOLE.with(override_lock),
            ..NewTransfer::whole(id, kind)
        };
        let amounts: Vec<&Decimal> = match (&self.amount, &self.amounts) {
            (None, None) => return Ok(vec![whole]),
            (Some(amount), None) => vec![amount],
            (None, Some(amounts)) => amounts.iter().collect(),
            (Some(_), Some(_)) => {
                return Err(problem::invalid_field("amounts", "give amount or amounts, not both"));
            }
        };
        if amounts.len() != facts.len() {
            let count = facts.len();
            let expected = format!("the set has {count} transfers: give {count} amounts");
            return Err(problem::invalid_field("amounts", expected));
        }
        let mut transfers = Vec::with_capacity(facts.len());
        for (number, (decimal, recorded)) in amounts.into_iter().zip(facts).enumerate() {
            let scale = scale(api, recorded).await?;
            let linked = match number + 1 == facts.len() {
                true => TransferFlags::default(),
                false => TransferFlags::LINKED,
            };
            transfers.push(NewTransfer {
                amount: amount("amount", decimal, scale)?,
                flags: override_lock.with(linked),
                ..whole
            });
        }
        Ok(transfers)
    }
}

/// The scale of what a transfer moved. Its accounts are older than it is.
async fn scale(api: &Api, recorded: &RecordedTransfer) -> Result<Scale, Problem> {
    let name = AccountRef::Id(recorded.transfer.debit_account);
    let asked = api.writer.query(move |machine| {
        let account = machine.book().account(&name)?;
        Some(machine.book().asset_of(account).scale)
    });
    let (scale, _) = asked.await.map_err(problem::from_query_error)?;
    scale.ok_or_else(super::unexpected_reply)
}
