//! The stored form of the ledger's events. What any released version has written is read for ever: a layout is never
//! changed, only followed by a new version of its kind.
//!
//! ```text
//!  event                 kind u8 | version u8 | fields
//!  1 asset created       v1: code text | scale u8 | evidence
//!  2 account opened      v1: id u128 | path text | asset text | side u8 | limit: floor | limit: ceiling | evidence
//!  3 transfers           v1: evidence | count u32 | transfers, 128 bytes each | count u32 | notes
//!  4 pendings ended      v1: count u32 | each: id u128 | time u64 | 0 expired, 1 posted
//!  5 account closed      v1: id u128 | evidence
//!  6 account reopened    v1: id u128 | evidence
//!  7 chart rule set      v1: rule | evidence
//!  8 chart rule removed  v1: prefix text | evidence
//!  9 period locked       v1: name text | from u64 | until u64 | evidence
//!  10 period unlocked    v1: name text | evidence
//!  11 statement sealed   v1: account u128 | number u32 | from u64 | until u64 | end u64 | balance: opening | balance:
//!                        closing | count of lines u64 | SHA-256 of lines, 32 bytes | evidence
//!
//!  text       length (LEB128) | UTF-8
//!  side       0 debit, 1 credit
//!  balance    1 zero or more, 2 below zero | magnitude u128
//!  limit      0 none, or a balance
//!  rule       prefix text | 1 open, 0 not | side u8, 2 any | count u16 | assets text each | limit: least floor
//!  note       set u32, ascending | metadata text | external id text, empty for none | count u16 | conditions |
//!             0 or 1 and authority: id u128 | use u32
//!  condition  transfer u16 | side u8 | 1 available at least, 2 at most, 3 posted at least, 4 at most: balance, or
//!             5 version: u64
//!  evidence   command id u128 | client id, subject, token id, request id, traceparent, idempotency key: text each, the
//!             last two empty where there is none
//! ```
//! Numbers are little endian, times nanoseconds since 1970. The transfer's 128 bytes are drawn in `transfer.rs`.

mod account;
mod note;
mod rules;
pub(crate) mod snapshot;
mod statement;
pub(crate) mod transfer;
mod transfers;

use std::{str::FromStr, sync::Arc};

use lombard_engine::{
    Codec, DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{Balance, Event, Evidence, NormalSide};
use lombard_types::{Scale, Timestamp};

const ASSET_CREATED: u8 = 1;
const ACCOUNT_OPENED: u8 = 2;
const TRANSFERS: u8 = 3;
const PENDINGS_ENDED: u8 = 4;
const ACCOUNT_CLOSED: u8 = 5;
const ACCOUNT_REOPENED: u8 = 6;
const CHART_RULE_SET: u8 = 7;
const CHART_RULE_REMOVED: u8 = 8;
const PERIOD_LOCKED: u8 = 9;
const PERIOD_UNLOCKED: u8 = 10;
const STATEMENT_SEALED: u8 = 11;
const VERSION_1: u8 = 1;

/// Encodes and decodes [`Event`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCodec;

impl Codec for EventCodec {
    type Event = Event;

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut writer = Writer(out);
        writer.put(&[kind_of(event), VERSION_1]);
        match event {
            Event::AssetCreated { code, scale, .. } => {
                writer.text(code.as_str());
                writer.put(&[scale.digits()]);
            }
            Event::AccountOpened { .. } => account::put_opened(&mut writer, event),
            Event::AccountClosed { id, .. } | Event::AccountReopened { id, .. } => {
                writer.put(&id.as_u128().to_le_bytes());
            }
            Event::ChartRuleSet { rule, .. } => rules::put_chart_rule(&mut writer, rule),
            Event::ChartRuleRemoved { prefix, .. } => writer.text(prefix.as_str()),
            Event::PeriodLocked { lock, .. } => rules::put_period_lock(&mut writer, lock),
            Event::PeriodUnlocked { name, .. } => writer.text(name.as_str()),
            Event::StatementSealed { statement, .. } => statement::put(&mut writer, statement),
            Event::Transfers(transfers) => return transfers::put(&mut writer, transfers),
            Event::PendingsEnded(ended) => return transfers::put_ended(&mut writer, ended),
        }
        if let Some(evidence) = event.evidence() {
            put_evidence(&mut writer, evidence);
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut fields = Reader(bytes);
        let event = match fields.array()? {
            [ASSET_CREATED, VERSION_1] => Event::AssetCreated {
                code: parse(fields.text()?)?,
                scale: Scale::new(fields.byte()?).map_err(|_| DecodeError("scale"))?,
                evidence: evidence(&mut fields)?,
            },
            [ACCOUNT_OPENED, VERSION_1] => account::opened(&mut fields)?,
            [ACCOUNT_CLOSED, VERSION_1] => Event::AccountClosed {
                id: account::id(&mut fields)?,
                evidence: evidence(&mut fields)?,
            },
            [ACCOUNT_REOPENED, VERSION_1] => Event::AccountReopened {
                id: account::id(&mut fields)?,
                evidence: evidence(&mut fields)?,
            },
            [CHART_RULE_SET, VERSION_1] => Event::ChartRuleSet {
                rule: rules::chart_rule(&mut fields)?,
                evidence: evidence(&mut fields)?,
            },
            [CHART_RULE_REMOVED, VERSION_1] => Event::ChartRuleRemoved {
                prefix: parse(fields.text()?)?,
                evidence: evidence(&mut fields)?,
            },
            [PERIOD_LOCKED, VERSION_1] => Event::PeriodLocked {
                lock: rules::period_lock(&mut fields)?,
                evidence: evidence(&mut fields)?,
            },
            [PERIOD_UNLOCKED, VERSION_1] => Event::PeriodUnlocked {
                name: rules::lock_name(&mut fields)?,
                evidence: evidence(&mut fields)?,
            },
            [STATEMENT_SEALED, VERSION_1] => Event::StatementSealed {
                statement: Box::new(statement::take(&mut fields)?),
                evidence: evidence(&mut fields)?,
            },
            [TRANSFERS, VERSION_1] => Event::Transfers(Arc::new(transfers::take(&mut fields)?)),
            [PENDINGS_ENDED, VERSION_1] => Event::PendingsEnded(transfers::ended(&mut fields)?),
            _ => return Err(DecodeError("unknown kind or version of event")),
        };
        fields.end()?;
        Ok(event)
    }
}

const fn kind_of(event: &Event) -> u8 {
    match event {
        Event::AssetCreated { .. } => ASSET_CREATED,
        Event::AccountOpened { .. } => ACCOUNT_OPENED,
        Event::AccountClosed { .. } => ACCOUNT_CLOSED,
        Event::AccountReopened { .. } => ACCOUNT_REOPENED,
        Event::ChartRuleSet { .. } => CHART_RULE_SET,
        Event::ChartRuleRemoved { .. } => CHART_RULE_REMOVED,
        Event::PeriodLocked { .. } => PERIOD_LOCKED,
        Event::PeriodUnlocked { .. } => PERIOD_UNLOCKED,
        Event::StatementSealed { .. } => STATEMENT_SEALED,
        Event::Transfers(_) => TRANSFERS,
        Event::PendingsEnded(_) => PENDINGS_ENDED,
    }
}

fn parse<T: FromStr>(text: &str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError("a name is not of its grammar"))
}

