//! A posting set as JSON, and what is asked of the writer by it.

use lombard_chassis::Problem;
use lombard_ledger_core::{
    AccountRef, Balance, Check, Condition, EntrySide, ExternalId, NewNote, NewTransfer,
    Reservation, TransferFlags, TransferKind, UserData,
};
use lombard_types::{AccountId, AccountPath, Amount, AssetCode, Scale, Timestamp, TransferId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{
    Api,
    authority::{Caller, Right},
    body::{AccountName, Decimal},
    metadata,
};
use crate::problem;

/// A posting set: one transfer with its fields at the top, or several in `transfers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSet {
    pub(crate) id: Option<String>,
    pub(crate) transfers: Option<Vec<NewLeg>>,
    pub(crate) debit_account: Option<AccountName>,
    pub(crate) credit_account: Option<AccountName>,
    pub(crate) asset: Option<String>,
    pub(crate) amount: Option<Decimal>,
    pub(crate) user_data: Option<UserDataBody>,
    pub(crate) balancing: Option<Balancing>,
    #[serde(default)]
    pub(crate) conditions: Vec<ConditionBody>,
    #[serde(default)]
    pub(crate) code: u16,
    pub(crate) effective_at: Option<String>,
    pub(crate) pending: Option<PendingBody>,
    #[serde(default)]
    pub(crate) imported: bool,
    #[serde(default)]
    pub(crate) override_lock: bool,
    pub(crate) external_id: Option<String>,
    pub(crate) metadata: Option<Box<RawValue>>,
}

/// One transfer of several.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLeg {
    pub(crate) debit_account: AccountName,
    pub(crate) credit_account: AccountName,
    pub(crate) asset: String,
    pub(crate) amount: Decimal,
    pub(crate) code: Option<u16>,
    pub(crate) user_data: Option<UserDataBody>,
    pub(crate) balancing: Option<Balancing>,
    #[serde(default)]
    pub(crate) conditions: Vec<ConditionBody>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Balancing {
    Debit,
    Credit,
    Both,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PendingBody {
    pub(crate) timeout_seconds: u32,
    pub(crate) allowance: Option<Decimal>,
    pub(crate) scheduled: bool,
}

/// Numbers beyond 53 bits do not survive JSON in many programs: decimal strings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UserDataBody {
    pub(crate) data_128: Option<String>,
    pub(crate) data_64: Option<String>,
    pub(crate) data_32: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionBody {
    pub(crate) account: ConditionSide,
    pub(crate) available_at_least: Option<Decimal>,
    pub(crate) available_at_most: Option<Decimal>,
    pub(crate) posted_at_least: Option<Decimal>,
    pub(crate) posted_at_most: Option<Decimal>,
    pub(crate) version: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConditionSide {
    Debit,
    Credit,
}

/// A row of a table of history.
#[derive(Debug)]
pub(crate) struct ImportedRow {
    pub(crate) id: String,
    pub(crate) debit_account: AccountName,
    pub(crate) credit_account: AccountName,
    pub(crate) asset: String,
    pub(crate) amount: Decimal,
    pub(crate) effective_at: String,
    pub(crate) code: u16,
    pub(crate) external_id: Option<String>,
    pub(crate) metadata: Option<Box<RawValue>>,
}

/// What goes to the writer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: TransferId,
    pub(crate) transfers: Vec<NewTransfer>,
    pub(crate) note: NewNote,
}

/// The fields of one transfer, wherever they stood.
struct LegFields<'a> {
    debit_account: &'a AccountName,
    credit_account: &'a AccountName,
    asset: &'a str,
    amount: &'a Decimal,
    code: u16,
    user_data: Option<&'a UserDataBody>,
    balancing: Option<Balancing>,
    conditions: &'a [ConditionBody],
}

impl NewSet {
    /// A set of one transfer that happened elsewhere.
    pub(crate) fn imported(row: ImportedRow) -> Self {
        Self {
            id: Some(row.id),
            transfers: None,
            debit_account: Some(row.debit_account),
            credit_account: Some(row.credit_account),
            asset: Some(row.asset),
            amount: Some(row.amount),
            user_data: None,
            balancing: None,
            conditions: Vec::new(),
            code: row.code,
            effective_at: Some(row.effective_at),
            pending: None,
            imported: true,
            override_lock: false,
            external_id: row.external_id,
            metadata: row.metadata,
        }
    }

