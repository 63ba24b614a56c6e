//! How long a caller waits: `Request-Timeout` in seconds, `grpc-timeout` with a unit.

use std::time::Duration;

/// A deadline that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Request-Timeout is a number of seconds such as 2 or 0.25; grpc-timeout is up to eight digits and one of H, M, S, m, u, n"
)]
pub struct ParseDeadlineError;

/// Reads `Request-Timeout`: seconds, with up to three digits after a point.
pub fn parse_request_timeout(text: &str) -> Result<Duration, ParseDeadlineError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = digits(whole, 8)?;
    let places = u32::try_from(part.len()).map_err(|_| ParseDeadlineError)?;
    let millis = digits(part, 3)? * 10_u64.pow(3 - places);
    Ok(Duration::from_millis(seconds * 1000 + millis))
}

/// Writes `Request-Timeout`; a part of a millisecond is left out.
pub fn format_request_timeout(wait: Duration) -> String {
    format!("{}.{:03}", wait.as_secs(), wait.subsec_millis())
}

/// Reads `grpc-timeout`.
pub fn parse_grpc_timeout(text: &str) -> Result<Duration, ParseDeadlineError> {
    let unit = text.bytes().last().ok_or(ParseDeadlineError)?;
    let number = digits(text.get(..text.len() - 1).ok_or(ParseDeadlineError)?, 8)?;
    match unit {
        b'H' => Ok(Duration::from_secs(number * 3600)),
        b'M' => Ok(Duration::from_secs(number * 60)),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(ParseDeadlineError),
    }
}

/// Writes `grpc-timeout`, in the finest unit whose number has at most eight digits; never more than is left.
pub fn format_grpc_timeout(wait: Duration) -> String {
    const NUMBER_MAX: u128 = 99_999_999;
    let units = [
        (wait.as_nanos(), 'n'),
        (wait.as_micros(), 'u'),
        (wait.as_millis(), 'm'),
        (wait.as_secs().into(), 'S'),
    ];
    let fits = units.into_iter().find(|(number, _)| *number <= NUMBER_MAX);
    let (number, unit) = fits.unwrap_or((NUMBER_MAX, 'S'));
    format!("{number}{unit}")
}

fn digits(text: &str, length_max: usize) -> Result<u64, ParseDeadlineError> {
    if text.is_empty() || text.len() > length_max || !text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(ParseDeadlineError);
    }
    text.parse().map_err(|_| ParseDeadlineError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_in_both_forms() {
        for (text, millis) in [
            ("2", Some(2000)),
            ("0.25", Some(250)),
            ("1.5", Some(1500)),
            ("0.001", Some(1)),
            ("0", Some(0)),
            ("", None),
            ("-1", None),
            ("1.", None),
            ("1.0001", None),
            ("999999999", None),
            ("1s", None),
            (" 1", None),
        ] {
            assert_eq!(
                parse_request_timeout(text).ok(),
                millis.map(Duration::from_millis),
                "{text}"
            );
        }
        for (text, micros) in [
            ("1S", Some(1_000_000)),
            ("250m", Some(250_000)),
            ("7u", Some(7)),
            ("1H", Some(3_600_000_000)),
            ("2M", Some(120_000_000)),
            ("1000n", Some(1)),
            ("1", None),
            ("S", None),
            ("", None),
            ("123456789m", None),
            ("1s", None),
            ("é", None),
        ] {
            assert_eq!(parse_grpc_timeout(text).ok(), micros.map(Duration::from_micros), "{text}");
        }
        for wait in [0, 1, 999, 1_000_000, 99_999_999, 100_000_000, 86_400_000_000]
            .map(Duration::from_micros)
        {
            let read = parse_grpc_timeout(&format_grpc_timeout(wait)).unwrap();
            assert!(read <= wait && read + Duration::from_secs(1) > wait, "{wait:?} {read:?}");
            assert!(parse_request_timeout(&format_request_timeout(wait)).unwrap() <= wait);
        }
    }
}
