//! The groups' state in a snapshot. The log before it is trimmed, so what any version has written must be read for ever.
//!
//! ```text
//!  item     version: 1; epochs; count of groups
//!  for each group, by name:
//!    item   name; settings; first; created at, by; epoch; read to; redelivered; counts of what follows
//!    items  the events of the window:  position; key; attempts; spared; status
//!    items  the dead letters:          position; key; attempts; cause; time
//! ```

use lombard_engine::{DecodeError, StateReader, StateWriter};
use lombard_eventstore_core::{
    EventPosition,
    group::{DeadLetter, Group, Groups, Status, Tracked},
};
use lombard_types::GroupName;

use super::fields::{
    MALFORMED, read_cause, read_key, read_settings, read_time, read_u32, write_cause, write_key,
    write_settings, write_time,
};
use crate::codec::bytes::{Reader, Writer};

const VERSION: u8 = 1;

pub(super) fn write(groups: &Groups, state: &mut StateWriter<'_>) {
    item(state, |out| {
        out.byte(VERSION);
        out.number(groups.epochs());
        out.count(groups.len());
    });
    for (name, group) in groups.iter() {
        item(state, |out| write_group(name, group, out));
        for tracked in group.tracked() {
            item(state, |out| write_tracked(&tracked, out));
        }
        for (position, letter) in group.dead_letters() {
            item(state, |out| write_letter(*position, letter, out));
        }
    }
}

fn item(state: &mut StateWriter<'_>, write: impl FnOnce(&mut Writer<'_>)) {
    state.item(|fields| write(&mut Writer(fields.0)));
}

fn write_group(name: &GroupName, group: &Group, out: &mut Writer<'_>) {
    out.text(name.as_str());
    write_settings(group.settings(), out);
    out.number(group.first().get());
    write_time(group.created_at(), out);
    out.text(group.created_by().as_str());
    out.number(group.epoch());
    out.number(group.read_to().get());
    out.number(group.redelivered());
    for count in [group.outstanding(), group.dead_letters().len()] {
        out.number(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn write_tracked(tracked: &Tracked, out: &mut Writer<'_>) {
    out.number(tracked.position.get());
    write_key(tracked.key, out);
    out.number(tracked.attempts.into());
    out.number(tracked.spared.into());
    match &tracked.status {
        Status::Waiting => out.byte(0),
        Status::Delayed(at) => {
            out.byte(1);
            write_time(*at, out);
        }
        Status::InFlight(consumer, deadline) => {
            out.byte(2);
            out.text(consumer.as_str());
            write_time(*deadline, out);
        }
    }
}

fn write_letter(position: EventPosition, letter: &DeadLetter, out: &mut Writer<'_>) {
    out.number(position.get());
    write_key(letter.key, out);
    out.number(letter.attempts.into());
    write_cause(&letter.cause, out);
    write_time(letter.at, out);
}

pub(super) fn read(state: &mut StateReader<'_>) -> Result<Groups, DecodeError> {
    let (epochs, count) = read_item(state, |bytes| {
        if bytes.byte()? != VERSION {
            return Err(DecodeError("unknown version of the groups' state"));
        }
        Ok((bytes.number()?, bytes.number()?))
    })?;
    let mut groups = Vec::new();
    for _ in 0..count {
        groups.push(read_group(state)?);
    }
    Ok(Groups::restore(epochs, groups))
}

fn read_item<T>(
    state: &mut StateReader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    state.item(|fields| {
        let mut bytes = Reader(fields.0);
        let value = read(&mut bytes)?;
        fields.0 = bytes.0;
        Ok(value)
    })
}

fn read_group(state: &mut StateReader<'_>) -> Result<(GroupName, Group), DecodeError> {
    let (name, group, read_to, redelivered, tracked_count, dead_count) =
        read_item(state, |bytes| {
            let name = bytes.text()?.parse().map_err(|_| MALFORMED)?;
            let settings = read_settings(bytes)?;
            let first = EventPosition::new(bytes.number()?);
            let created_at = read_time(bytes)?;
            let created_by = bytes.text()?.parse().map_err(|_| MALFORMED)?;
            let epoch = bytes.number()?;
            let read_to = EventPosition::new(bytes.number()?);
            let group = Group::new(settings, first, epoch, created_at, created_by);
            Ok((name, group, read_to, bytes.number()?, bytes.number()?, bytes.number()?))
        })?;
    let tracked = (0..tracked_count)
        .map(|_| read_item(state, read_tracked))
        .collect::<Result<Vec<_>, _>>()?;
    let dead =
        (0..dead_count).map(|_| read_item(state, read_letter)).collect::<Result<Vec<_>, _>>()?;
    Ok((name, group.restore(read_to, redelivered, tracked, dead)))
}

fn read_tracked(bytes: &mut Reader<'_>) -> Result<Tracked, DecodeError> {
    Ok(Tracked {
        position: EventPosition::new(bytes.number()?),
        key: read_key(bytes)?,
        attempts: read_u32(bytes)?,
        spared: read_u32(bytes)?,
        status: match bytes.byte()? {
            0 => Status::Waiting,
            1 => Status::Delayed(read_time(bytes)?),
            2 => {
                let consumer = bytes.text()?.parse().map_err(|_| MALFORMED)?;
                Status::InFlight(consumer, read_time(bytes)?)
            }
            _ => return Err(DecodeError("unknown status of an event")),
        },
    })
}

fn read_letter(bytes: &mut Reader<'_>) -> Result<(EventPosition, DeadLetter), DecodeError> {
    let position = EventPosition::new(bytes.number()?);
    let letter = DeadLetter {
        key: read_key(bytes)?,
        attempts: read_u32(bytes)?,
        cause: read_cause(bytes)?,
        at: read_time(bytes)?,
    };
    Ok((position, letter))
}