    /// The same set as one that happened elsewhere.
    pub(crate) fn into_imported(self) -> Self {
        Self { imported: true, ..self }
    }

    pub(crate) fn chosen_id(&self) -> Result<Option<TransferId>, Problem> {
        let id = self.id.as_deref().map(str::parse).transpose();
        id.map_err(|error| problem::invalid_field("id", error))
    }

    /// What is asked of the writer, after it was made sure that the caller may ask for it.
    pub(crate) async fn ask(
        &self,
        api: &Api,
        caller: &Caller,
        id: TransferId,
    ) -> Result<Asked, Problem> {
        if self.imported {
            caller.may_book(Right::Import)?;
        }
        if self.override_lock {
            caller.may_book(Right::OverrideLock)?;
        }
        let legs = self.legs()?;
        let mut transfers = Vec::with_capacity(legs.len());
        let mut note = self.note(api)?;
        let (mut assets, mut conditions) = (Vec::new(), Vec::new());
        let effective_at: Option<Timestamp> = self
            .effective_at
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| problem::invalid_field("effective_at", error))?;
        for (number, leg) in (0u16..).zip(&legs) {
            let debit = account(api, leg.debit_account, "debit_account").await?;
            let credit = account(api, leg.credit_account, "credit_account").await?;
            note.authority = caller.debit(api, debit.path.as_ref(), credit.path.as_ref()).await?;
            let code: AssetCode =
                leg.asset.parse().map_err(|error| problem::invalid_field("asset", error))?;
            let scale = api.scale_of(&code).await?;
            assets.push(code);
            for condition in leg.conditions {
                conditions.push(condition.parse(number, scale)?);
            }
            let is_last = usize::from(number) + 1 == legs.len();
            transfers.push(NewTransfer {
                id,
                debit_account: debit.id,
                credit_account: credit.id,
                amount: amount("amount", leg.amount, scale)?,
                kind: self.kind(scale)?,
                user_data: leg.user_data.map(UserDataBody::parse).transpose()?.unwrap_or_default(),
                code: leg.code,
                effective_at,
                flags: self.flags(leg, is_last),
            });
        }
        (note.assets, note.conditions) = (assets.into(), conditions.into());
        Ok(Asked { id, transfers, note })
    }

    fn legs(&self) -> Result<Vec<LegFields<'_>>, Problem> {
        let top = (&self.debit_account, &self.credit_account, &self.asset, &self.amount);
        let (debit_account, credit_account, asset, amount) = match (&self.transfers, top) {
            (Some(legs), (None, None, None, None))
                if self.user_data.is_none()
                    && self.balancing.is_none()
                    && self.conditions.is_empty()
                    && !legs.is_empty() =>
            {
                return Ok(legs.iter().map(|leg| leg.fields(self.code)).collect());
            }
            (None, (Some(debit), Some(credit), Some(asset), Some(amount))) => {
                (debit, credit, asset, amount)
            }
            (Some(_), _) => {
                return Err(problem::invalid_field(
                    "transfers",
                    "must have a transfer at least, and the fields of transfers belong inside",
                ));
            }
            (None, (debit, credit, asset, _)) => {
                let missing = match () {
                    () if debit.is_none() => "debit_account",
                    () if credit.is_none() => "credit_account",
                    () if asset.is_none() => "asset",
                    () => "amount",
                };
                return Err(problem::invalid_field(missing, "is missing"));
            }
        };
        Ok(vec![LegFields {
            debit_account,
            credit_account,
            asset,
            amount,
            code: self.code,
            user_data: self.user_data.as_ref(),
            balancing: self.balancing,
            conditions: &self.conditions,
        }])
    }

    fn kind(&self, scale: Scale) -> Result<TransferKind, Problem> {
        let Some(PendingBody { timeout_seconds, allowance, scheduled }) = &self.pending else {
            return Ok(TransferKind::Single);
        };
        let allowance = match allowance {
            Some(allowance) => amount("allowance", allowance, scale)?,
            None => Amount::ZERO,
        };
        Ok(TransferKind::Pending(Reservation {
            timeout_seconds: *timeout_seconds,
            allowance,
            is_scheduled: *scheduled,
        }))
    }

    fn flags(&self, leg: &LegFields<'_>, is_last: bool) -> TransferFlags {
        use TransferFlags as F;
        let balancing = match leg.balancing {
            None => F::default(),
            Some(Balancing::Debit) => F::BALANCING_DEBIT,
            Some(Balancing::Credit) => F::BALANCING_CREDIT,
            Some(Balancing::Both) => F::BALANCING_DEBIT.with(F::BALANCING_CREDIT),
        };
        let if_set = |is_set: bool, flag: F| if is_set { flag } else { F::default() };
        balancing
            .with(if_set(!is_last, F::LINKED))
            .with(if_set(self.imported, F::IMPORTED))
            .with(if_set(self.override_lock, F::OVERRIDES_LOCK))
    }

    fn note(&self, api: &Api) -> Result<NewNote, Problem> {
        note(api, self.metadata.as_deref(), self.external_id.as_deref())
    }
}

