//! Schemas compiled to what checks data, by the library `boon`.

use std::{collections::HashMap, error::Error, sync::Arc};

use boon::{CompileError, Compiler, Draft, SchemaIndex, Schemas, UrlLoader, ValidationError};
use lombard_eventstore_core::EventType;
use serde_json::Value;

use super::{InvalidSchema, SchemaVersion};

/// Data is not as its schema wants it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Mismatch {
    /// Where in the data (JSON Pointer, RFC 6901).
    pub(crate) pointer: String,
    /// The keyword of the schema that is not met; absent where none was reached.
    pub(crate) keyword: Option<String>,
    pub(crate) reason: String,
}

impl Mismatch {
    fn whole(reason: &str) -> Self {
        Self { pointer: String::new(), keyword: None, reason: reason.to_owned() }
    }

    pub(super) fn not_json() -> Self {
        Self::whole("the type has a schema, so its events must have JSON data")
    }

    pub(super) fn schema_unusable() -> Self {
        Self::whole("the type's schema can no longer be used: put a new version")
    }

    /// The first thing that is wrong: of an alternative that nothing meets, the first alternative's.
    fn first(error: &ValidationError<'_, '_>) -> Self {
        let mut error = error;
        while let Some(cause) = error.causes.first() {
            error = cause;
        }
        Self {
            pointer: error.instance_location.to_string(),
            keyword: error.kind.keyword_path().map(|path| path.keyword.to_owned()),
            reason: error.kind.to_string(),
        }
    }
}

/// A compiled schema.
pub(super) struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

/// Fetches nothing.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn Error>> {
        Err("schemas are not fetched".into())
    }
}

/// What the schema is called while it is compiled.
const NAME: &str = "urn:lombard:schema";

impl Validator {
    pub(super) fn compile(schema: &Value) -> Result<Self, InvalidSchema> {
        let invalid = |error: CompileError| {
            let (pointer, reason) = match &error {
                CompileError::ValidationError { src, .. } => {
                    let first = Mismatch::first(src);
                    (first.pointer, first.reason)
                }
                _ => (String::new(), format!("{error:#}")),
            };
            InvalidSchema::new(format!("/schema{pointer}"), reason)
        };
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(NoLoader));
        compiler.add_resource(NAME, schema.clone()).map_err(invalid)?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(NAME, &mut schemas).map_err(invalid)?;
        Ok(Self { schemas, index })
    }

    pub(super) fn check(&self, text: &str) -> Result<(), Mismatch> {
        let data: Value = serde_json::from_str(text)
            .map_err(|error| Mismatch::whole(&format!("the data is not JSON: {error}")))?;
        self.schemas.validate(&data, self.index).map_err(|error| Mismatch::first(&error))
    }
}

/// The compiled schemas that were used last.
pub(super) struct Validators {
    kept: HashMap<(EventType, SchemaVersion), Kept>,
    count_max: usize,
    uses: u64,
}

struct Kept {
    validator: Arc<Validator>,
    last_use: u64,
}

impl Validators {
    pub(super) fn new(count_max: usize) -> Self {
        Self { kept: HashMap::new(), count_max, uses: 0 }
    }

    pub(super) fn get(
        &mut self,
        event_type: &EventType,
        number: SchemaVersion,
    ) -> Option<Arc<Validator>> {
        self.uses += 1;
        let kept = self.kept.get_mut(&(event_type.clone(), number))?;
        kept.last_use = self.uses;
        Some(Arc::clone(&kept.validator))
    }

    pub(super) fn keep(
        &mut self,
        event_type: &EventType,
        number: SchemaVersion,
        validator: Arc<Validator>,
    ) -> Arc<Validator> {
        if self.kept.len() >= self.count_max {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.last_use);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.kept.remove(&oldest);
            }
        }
        let kept = Kept { validator: Arc::clone(&validator), last_use: self.uses };
        self.kept.insert((event_type.clone(), number), kept);
        validator
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mismatch_says_where() {
        let schema = json!({
            "type": "object",
            "properties": {
                "lines": {"type": "array", "items": {"properties": {"amount": {"pattern": "^[0-9]+$"}}}},
                "id": {"type": "string", "format": "uuid"},
            },
            "required": ["id"],
        });
        let validator = Validator::compile(&schema).unwrap();
        let id = "018f3c1e-0000-7000-8000-000000000000";
        for (data, expected) in [
            (json!({"id": id, "lines": [{"amount": "1"}]}), None),
            (
                json!({"id": id, "lines": [{"amount": "1"}, {"amount": "x"}]}),
                Some(("/lines/1/amount", "pattern")),
            ),
            (json!({"lines": []}), Some(("", "required"))),
            (json!({"id": "x"}), Some(("/id", "format"))),
            (json!(1), Some(("", "type"))),
        ] {
            let found = validator.check(&data.to_string());
            let found = found
                .err()
                .map(|mismatch| (mismatch.pointer, mismatch.keyword.unwrap_or_default()));
            let expected =
                expected.map(|(pointer, keyword)| (pointer.to_owned(), keyword.to_owned()));
            assert_eq!(found, expected, "{data}");
        }
    }

    #[test]
    fn a_schema_that_is_none_says_where() {
        let error =
            Validator::compile(&json!({"properties": {"a": {"type": "number "}}})).err().unwrap();
        assert_eq!(error.pointer, "/schema/properties/a/type");
        assert!(Validator::compile(&json!({"pattern": "("})).is_err());
        assert!(Validator::compile(&json!({"$ref": "https://a.example/s"})).is_err());
        assert!(Validator::compile(&json!({"$ref": "file:///etc/hostname"})).is_err());
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let mut validators = Validators::new(2);
        let validator = Arc::new(Validator::compile(&json!(true)).unwrap());
        let types: Vec<EventType> =
            ["a", "b", "c"].iter().map(|name| name.parse().unwrap()).collect();
        let version = SchemaVersion(1);
        let [a, b, c] = types.as_slice() else { unreachable!() };
        validators.keep(a, version, Arc::clone(&validator));
        validators.keep(b, version, Arc::clone(&validator));
        assert!(validators.get(a, version).is_some());
        validators.keep(c, version, validator);
        assert!(validators.get(b, version).is_none());
        assert!(validators.get(a, version).is_some() && validators.get(c, version).is_some());
    }
}
