//! What the data of an event type must look like.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EventStore, PREFIX, number, segment};
use crate::{Call, Error};

/// A version of a type's schema.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SchemaVersion {
    /// The event type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its number, from 1.
    pub version: u32,
    /// What an event says in `dataschema` to be checked against it.
    pub dataschema: String,
}

/// A version of a type's schema, and what it says.
#[derive(Clone, Debug, Deserialize)]
pub struct Schema {
    /// Which it is.
    #[serde(flatten)]
    pub version: SchemaVersion,
    /// The record of the log that holds it.
    #[serde(deserialize_with = "number")]
    pub log_position: u64,
    /// When it was put (RFC 3339).
    pub recorded_at: String,
    /// The JSON Schema.
    pub schema: Value,
    /// The steps that bring data of the version before into this one.
    pub upcast: Value,
}

/// What putting a schema did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaPut {
    /// The newest version of the type's schema.
    pub version: SchemaVersion,
    /// Whether it is new; else the same was there.
    pub is_new: bool,
}

impl EventStore {
    /// Makes a new version of a type's schema; the same as the newest makes none. `upcast` is the list of steps that bring
    /// data of the version before into this one. `expected` is the newest version that the caller knows of, 0 for none;
    /// a conflict where it is another. Needs the scope `events:schema:<type>`.
    pub async fn put_schema(
        &self,
        kind: &str,
        schema: &Value,
        upcast: Option<&Value>,
        expected: Option<u32>,
    ) -> Result<SchemaPut, Error> {
        let mut body = json!({ "schema": schema });
        if let (Some(upcast), Some(body)) = (upcast, body.as_object_mut()) {
            body.insert("upcast".to_owned(), upcast.clone());
        }
        let call = |url| {
            let call = Call::new(Method::PUT, url).json(body).repeatable();
            match expected {
                None => call,
                Some(0) => call.header("if-none-match", "*"),
                Some(version) => call.header("if-match", format!("\"{version}\"")),
            }
        };
        let path = format!("/schemas/{}", segment(kind));
        let put = self.platform.call(PREFIX, &path, call).await?;
        Ok(SchemaPut { version: put.body, is_new: put.status == StatusCode::CREATED })
    }

    /// A version of a type's schema, or the newest. Needs the scope `events:read` for anything, or
    /// `events:schema:<type>`.
    pub async fn schema(&self, kind: &str, version: Option<u32>) -> Result<Schema, Error> {
        let call = |url| {
            let call = Call::new(Method::GET, url);
            version.into_iter().fold(call, |call, version| call.query("version", version))
        };
        Ok(self.platform.call(PREFIX, &format!("/schemas/{}", segment(kind)), call).await?.body)
    }

    /// The newest schema of each type whose name begins so. Needs the scope `events:read` for anything.
    pub async fn schemas(&self, prefix: &str) -> Result<Vec<SchemaVersion>, Error> {
        self.all("/schemas", Some(("prefix", prefix))).await
    }
}
