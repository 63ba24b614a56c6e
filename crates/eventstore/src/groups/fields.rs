//! The parts that both the events and the snapshots of groups are made of.

use std::time::Duration;

use lombard_engine::DecodeError;
use lombard_eventstore_core::{
    Criterion, EventPosition, Query,
    group::{Backoff, Cause, Filter, Key, Order, Settings, Start},
};
use lombard_types::Timestamp;

use crate::codec::bytes::{Reader, Writer};

pub(super) const MALFORMED: DecodeError = DecodeError("a name is malformed");

pub(super) fn write_positions(positions: &[EventPosition], out: &mut Writer<'_>) {
    out.count(positions.len());
    let mut before = 0;
    for position in positions {
        out.number(position.get().wrapping_sub(before));
        before = position.get();
    }
}

pub(super) fn read_positions(bytes: &mut Reader<'_>) -> Result<Vec<EventPosition>, DecodeError> {
    let count = bytes.count()?;
    let mut before = 0u64;
    let mut next = || {
        before = before.wrapping_add(bytes.number()?);
        Ok(EventPosition::new(before))
    };
    (0..count).map(|_| next()).collect()
}

pub(super) fn write_time(time: Timestamp, out: &mut Writer<'_>) {
    out.put(&time.unix_nanos().to_le_bytes());
}

pub(super) fn read_time(bytes: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    bytes.array().map(|time| Timestamp::from_unix_nanos(u64::from_le_bytes(time)))
}

/// 0 for none, else 1 and the key.
pub(super) fn write_key(key: Option<Key>, out: &mut Writer<'_>) {
    match key {
        None => out.byte(0),
        Some(key) => {
            out.byte(1);
            out.put(&key.0.to_le_bytes());
        }
    }
}

pub(super) fn read_key(bytes: &mut Reader<'_>) -> Result<Option<Key>, DecodeError> {
    match bytes.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Key(u64::from_le_bytes(bytes.array()?)))),
        _ => Err(DecodeError("unknown kind of key")),
    }
}

pub(super) fn write_cause(cause: &Cause, out: &mut Writer<'_>) {
    match cause {
        Cause::TimedOut => out.byte(0),
        Cause::Refused(reason) => {
            out.byte(1);
            out.text(reason);
        }
    }
}

pub(super) fn read_cause(bytes: &mut Reader<'_>) -> Result<Cause, DecodeError> {
    match bytes.byte()? {
        0 => Ok(Cause::TimedOut),
        1 => Ok(Cause::Refused(bytes.text()?.into())),
        _ => Err(DecodeError("unknown cause of a failure")),
    }
}

fn write_duration(duration: Duration, out: &mut Writer<'_>) {
    out.number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

fn read_duration(bytes: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    bytes.number().map(Duration::from_nanos)
}

pub(super) fn read_u32(bytes: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(bytes.number()?).map_err(|_| DecodeError("a number is over 32 bits"))
}

pub(super) fn write_settings(settings: &Settings, out: &mut Writer<'_>) {
    write_filter(&settings.filter, out);
    match settings.start {
        Start::Beginning => out.byte(0),
        Start::End => out.byte(1),
        Start::After(position) => {
            out.byte(2);
            out.number(position.get());
        }
    }
    match &settings.order {
        Order::Stream => out.byte(0),
        Order::Unordered => out.byte(1),
        Order::Tag(begin) => {
            out.byte(2);
            out.text(begin);
        }
        Order::Attribute(name) => {
            out.byte(3);
            out.text(name);
        }
    }
    out.number(settings.attempts_max.into());
    write_duration(settings.backoff.first, out);
    write_duration(settings.backoff.most, out);
    write_duration(settings.visibility, out);
    out.number(settings.in_flight_max.into());
    out.number(settings.consumer_in_flight_max.into());
}

pub(super) fn read_settings(bytes: &mut Reader<'_>) -> Result<Settings, DecodeError> {
    Ok(Settings {
        filter: read_filter(bytes)?,
        start: match bytes.byte()? {
            0 => Start::Beginning,
            1 => Start::End,
            2 => Start::After(EventPosition::new(bytes.number()?)),
            _ => return Err(DecodeError("unknown start of a group")),
        },
        order: match bytes.byte()? {
            0 => Order::Stream,
            1 => Order::Unordered,
            2 => Order::Tag(bytes.text()?.into()),
            3 => Order::Attribute(bytes.text()?.into()),
            _ => return Err(DecodeError("unknown order of a group")),
        },
        attempts_max: read_u32(bytes)?,
        backoff: Backoff { first: read_duration(bytes)?, most: read_duration(bytes)? },
        visibility: read_duration(bytes)?,
        in_flight_max: read_u32(bytes)?,
        consumer_in_flight_max: read_u32(bytes)?,
    })
}

fn write_filter(filter: &Filter, out: &mut Writer<'_>) {
    out.text(filter.stream_prefix.as_deref().unwrap_or_default());
    let Some(Query(criteria)) = &filter.query else {
        return out.byte(0);
    };
    out.byte(1);
    out.count(criteria.len());
    for Criterion { types, tags } in criteria {
        out.count(types.len());
        types.iter().for_each(|kind| out.text(kind.as_str()));
        out.count(tags.len());
        tags.iter().for_each(|tag| out.text(tag.as_str()));
    }
}

fn read_filter(bytes: &mut Reader<'_>) -> Result<Filter, DecodeError> {
    let stream_prefix = Some(bytes.text()?).filter(|prefix| !prefix.is_empty()).map(Into::into);
    let query = match bytes.byte()? {
        0 => None,
        1 => {
            let count = bytes.count()?;
            let criteria = (0..count).map(|_| read_criterion(bytes)).collect::<Result<_, _>>()?;
            Some(Query(criteria))
        }
        _ => return Err(DecodeError("unknown kind of filter")),
    };
    Ok(Filter { stream_prefix, query })
}

fn read_criterion(bytes: &mut Reader<'_>) -> Result<Criterion, DecodeError> {
    let count = bytes.count()?;
    let types = (0..count)
        .map(|_| bytes.text()?.parse().map_err(|_| MALFORMED))
        .collect::<Result<_, _>>()?;
    let count = bytes.count()?;
    let tags = (0..count)
        .map(|_| bytes.text()?.parse().map_err(|_| MALFORMED))
        .collect::<Result<_, _>>()?;
    Ok(Criterion { types, tags })
}
