//! The stored form of a check that the registry makes itself.

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_registry_core::{Check, Question};

use super::{flag, parse};

const NONE: u8 = 0;
const HTTP: u8 = 1;
const TCP: u8 = 2;
const GRPC: u8 = 3;

pub(super) fn put(writer: &mut Writer<'_>, check: Option<&Check>) {
    let Some(check) = check else { return writer.put(&[NONE]) };
    let Check {
        question,
        at,
        interval_ms,
        timeout_ms,
        successes_min,
        failures_min,
        begins_passing,
    } = check;
    let (kind, what) = match question {
        Question::Http { path } => (HTTP, path.as_str()),
        Question::Tcp => (TCP, ""),
        Question::Grpc { service } => (GRPC, service.as_str()),
    };
    writer.put(&[kind]);
    writer.text(what);
    writer.text(&at.as_ref().map(ToString::to_string).unwrap_or_default());
    writer.put(&interval_ms.to_le_bytes());
    writer.put(&timeout_ms.to_le_bytes());
    writer.put(&[*successes_min, *failures_min, u8::from(*begins_passing)]);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Check>, DecodeError> {
    let kind = reader.byte()?;
    if kind == NONE {
        return Ok(None);
    }
    let what = reader.text()?;
    let question = match kind {
        HTTP => Question::Http { path: parse(what)? },
        TCP if what.is_empty() => Question::Tcp,
        GRPC => Question::Grpc { service: parse(what)? },
        _ => return Err(DecodeError("unknown kind of check")),
    };
    let at = Some(reader.text()?).filter(|at| !at.is_empty()).map(parse).transpose()?;
    let (interval_ms, timeout_ms) =
        (u32::from_le_bytes(reader.array()?), u32::from_le_bytes(reader.array()?));
    let [successes_min, failures_min, begins_passing] = reader.array()?;
    let begins_passing = flag(begins_passing)?;
    Ok(Some(Check {
        question,
        at,
        interval_ms,
        timeout_ms,
        successes_min,
        failures_min,
        begins_passing,
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any check.
    pub(in super::super) fn check() -> impl Strategy<Value = Check> {
        let question = prop_oneof![
            "/[!\"$-~]{0,100}".prop_map(|path| Question::Http { path: path.parse().unwrap() }),
            Just(Question::Tcp),
            "[a-zA-Z.]{0,64}".prop_map(|name| Question::Grpc { service: name.parse().unwrap() }),
        ];
        let at = prop::option::of(Just("http://10.0.0.1:80".parse().unwrap()));
        (question, at, any::<(u32, u32, u8, u8, bool)>()).prop_map(
            |(
                question,
                at,
                (interval_ms, timeout_ms, successes_min, failures_min, begins_passing),
            )| {
                Check {
                    question,
                    at,
                    interval_ms,
                    timeout_ms,
                    successes_min,
                    failures_min,
                    begins_passing,
                }
            },
        )
    }

    #[test]
    fn golden_bytes() {
        let check = Check {
            question: Question::Http { path: "/h".parse().unwrap() },
            at: Some("http://a:1".parse().unwrap()),
            interval_ms: 0x0102_0304,
            timeout_ms: 5,
            successes_min: 6,
            failures_min: 7,
            begins_passing: true,
        };
        let mut bytes = Vec::new();
        put(&mut Writer(&mut bytes), Some(&check));
        let expected = b"\x01\x02/h\x0ahttp://a:1\x04\x03\x02\x01\x05\0\0\0\x06\x07\x01";
        assert_eq!(bytes, expected);
        assert_eq!(read(&mut Reader(expected)), Ok(Some(check)));
        bytes.clear();
        put(&mut Writer(&mut bytes), None);
        assert_eq!((bytes.as_slice(), read(&mut Reader(&bytes))), (b"\0".as_slice(), Ok(None)));
    }
}
