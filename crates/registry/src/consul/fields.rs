//! JSON objects as Consul's clients write them: keys without regard to case, some in `snake_case`, `null` for nothing.

use std::time::Duration;

use lombard_chassis::{Problem, problems};
use serde_json::{Map, Value};

use super::duration;

/// An object; reading a member says where it does not fit.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

/// A body, of whatever media type it says to be.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new(&problems::INVALID_BODY).detail("the body is no JSON object")),
        Err(error) => Err(Problem::new(&problems::MALFORMED_JSON).detail(error.to_string())),
    }
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(object: &'a Map<String, Value>) -> Self {
        Self(object)
    }

    /// A member by its name in small letters without `_`. Of several spellings the first in alphabetical order counts.
    fn get(&self, name: &str) -> Option<&'a Value> {
        let is_it = |key: &String| {
            let spelled = key.chars().filter(|letter| *letter != '_');
            spelled.map(|letter| letter.to_ascii_lowercase()).eq(name.chars())
        };
        let (_, value) = self.0.iter().find(|(key, _)| is_it(key))?;
        Some(value).filter(|value| !value.is_null())
    }

    /// Whether a member is there and says something: clients also send what they do not want, as nothing.
    pub(crate) fn is_asked_for(&self, name: &'static str) -> bool {
        match self.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::Bool(true) | Value::Number(_)) => true,
        }
    }

    fn wrong(name: &str, expected: &str) -> Problem {
        Problem::new(&problems::INVALID_BODY).detail(format!("{name}: {expected}"))
    }

    /// A text; an empty one is none.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&'a str>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Self::wrong(name, "must be a text")),
        }
    }

    /// A number from 0 to 65535.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u16>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        number.map(Some).ok_or_else(|| Self::wrong(name, "must be a number from 0 to 65535"))
    }

    /// A duration in Go's syntax, or a number of nanoseconds, which is how Go encodes one that has no text form.
    pub(crate) fn duration(&self, name: &'static str) -> Result<Option<Duration>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => duration::parse(text)
                .map(Some)
                .map_err(|error| Self::wrong(name, &error.to_string())),
            Some(value) => value
                .as_u64()
                .map(|nanos| Some(Duration::from_nanos(nanos)))
                .ok_or_else(|| Self::wrong(name, "must be a duration")),
        }
    }

    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<&'a str>, Problem> {
        let wrong = || Self::wrong(name, "must be a list of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// A member whose keys are the user's own.
    pub(crate) fn map(&self, name: &'static str) -> Result<Vec<(&'a str, &'a str)>, Problem> {
        let wrong = || Self::wrong(name, "must be an object of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(members)) => members
                .iter()
                .map(|(key, value)| Ok((key.as_str(), value.as_str().ok_or_else(wrong)?)))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    pub(crate) fn object(&self, name: &'static str) -> Result<Option<Self>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self(object))),
            Some(_) => Err(Self::wrong(name, "must be an object")),
        }
    }

    pub(crate) fn objects(&self, name: &'static str) -> Result<Vec<Self>, Problem> {
        let wrong = || Self::wrong(name, "must be a list of objects");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_object().map(Self).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_have_many_spellings() {
        for key in [
            "DeregisterCriticalServiceAfter",
            "deregistercriticalserviceafter",
            "deregister_critical_service_after",
        ] {
            let object = object(json!({ key: "1m" }).to_string().as_bytes()).unwrap();
            let found = Fields::new(&object).duration("deregistercriticalserviceafter");
            assert_eq!(found.unwrap(), Some(Duration::from_secs(60)));
        }
        let object =
            object(br#"{"Port": null, "Tags": null, "Name": "", "TTL": 1000000}"#).unwrap();
        let fields = Fields::new(&object);
        assert_eq!(fields.number("port").unwrap(), None);
        assert_eq!(fields.texts("tags").unwrap(), Vec::<&str>::new());
        assert_eq!(fields.text("name").unwrap(), None);
        assert_eq!(fields.duration("ttl").unwrap(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let object =
            object(br#"{"Port": 65536, "Tags": [1], "Meta": {"a": 1}, "TTL": "x"}"#).unwrap();
        let fields = Fields::new(&object);
        let said = |problem: Problem| problem.detail_text().split(':').next().unwrap().to_owned();
        assert_eq!(said(fields.number("port").unwrap_err()), "port");
        assert_eq!(said(fields.texts("tags").unwrap_err()), "tags");
        assert_eq!(said(fields.map("meta").unwrap_err()), "meta");
        assert_eq!(said(fields.duration("ttl").unwrap_err()), "ttl");
        assert!(super::object(b"[]").is_err() && super::object(b"{").is_err());
    }
}
