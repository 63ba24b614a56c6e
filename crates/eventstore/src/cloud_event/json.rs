//! JSON as text.

use std::borrow::Cow;

/// Leaves out the white space between the tokens of valid JSON. Members keep their order and numbers their digits. Text
/// that has none is not copied.
pub(crate) fn compact(json: &str) -> Cow<'_, str> {
    // In a string there is no control character, so that most often this one look says all.
    if json.bytes().all(|byte| byte > b' ') {
        return Cow::Borrowed(json);
    }
    let mut out = String::new();
    let mut is_in_string = false;
    let mut is_escaped = false;
    // Up to here it is in `out`, or left out.
    let mut done = 0;
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_in_string,
            b'"' => is_in_string = !is_in_string,
            b' ' | b'\t' | b'\n' | b'\r' if !is_in_string => {
                out.push_str(json.get(done..at).unwrap_or_default());
                done = at + 1;
            }
            _ => {}
        }
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Writes one JSON object, member by member.
pub(super) struct ObjectWriter<'a> {
    out: &'a mut String,
    is_first: bool,
}

impl<'a> ObjectWriter<'a> {
    pub(super) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_first: true }
    }

    /// A member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        write_string(name, self.out);
        self.out.push(':');
        self.out.push_str(json);
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        write_string(value, self.out);
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(super) fn end(self) {
        self.out.push('}');
    }
}

/// A JSON string (RFC 8259 section 7).
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        for (json, expected) in [
            (" { } ", "{}"),
            ("{ \"a b\" : [ 1 ,\t2 ]\r\n}", "{\"a b\":[1,2]}"),
            (r#"{ "quote \" and \\" : " x " }"#, r#"{"quote \" and \\":" x "}"#),
            (" 12345678901234567890.10 ", "12345678901234567890.10"),
            (r#"{"a b":"c é d"}"#, r#"{"a b":"c é d"}"#),
            (" \"é ü\" ", "\"é ü\""),
            ("[1,2]", "[1,2]"),
        ] {
            assert_eq!(compact(json), expected);
        }
    }

    proptest! {
        #[test]
        fn strings_are_read_back(name in "\\PC*", value: String) {
            let mut out = String::new();
            let mut object = ObjectWriter::begin(&mut out);
            object.text(&name, &value);
            object.end();
            let read: serde_json::Value = serde_json::from_str(&out).unwrap();
            prop_assert_eq!(&read[&name], &serde_json::Value::String(value));
            prop_assert_eq!(compact(&out), out.as_str());
        }
    }
}
