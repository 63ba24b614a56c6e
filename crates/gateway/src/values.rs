//! Values of headers that are made for one request. They share one allocation: a value costs none of its own, and neither does
//! its copy for another try.

use std::{cell::RefCell, fmt::Write as _};

use bytes::BytesMut;
use http::HeaderValue;

/// Where the values of one request are written.
#[derive(Debug)]
pub(crate) struct Values(RefCell<BytesMut>);

/// Enough for the usual ones; more takes another allocation.
const BYTES: usize = 512;

impl Values {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(BytesMut::with_capacity(BYTES)))
    }

    /// A text as a value; `None` where it cannot be one.
    pub(crate) fn text(&self, text: &str) -> Option<HeaderValue> {
        self.write(format_args!("{text}"))
    }

    /// The same, written here first.
    pub(crate) fn write(&self, text: std::fmt::Arguments<'_>) -> Option<HeaderValue> {
        let mut buffer = self.0.borrow_mut();
        match text.as_str() {
            Some(text) => buffer.extend_from_slice(text.as_bytes()),
            None => buffer.write_fmt(text).ok()?,
        }
        HeaderValue::from_maybe_shared(buffer.split().freeze()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_beside_each_other() {
        let values = Values::new();
        let long = "x".repeat(2 * BYTES);
        let all = [values.text("a"), values.write(format_args!("{}-{}", 1, 2)), values.text(&long)];
        let all: Vec<_> = all.into_iter().flatten().collect();
        assert_eq!(all, ["a", "1-2", &long]);
        assert_eq!(values.text("a\r\nb"), None);
        assert_eq!(values.text("").unwrap(), "");
    }
}
