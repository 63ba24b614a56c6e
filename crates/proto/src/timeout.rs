//! The `grpc-timeout` header: how long the caller waits, as up to eight digits and a unit.

use std::time::Duration;

/// Reads a timeout; `None` where it is malformed.
pub fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes a timeout, rounded down to a unit that has few enough digits.
pub fn format(timeout: Duration) -> String {
    const COUNT_MAX: u128 = 99_999_999;
    for (count, unit) in
        [(timeout.as_nanos(), 'n'), (timeout.as_micros(), 'u'), (timeout.as_millis(), 'm')]
    {
        if count <= COUNT_MAX {
            return format!("{count}{unit}");
        }
    }
    format!("{}S", u128::from(timeout.as_secs()).min(COUNT_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units() {
        for (text, wanted) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("0S", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("+5S", None),
            ("123456789n", None),
            ("1é", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_timeouts_are_read_back(nanos in 0u64..10_000_000_000_000_000) {
            let timeout = Duration::from_nanos(nanos);
            let read = parse(&format(timeout)).unwrap();
            prop_assert!(read <= timeout);
            // Eight digits say it to a part in ten million.
            prop_assert!(timeout - read <= timeout / 10_000 + Duration::from_nanos(1));
        }

        #[test]
        fn any_text(text: String) {
            prop_assert!(parse(&text).is_none_or(|timeout| timeout.as_secs() <= 99_999_999 * 3600));
        }
    }
}
