//! How what happened to groups is stored, version 1.
//!
//! ```text
//!  1 byte   1 created   2 deleted   3 read       4 delivered  5 acked
//!           6 failed    7 extended  8 replayed   9 discarded  10 rewound
//!  text     group
//!  then what each needs; positions are a count and the steps from one to the next
//! ```

use lombard_engine::{Codec, DecodeError};
use lombard_eventstore_core::{
    EventPosition,
    group::{Event, Failure, Found, Next},
};

use super::fields::{
    MALFORMED, read_cause, read_key, read_positions, read_settings, read_time, write_cause,
    write_key, write_positions, write_settings, write_time,
};
use crate::codec::bytes::{Reader, Writer};

/// The stored form.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupCodec;

impl Codec for GroupCodec {
    type Event = Event;

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut out = Writer(out);
        match event {
            Event::Created { group, settings, first, created_by } => {
                begin(1, group.as_str(), &mut out);
                write_settings(settings, &mut out);
                out.number(first.get());
                out.text(created_by.as_str());
            }
            Event::Deleted { group } => begin(2, group.as_str(), &mut out),
            Event::Read { group, to, found } => {
                begin(3, group.as_str(), &mut out);
                out.number(to.get());
                let positions: Vec<EventPosition> = found.iter().map(|it| it.position).collect();
                write_positions(&positions, &mut out);
                found.iter().for_each(|found| write_key(found.key, &mut out));
            }
            Event::Delivered { group, consumer, deadline, positions } => {
                begin(4, group.as_str(), &mut out);
                out.text(consumer.as_str());
                write_time(*deadline, &mut out);
                write_positions(positions, &mut out);
            }
            Event::Acked { group, positions } => {
                begin(5, group.as_str(), &mut out);
                write_positions(positions, &mut out);
            }
            Event::Failed { group, cause, failures } => {
                begin(6, group.as_str(), &mut out);
                write_cause(cause, &mut out);
                write_failures(failures, &mut out);
            }
            Event::Extended { group, deadline, positions } => {
                begin(7, group.as_str(), &mut out);
                write_time(*deadline, &mut out);
                write_positions(positions, &mut out);
            }
            Event::Replayed { group, positions } => {
                begin(8, group.as_str(), &mut out);
                write_positions(positions, &mut out);
            }
            Event::Discarded { group, positions } => {
                begin(9, group.as_str(), &mut out);
                write_positions(positions, &mut out);
            }
            Event::Rewound { group, end } => {
                begin(10, group.as_str(), &mut out);
                out.number(end.get());
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut bytes = Reader(bytes);
        let event = read_event(&mut bytes)?;
        bytes.end()?;
        Ok(event)
    }
}

fn begin(kind: u8, group: &str, out: &mut Writer<'_>) {
    out.byte(kind);
    out.text(group);
}

/// The events, then for each what becomes of it: 0 a dead letter, 1 another attempt at a time.
fn write_failures(failures: &[Failure], out: &mut Writer<'_>) {
    let positions: Vec<EventPosition> = failures.iter().map(|it| it.position).collect();
    write_positions(&positions, out);
    for failure in failures {
        match failure.next {
            Next::Dead => out.byte(0),
            Next::Retry(at) => {
                out.byte(1);
                write_time(at, out);
            }
        }
    }
}

fn read_failures(bytes: &mut Reader<'_>) -> Result<Vec<Failure>, DecodeError> {
    let positions = read_positions(bytes)?;
    let mut read = |position| {
        let next = match bytes.byte()? {
            0 => Next::Dead,
            1 => Next::Retry(read_time(bytes)?),
            _ => return Err(DecodeError("unknown end of a failure")),
        };
        Ok(Failure { position, next })
    };
    positions.into_iter().map(&mut read).collect()
}

fn read_event(bytes: &mut Reader<'_>) -> Result<Event, DecodeError> {
    let kind = bytes.byte()?;
    let group = bytes.text()?.parse().map_err(|_| MALFORMED)?;
    Ok(match kind {
        1 => Event::Created {
            group,
            settings: read_settings(bytes)?,
            first: EventPosition::new(bytes.number()?),
            created_by: bytes.text()?.parse().map_err(|_| MALFORMED)?,
        },
        2 => Event::Deleted { group },
        3 => {
            let to = EventPosition::new(bytes.number()?);
            let positions = read_positions(bytes)?;
            let mut read = |position| Ok(Found { position, key: read_key(bytes)? });
            let found = positions.into_iter().map(&mut read).collect::<Result<_, DecodeError>>()?;
            Event::Read { group, to, found }
        }
        4 => Event::Delivered {
            group,
            consumer: bytes.text()?.parse().map_err(|_| MALFORMED)?,
            deadline: read_time(bytes)?,
            positions: read_positions(bytes)?,
        },
        5 => Event::Acked { group, positions: read_positions(bytes)? },
        6 => {
            let cause = read_cause(bytes)?;
            Event::Failed { group, cause, failures: read_failures(bytes)? }
        }
        7 => {
            let deadline = read_time(bytes)?;
            Event::Extended { group, deadline, positions: read_positions(bytes)? }
        }
        8 => Event::Replayed { group, positions: read_positions(bytes)? },
        9 => Event::Discarded { group, positions: read_positions(bytes)? },
        10 => Event::Rewound { group, end: EventPosition::new(bytes.number()?) },
        _ => return Err(DecodeError("unknown kind of event")),
    })
}

#[cfg(test)]
mod tests;
