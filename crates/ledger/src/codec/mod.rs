//! The stored form of the ledger's events. What any released version has written is read for ever: a layout is never
//! changed, only followed by a new version of its kind.
//!
//! ```text
//!  event            kind u8 | version u8 | fields
//!  1 asset created  v1: code text | scale u8 | evidence
//!  2 account opened v1: id u128 | path text | asset text | side u8 (0 debit, 1 credit) | floor | evidence
//!  3 transfer posted  v1: transfer, 128 bytes | metadata text | evidence
//!  4 transfer refused v1: transfer, 128 bytes | result u8 | metadata text | evidence
//!
//!  text      length (LEB128) | UTF-8
//!  floor     0 none, 1 zero or more, 2 below zero; unless none: magnitude u128
//!  evidence  command id u128 | client id, subject, token id, request id, traceparent, idempotency key: text each, the
//!            last two empty where there is none
//! ```
//! Numbers are little endian. The transfer's 128 bytes are drawn in `transfer.rs`.

mod snapshot;
mod transfer;

use std::{str::FromStr, sync::Arc};

use lombard_engine::{
    Codec, DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{Balance, Event, Evidence, Metadata, NormalSide, TransferRefusal};
use lombard_types::{AccountId, Scale};

const ASSET_CREATED: u8 = 1;
const ACCOUNT_OPENED: u8 = 2;
const TRANSFER_POSTED: u8 = 3;
const TRANSFER_REFUSED: u8 = 4;
const VERSION_1: u8 = 1;

/// Encodes and decodes [`Event`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCodec;

impl Codec for EventCodec {
    type Event = Event;

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut writer = Writer(out);
        match event {
            Event::AssetCreated { code, scale, evidence } => {
                writer.put(&[ASSET_CREATED, VERSION_1]);
                writer.text(code.as_str());
                writer.put(&[scale.digits()]);
                put_evidence(&mut writer, evidence);
            }
            Event::AccountOpened { id, path, asset, normal_side, floor, evidence } => {
                writer.put(&[ACCOUNT_OPENED, VERSION_1]);
                writer.put(&id.as_u128().to_le_bytes());
                writer.text(path.as_str());
                writer.text(asset.as_str());
                writer.put(&[side_code(*normal_side)]);
                put_floor(&mut writer, *floor);
                put_evidence(&mut writer, evidence);
            }
            Event::TransferPosted { transfer, metadata, evidence } => {
                writer.put(&[TRANSFER_POSTED, VERSION_1]);
                writer.put(&transfer::pack(transfer));
                writer.text(metadata.as_str());
                put_evidence(&mut writer, evidence);
            }
            Event::TransferRefused { transfer, refusal, metadata, evidence } => {
                writer.put(&[TRANSFER_REFUSED, VERSION_1]);
                writer.put(&transfer::pack(transfer));
                writer.put(&[refusal_code(*refusal)]);
                writer.text(metadata.as_str());
                put_evidence(&mut writer, evidence);
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut reader = Reader(bytes);
        let event = match reader.array()? {
            [ASSET_CREATED, VERSION_1] => Event::AssetCreated {
                code: parse(reader.text()?)?,
                scale: Scale::new(reader.byte()?).map_err(|_| DecodeError("scale"))?,
                evidence: evidence(&mut reader)?,
            },
            [ACCOUNT_OPENED, VERSION_1] => Event::AccountOpened {
                id: AccountId::from_u128(u128::from_le_bytes(reader.array()?))
                    .map_err(|_| DecodeError("account id"))?,
                path: parse(reader.text()?)?,
                asset: parse(reader.text()?)?,
                normal_side: side(reader.byte()?)?,
                floor: floor(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            [TRANSFER_POSTED, VERSION_1] => Event::TransferPosted {
                transfer: transfer::unpack(&reader.array()?)?,
                metadata: metadata(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            [TRANSFER_REFUSED, VERSION_1] => Event::TransferRefused {
                transfer: transfer::unpack(&reader.array()?)?,
                refusal: refusal(reader.byte()?)?,
                metadata: metadata(&mut reader)?,
                evidence: evidence(&mut reader)?,
            },
            _ => return Err(DecodeError("unknown kind or version of event")),
        };
        reader.end()?;
        Ok(event)
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

fn put_floor(writer: &mut Writer<'_>, floor: Option<Balance>) {
    let Some(floor) = floor else {
        return writer.put(&[0]);
    };
    writer.put(&[if floor.is_negative() { 2 } else { 1 }]);
    writer.put(&floor.magnitude().to_le_bytes());
}

fn floor(reader: &mut Reader<'_>) -> Result<Option<Balance>, DecodeError> {
    let is_negative = match reader.byte()? {
        0 => return Ok(None),
        1 => false,
        2 => true,
        _ => return Err(DecodeError("floor")),
    };
    let floor = Balance::new(is_negative, u128::from_le_bytes(reader.array()?));
    if floor.is_negative() != is_negative {
        return Err(DecodeError("a floor of minus zero"));
    }
    Ok(Some(floor))
}

/// TigerBeetle's numbers, which it keeps stable.
const fn refusal_code(refusal: TransferRefusal) -> u8 {
    match refusal {
        TransferRefusal::OverflowsDebitsPosted => 49,
        TransferRefusal::OverflowsCreditsPosted => 50,
        TransferRefusal::OverflowsDebits => 51,
        TransferRefusal::OverflowsCredits => 52,
        TransferRefusal::ExceedsCredits => 54,
        TransferRefusal::ExceedsDebits => 55,
    }
}

fn refusal(code: u8) -> Result<TransferRefusal, DecodeError> {
    let found = TransferRefusal::ALL.iter().find(|refusal| refusal_code(**refusal) == code);
    found.copied().ok_or(DecodeError("unknown result of a transfer"))
}

fn metadata(reader: &mut Reader<'_>) -> Result<Metadata, DecodeError> {
    Metadata::new(reader.text()?).map_err(|_| DecodeError("metadata is too long"))
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
