//! The metadata of a transfer: a JSON object, kept as the caller wrote it but for white space.

use lombard_chassis::Problem;
use lombard_ledger_core::Metadata;
use serde_json::value::RawValue;

use crate::problem;

/// Takes a JSON object of at most `bytes_max` bytes without its white space. Members keep their order and numbers their
/// digits: nothing passes through a float.
pub(super) fn parse(json: Option<&RawValue>, bytes_max: usize) -> Result<Metadata, Problem> {
    let Some(json) = json else {
        return Ok(Metadata::default());
    };
    let text = compact(json.get());
    if !text.starts_with('{') {
        return Err(problem::invalid_field("metadata", "must be a JSON object"));
    }
    let too_large = |bytes: usize| {
        Problem::new(&problem::METADATA_TOO_LARGE)
            .detail(format!("metadata of {bytes} bytes is over the limit of {bytes_max}"))
            .with("limit_bytes", bytes_max)
    };
    if text.len() > bytes_max {
        return Err(too_large(text.len()));
    }
    Metadata::new(text).map_err(|error| too_large(error.bytes))
}

/// Leaves out the white space between the tokens of valid JSON.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for character in json.chars() {
        if in_string {
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Metadata, Problem> {
        let value: Box<RawValue> = serde_json::from_str(json).unwrap();
        parse(Some(&value), 64)
    }

    #[test]
    fn only_white_space_between_tokens_goes() {
        for (json, expected) in [
            (" { } ", "{}"),
            ("{ \"a b\" : [ 1 , 2 ]\n}", "{\"a b\":[1,2]}"),
            (r#"{ "quote \" and \\" : " x " }"#, r#"{"quote \" and \\":" x "}"#),
            (
                "{\"n\": 123456789012345678901234567890.10}",
                "{\"n\":123456789012345678901234567890.10}",
            ),
        ] {
            assert_eq!(parsed(json).unwrap().as_str(), expected, "{json}");
        }
    }

    #[test]
    fn other_values_and_long_ones_are_refused() {
        for json in ["[]", "1", "\"{\"", "null", "true"] {
            assert!(parsed(json).is_err(), "{json}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(60));
        assert_eq!(parsed(&long).unwrap_err().kind(), &problem::METADATA_TOO_LARGE);
    }
}
