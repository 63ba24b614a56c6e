//! The stored form of second factors.
//!
//! ```text
//!  30 enrolled            v1: a factor
//!  31 step used           v1: user, 16 bytes | step u64
//!  32 recovery code used  v1: user, 16 bytes | SHA-256, 32 bytes
//!  33 removed             v1: user, 16 bytes
//!
//!  factor  user, 16 bytes | sealed secret: byte string | used step u64 | count of recovery codes u8 |
//!          SHA-256 of each, 32 bytes, in their order | enrolled at u64 | enrolled by text
//! ```

use std::{collections::BTreeSet, ops::RangeInclusive};

use lombard_auth_core::{SecondFactor, UserId, second_factors::Event};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};

use super::{VERSION_1, put_time, time};

const ENROLLED: u8 = 30;
const STEP_USED: u8 = 31;
const RECOVERY_CODE_USED: u8 = 32;
const REMOVED: u8 = 33;
pub(super) const KINDS: RangeInclusive<u8> = ENROLLED..=REMOVED;

pub(super) fn put_event(writer: &mut Writer<'_>, event: &Event) {
    match event {
        Event::Enrolled(factor) => {
            writer.put(&[ENROLLED, VERSION_1]);
            put(writer, factor);
        }
        Event::StepUsed { user, step } => {
            writer.put(&[STEP_USED, VERSION_1]);
            writer.put(&user.0);
            writer.put(&step.to_le_bytes());
        }
        Event::RecoveryCodeUsed { user, sha256 } => {
            writer.put(&[RECOVERY_CODE_USED, VERSION_1]);
            writer.put(&user.0);
            writer.put(sha256);
        }
        Event::Removed { user } => {
            writer.put(&[REMOVED, VERSION_1]);
            writer.put(&user.0);
        }
    }
}

pub(super) fn event(kind: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    let user = |reader: &mut Reader<'_>| reader.array().map(UserId);
    Ok(match kind {
        ENROLLED => Event::Enrolled(read(reader)?.into()),
        STEP_USED => {
            Event::StepUsed { user: user(reader)?, step: u64::from_le_bytes(reader.array()?) }
        }
        RECOVERY_CODE_USED => {
            Event::RecoveryCodeUsed { user: user(reader)?, sha256: reader.array()? }
        }
        REMOVED => Event::Removed { user: user(reader)? },
        _ => return Err(DecodeError("unknown kind of event about a second factor")),
    })
}

pub(super) fn put(writer: &mut Writer<'_>, factor: &SecondFactor) {
    writer.put(&factor.user.0);
    writer.bytes(&factor.sealed_secret);
    writer.put(&factor.used_step.to_le_bytes());
    let codes = &factor.recovery_codes_sha256;
    writer.put(&[u8::try_from(codes.len()).unwrap_or(u8::MAX)]);
    codes.iter().take(usize::from(u8::MAX)).for_each(|sha256| writer.put(sha256));
    put_time(writer, factor.enrolled_at);
    writer.text(&factor.enrolled_by);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<SecondFactor, DecodeError> {
    let user = UserId(reader.array()?);
    let sealed_secret = reader.bytes()?.into();
    let used_step = u64::from_le_bytes(reader.array()?);
    let mut recovery_codes_sha256 = BTreeSet::new();
    for _ in 0..reader.byte()? {
        recovery_codes_sha256.insert(reader.array()?);
    }
    Ok(SecondFactor {
        user,
        sealed_secret,
        used_step,
        recovery_codes_sha256,
        enrolled_at: time(reader)?,
        enrolled_by: reader.text()?.into(),
    })
}

/// One event of each kind, for tests.
#[cfg(test)]
pub(super) fn samples() -> Vec<Event> {
    let user = UserId([3; 16]);
    let factor = SecondFactor {
        user,
        sealed_secret: [1, 2, 3].into(),
        used_step: 0x0a0b,
        recovery_codes_sha256: [[5; 32], [6; 32]].into(),
        enrolled_at: lombard_types::Timestamp::from_unix_nanos(7),
        enrolled_by: "shop".into(),
    };
    vec![
        Event::Enrolled(factor.into()),
        Event::StepUsed { user, step: 0x0c0d },
        Event::RecoveryCodeUsed { user, sha256: [5; 32] },
        Event::Removed { user },
    ]
}
