//! The attribute `dataschema` of events whose type has a schema: `urn:lombard:schema:<type>:<version>`.
//!
//! CloudEvents asks that an incompatible schema has another URI, so the version is part of it.

use std::fmt;

use lombard_eventstore_core::EventType;

use super::SchemaVersion;

const PREFIX: &str = "urn:lombard:schema:";

/// Names one version of a type's schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataSchema<'a> {
    pub(crate) event_type: &'a EventType,
    pub(crate) version: SchemaVersion,
}

/// Whether a URI names a schema of the store, whatever type's.
pub(crate) fn is_own(uri: &str) -> bool {
    uri.starts_with(PREFIX)
}

impl<'a> DataSchema<'a> {
    /// Reads a URI that names a version of this type's schema.
    pub(crate) fn parse(uri: &str, event_type: &'a EventType) -> Option<Self> {
        let (_, number) = uri.rsplit_once(':')?;
        let dataschema = Self { event_type, version: SchemaVersion(number.parse().ok()?) };
        (dataschema.to_string() == uri).then_some(dataschema)
    }
}

impl fmt::Display for DataSchema<'_> {
    /// The type with everything but unreserved characters percent-encoded (RFC 3986 section 2.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for byte in self.event_type.as_str().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        write!(f, ":{}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_text_names_a_version() {
        let event_type: EventType = "com.example.Zahlung über/1".parse().unwrap();
        let uri = DataSchema { event_type: &event_type, version: SchemaVersion(12) }.to_string();
        assert_eq!(uri, "urn:lombard:schema:com.example.Zahlung%20%C3%BCber%2F1:12");
        assert!(is_own(&uri));
        let read = |uri: &str| DataSchema::parse(uri, &event_type).map(|read| read.version);
        assert_eq!(read(&uri), Some(SchemaVersion(12)));
        for wrong in
            ["", "urn:lombard:schema:a:1", &uri.replace(":12", ":012"), &uri.to_lowercase()]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