const fn side_code(side: NormalSide) -> u8 {
    match side {
        NormalSide::Debit => 0,
        NormalSide::Credit => 1,
    }
}

const fn side(code: u8) -> Result<NormalSide, DecodeError> {
    match code {
        0 => Ok(NormalSide::Debit),
        1 => Ok(NormalSide::Credit),
        _ => Err(DecodeError("normal side")),
    }
}

fn put_limit(writer: &mut Writer<'_>, limit: Option<Balance>) {
    match limit {
        None => writer.put(&[0]),
        Some(limit) => put_balance(writer, limit),
    }
}

fn limit(fields: &mut Reader<'_>) -> Result<Option<Balance>, DecodeError> {
    match fields.byte()? {
        0 => Ok(None),
        sign => magnitude(sign, fields).map(Some),
    }
}

fn put_balance(writer: &mut Writer<'_>, balance: Balance) {
    writer.put(&[if balance.is_negative() { 2 } else { 1 }]);
    writer.put(&balance.magnitude().to_le_bytes());
}

fn balance(fields: &mut Reader<'_>) -> Result<Balance, DecodeError> {
    let sign = fields.byte()?;
    magnitude(sign, fields)
}

fn magnitude(sign: u8, fields: &mut Reader<'_>) -> Result<Balance, DecodeError> {
    let is_negative = match sign {
        1 => false,
        2 => true,
        _ => return Err(DecodeError("balance")),
    };
    let balance = Balance::new(is_negative, u128::from_le_bytes(fields.array()?));
    if balance.is_negative() != is_negative {
        return Err(DecodeError("a balance of minus zero"));
    }
    Ok(balance)
}

fn time(fields: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    let nanos = u64::from_le_bytes(fields.array()?);
    let time = Timestamp::from_unix_nanos(nanos);
    if time.unix_nanos() == nanos { Ok(time) } else { Err(DecodeError("time")) }
}

fn put_evidence(writer: &mut Writer<'_>, evidence: &Evidence) {
    writer.put(&evidence.command_id.to_le_bytes());
    writer.text(evidence.client_id.as_str());
    writer.text(&evidence.subject);
    writer.text(&evidence.token_id);
    writer.text(evidence.request_id.as_str());
    writer.text(evidence.traceparent.as_deref().unwrap_or_default());
    writer.text(evidence.idempotency_key.as_deref().unwrap_or_default());
}

fn evidence(reader: &mut Reader<'_>) -> Result<Arc<Evidence>, DecodeError> {
    let some = |text: &str| (!text.is_empty()).then(|| text.into());
    Ok(Arc::new(Evidence {
        command_id: u128::from_le_bytes(reader.array()?),
        client_id: parse(reader.text()?)?,
        subject: reader.text()?.into(),
        token_id: reader.text()?.into(),
        request_id: parse(reader.text()?)?,
        traceparent: some(reader.text()?),
        idempotency_key: some(reader.text()?),
    }))
}

#[cfg(test)]
mod tests;
