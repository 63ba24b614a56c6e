//! Durations as Go writes them: `10s`, `1m30s`, `1.5h`, `120000ms`.

use std::time::Duration;

/// A text is no duration, or one that is negative or too long to be one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration such as 10s, 1m30s or 500ms")]
pub(crate) struct ParseDurationError;

/// Units with their nanoseconds. Longer names first, so that `ms` is not read as minutes.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Go's own bound: what fits into 63 bits of nanoseconds.
const NANOS_MAX: u128 = i64::MAX as u128;
/// More digits of a fraction than nanoseconds have change nothing.
const FRACTION_DIGITS_MAX: usize = 18;

/// Reads a duration. `0` needs no unit.
pub(crate) fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0u128);
    loop {
        let (part, after) = term(rest).ok_or(ParseDurationError)?;
        nanos =
            nanos.checked_add(part).filter(|sum| *sum <= NANOS_MAX).ok_or(ParseDurationError)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let nanos = u64::try_from(nanos).map_err(|_| ParseDurationError)?;
    Ok(Duration::from_nanos(nanos))
}

/// A number with its unit in nanoseconds, and what is behind it.
fn term(text: &str) -> Option<(u128, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, after) = text.split_at(digits(text));
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => after.split_at(digits(after)),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, nanos) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()? };
    let fraction = fraction.get(..fraction.len().min(FRACTION_DIGITS_MAX))?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? * nanos / scale };
    Some((whole.checked_mul(*nanos)?.checked_add(part)?, after.strip_prefix(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000),
            ("+5s", 5_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("5.s", 5_000),
            ("120000ms", 120_000),
            ("1h0m0.25s", 3_600_250),
            ("1500us", 1),
            ("1500\u{b5}s", 1),
            ("0.3333333333333333333333333h", 1_199_999),
        ] {
            assert_eq!(parse(text).map(|found| found.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = "9".repeat(60) + "h";
        for text in ["", "+", "-5s", "5", "s", ".s", "5 s", "1d", "5S", "1m30", "9999999h", &long] {
            assert_eq!(parse(text), Err(ParseDurationError), "{text}");
        }
    }
}