impl NewLeg {
    fn fields(&self, code: u16) -> LegFields<'_> {
        LegFields {
            debit_account: &self.debit_account,
            credit_account: &self.credit_account,
            asset: &self.asset,
            amount: &self.amount,
            code: self.code.unwrap_or(code),
            user_data: self.user_data.as_ref(),
            balancing: self.balancing,
            conditions: &self.conditions,
        }
    }
}

impl UserDataBody {
    fn parse(&self) -> Result<UserData, Problem> {
        let invalid = |name: &'static str| {
            move |_| problem::invalid_field(name, "must be a whole number as a decimal string")
        };
        let data_128 = self.data_128.as_deref().map_or(Ok(0), str::parse);
        let data_64 = self.data_64.as_deref().map_or(Ok(0), str::parse);
        Ok(UserData {
            data_128: data_128.map_err(invalid("data_128"))?,
            data_64: data_64.map_err(invalid("data_64"))?,
            data_32: self.data_32.unwrap_or(0),
        })
    }
}

impl ConditionBody {
    fn parse(&self, transfer: u16, scale: Scale) -> Result<Condition, Problem> {
        let balance = |decimal: &Decimal| {
            Balance::parse(decimal.text("conditions")?, scale)
                .map_err(|error| problem::from_parse_amount_error("conditions", error))
        };
        let Self {
            account,
            available_at_least,
            available_at_most,
            posted_at_least,
            posted_at_most,
            version,
        } = self;
        let check =
            match (available_at_least, available_at_most, posted_at_least, posted_at_most, version)
            {
                (Some(least), None, None, None, None) => Check::AvailableAtLeast(balance(least)?),
                (None, Some(most), None, None, None) => Check::AvailableAtMost(balance(most)?),
                (None, None, Some(least), None, None) => Check::PostedAtLeast(balance(least)?),
                (None, None, None, Some(most), None) => Check::PostedAtMost(balance(most)?),
                (None, None, None, None, Some(version)) => Check::Version(
                    version.parse().map_err(|error| problem::invalid_field("version", error))?,
                ),
                _ => return Err(problem::invalid_field("conditions", "each must say one thing")),
            };
        let side = match account {
            ConditionSide::Debit => EntrySide::Debit,
            ConditionSide::Credit => EntrySide::Credit,
        };
        Ok(Condition { transfer, side, check })
    }
}

/// What a set carries besides, as far as every kind of request has it.
pub(super) fn note(
    api: &Api,
    json: Option<&RawValue>,
    external_id: Option<&str>,
) -> Result<NewNote, Problem> {
    let external_id = external_id.map(ExternalId::new).transpose();
    Ok(NewNote {
        metadata: metadata::parse(json, api.config.metadata_bytes_max)?,
        external_id: external_id.map_err(|error| problem::invalid_field("external_id", error))?,
        ..NewNote::default()
    })
}

pub(super) fn amount(
    field: &'static str,
    decimal: &Decimal,
    scale: Scale,
) -> Result<Amount, Problem> {
    Amount::parse(decimal.text(field)?, scale)
        .map_err(|error| problem::from_parse_amount_error(field, error))
}

/// An account that a request names. Without an id it does not exist; without a path it was named by an id that is none.
struct Named {
    id: Option<AccountId>,
    path: Option<AccountPath>,
}

async fn account(api: &Api, name: &AccountName, field: &'static str) -> Result<Named, Problem> {
    let name = name.parse(field)?;
    let found = api.account_named(&name).await?;
    Ok(match (found, name) {
        (Some((id, path)), _) => Named { id: Some(id), path: Some(path) },
        (None, AccountRef::Path(path)) => Named { id: None, path: Some(path) },
        // The writer tells that there is none; the caller must be one who may know.
        (None, AccountRef::Id(id)) => Named { id: Some(id), path: None },
    })
}
