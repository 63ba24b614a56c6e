//! `application/x-www-form-urlencoded`, read strictly: a parameter said twice is refused (RFC 6749 section 3.2).

use std::borrow::Cow;

use axum::http::HeaderMap;
use lombard_chassis::extract::require_media_type;

use super::error::OAuthError;

/// The parameters of a request, each at most once. Values are secrets: there is no `Debug`.
pub(super) struct Form<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The parameter whose value is JSON, in which people put line breaks (RFC 9396 section 2).
const JSON_PARAMETER: &str = "authorization_details";
/// More parameters than any grant has.
const PARAMETERS_MAX: usize = 32;

impl<'a> Form<'a> {
    /// The form that a request posts.
    pub(super) fn posted(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, OAuthError> {
        require_media_type(headers, "application/x-www-form-urlencoded").map_err(|_| {
            OAuthError::invalid_request("the body must be application/x-www-form-urlencoded")
        })?;
        Self::parse(body)
    }

    pub(super) fn parse(body: &'a [u8]) -> Result<Self, OAuthError> {
        let mut parameters: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == PARAMETERS_MAX {
                return Err(OAuthError::invalid_request("too many parameters"));
            }
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let (name, value) =
                (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            let malformed = || {
                OAuthError::invalid_request(
                    "the body is not form-encoded UTF-8 without control characters",
                )
            };
            let name = decode(name).ok_or_else(malformed)?;
            let value = if name == JSON_PARAMETER { decode_json(value) } else { decode(value) };
            let value = value.ok_or_else(malformed)?;
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(OAuthError::invalid_request(format!(
                    "the parameter {name} is said twice"
                )));
            }
            parameters.push((name, value));
        }
        Ok(Self { parameters })
    }

    /// The parameters of a signed object, whose members are said once.
    pub(super) fn of_object(parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        Self { parameters }
    }

    /// A parameter's value. One without a value counts as left out (RFC 6749 section 3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }
}

/// Decodes `%xx` and `+`; `None` where an escape is malformed or the result is not UTF-8 or has control characters.
pub(super) fn decode(text: &[u8]) -> Option<Cow<'_, str>> {
    unescape(text).filter(|text| !text.contains(char::is_control))
}

/// The same, where white space of JSON may be (RFC 8259 section 2).
fn decode_json(text: &[u8]) -> Option<Cow<'_, str>> {
    let is_refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    unescape(text).filter(|text| !text.contains(is_refused))
}

/// Appends a text in the form in which it stands in a query.
pub(crate) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
}

fn unescape(text: &[u8]) -> Option<Cow<'_, str>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(text).ok().map(Cow::Borrowed);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_decoded_and_said_once() {
        let form = Form::parse(b"a=1&b=x%20y+z&c=&%64=%C3%A9&&e").ok().unwrap();
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.get("b"), Some("x y z"));
        assert_eq!(form.get("c"), None);
        assert_eq!(form.get("d"), Some("\u{e9}"));
        assert_eq!(form.get("e"), None);
        for body in ["a=1&a=1", "a=1&%61=2", "a=%", "a=%2", "a=%zz", "a=%ff", "a=%00", "a=%0a"] {
            assert!(Form::parse(body.as_bytes()).is_err(), "{body}");
        }
        // Line breaks are for JSON only, and other control characters for nothing.
        let form = Form::parse(b"authorization_details=%5B%0A%09%0D%5D").ok().unwrap();
        assert_eq!(form.get("authorization_details"), Some("[\n\t\r]"));
        for body in ["authorization_details=%00", "authorization_details=%1b", "scope=a%0Ab"] {
            assert!(Form::parse(body.as_bytes()).is_err(), "{body}");
        }
        let many = "a=1&".repeat(40);
        assert!(Form::parse(many.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_again(text in "\\PC{0,40}") {
            let mut body = "a=".to_owned();
            encode(&text, &mut body);
            let form = Form::parse(body.as_bytes()).ok().unwrap();
            prop_assert_eq!(form.get("a").unwrap_or_default(), text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>) {
            drop(Form::parse(&body).ok());
        }
    }
}
