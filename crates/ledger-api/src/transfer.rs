//! A posting set as JSON.

use std::time::Duration;

use lombard_ledger_core::{
    Asset, Metadata, Note, Outcome, Recorded, Reservation, Transfer, TransferKind, UserData,
};
use lombard_types::{AccountPath, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{amount_text, position_text};

/// What has become of a pending transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingStatus {
    /// It is reserved.
    Pending,
    /// It was posted.
    Posted,
    /// It was voided.
    Voided,
    /// Its time passed.
    Expired,
}

/// A set of one transfer is that transfer; a larger one has a list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum SetBody {
    /// The only transfer of its set.
    One(Box<TransferBody>),
    /// All of them.
    Many {
        /// The set's id.
        id: String,
        /// What has become of it.
        status: &'static str,
        /// In the order in which they were asked for.
        transfers: Vec<TransferBody>,
    },
}

impl SetBody {
    /// `None` where there is no transfer.
    pub fn of(mut transfers: Vec<TransferBody>) -> Option<Self> {
        let first = transfers.first()?;
        if transfers.len() > 1 {
            let (id, status) = (first.id.clone(), first.status);
            return Some(Self::Many { id, status, transfers });
        }
        transfers.pop().map(|one| Self::One(Box::new(one)))
    }
}

/// A transfer, whatever became of it.
#[derive(Debug, Serialize)]
pub struct TransferBody {
    id: String,
    /// `single`, `pending`, `post`, `void` or `reversal`.
    kind: &'static str,
    /// `posted`, `refused`, `pending`, `voided` or `expired`.
    status: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    debit_account: String,
    debit_account_id: String,
    credit_account: String,
    credit_account_id: String,
    asset: String,
    amount: String,
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_data: Option<UserDataBody>,
    /// The transfer that it posts or voids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_id: Option<String>,
    /// The transfer that it reverses.
    #[serde(skip_serializing_if = "Option::is_none")]
    reverses: Option<String>,
    /// How much more than its amount may be posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it posts itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    posts_at: Option<String>,
    effective_at: String,
    recorded_at: String,
    /// The record of the log that holds it.
    position: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct UserDataBody {
    data_128: String,
    data_64: String,
    data_32: u32,
}

/// What makes a transfer's JSON.
#[derive(Clone, Copy, Debug)]
pub struct TransferParts<'a> {
    /// What was, or would have been, done.
    pub transfer: &'a Transfer,
    /// Whether it was.
    pub outcome: Outcome,
    /// What has become of it since, where it was pending.
    pub pending: Option<PendingStatus>,
    /// The account that is debited.
    pub debit_path: &'a AccountPath,
    /// The account that is credited.
    pub credit_path: &'a AccountPath,
    /// What is moved.
    pub asset: &'a Asset,
    /// Where and when.
    pub recorded: Recorded,
    /// What its set carries besides.
    pub note: Option<&'a Note>,
}

impl From<TransferParts<'_>> for TransferBody {
    fn from(parts: TransferParts<'_>) -> Self {
        let TransferParts {
            transfer,
            outcome,
            pending,
            debit_path,
            credit_path,
            asset,
            recorded,
            note,
        } = parts;
        let (status, result) = match outcome {
            Outcome::Created => (status(transfer.kind, pending), None),
            Outcome::Refused(refusal) => ("refused", Some(refusal.name())),
        };
        let reservation = match transfer.kind {
            TransferKind::Pending(reservation) => Some(reservation),
            _ => None,
        };
        let allowance = reservation.map(|reservation| reservation.allowance);
        let (pending_id, reverses) = match transfer.kind {
            TransferKind::Post { pending } | TransferKind::Void { pending } => {
                (Some(pending.to_string()), None)
            }
            TransferKind::Reversal { of } => (None, Some(of.to_string())),
            TransferKind::Single | TransferKind::Pending(_) => (None, None),
        };
        let effective_at = effective_at(transfer, recorded.time);
        Self {
            id: transfer.id.to_string(),
            kind: kind_name(transfer.kind),
            status,
            result,
            debit_account: debit_path.to_string(),
            debit_account_id: transfer.debit_account.to_string(),
            credit_account: credit_path.to_string(),
            credit_account_id: transfer.credit_account.to_string(),
            asset: asset.code.to_string(),
            amount: amount_text(transfer.amount, asset.scale),
            code: transfer.code,
            user_data: user_data(transfer.user_data),
            pending_id,
            reverses,
            allowance: allowance
                .filter(|allowance| !allowance.is_zero())
                .map(|allowance| amount_text(allowance, asset.scale)),
            expires_at: reservation.and_then(|reservation| expires_at(reservation, recorded)),
            posts_at: reservation
                .filter(|reservation| reservation.is_scheduled)
                .map(|_| effective_at.to_string()),
            effective_at: effective_at.to_string(),
            recorded_at: recorded.time.to_string(),
            position: position_text(recorded.position),
            external_id: note
                .and_then(|note| note.external_id.as_ref())
                .map(|id| id.as_str().to_owned()),
            metadata: note.and_then(|note| raw(&note.metadata)),
        }
    }
}

const fn status(kind: TransferKind, pending: Option<PendingStatus>) -> &'static str {
    match (kind, pending) {
        (TransferKind::Pending(_), None | Some(PendingStatus::Pending)) => "pending",
        (TransferKind::Pending(_), Some(PendingStatus::Voided))
        | (TransferKind::Void { .. }, _) => "voided",
        (TransferKind::Pending(_), Some(PendingStatus::Expired)) => "expired",
        _ => "posted",
    }
}

const fn kind_name(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Single => "single",
        TransferKind::Pending(_) => "pending",
        TransferKind::Post { .. } => "post",
        TransferKind::Void { .. } => "void",
        TransferKind::Reversal { .. } => "reversal",
    }
}

fn expires_at(reservation: Reservation, recorded: Recorded) -> Option<String> {
    let timeout = Duration::from_secs(u64::from(reservation.timeout_seconds));
    (!timeout.is_zero()).then(|| recorded.time.plus(timeout).to_string())
}

fn user_data(data: UserData) -> Option<UserDataBody> {
    (data != UserData::default()).then(|| UserDataBody {
        data_128: data.data_128.to_string(),
        data_64: data.data_64.to_string(),
        data_32: data.data_32,
    })
}

/// When a transfer counts.
pub fn effective_at(transfer: &Transfer, recorded_at: Timestamp) -> Timestamp {
    transfer.effective_at.unwrap_or(recorded_at)
}

/// The metadata as JSON to be put into an answer; `None` where there is none.
fn raw(metadata: &Metadata) -> Option<Box<RawValue>> {
    if metadata.as_str().is_empty() {
        return None;
    }
    match RawValue::from_string(metadata.as_str().to_owned()) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(%error, "recorded metadata is not JSON; it is left out of the answer");
            None
        }
    }
}
