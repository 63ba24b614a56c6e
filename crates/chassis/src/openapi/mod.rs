//! A role's HTTP interface as an OpenAPI 3.1 document, made from tables.
//!
//! A role says what it serves in a table of [`Operation`]s and what bodies look like in a map of schemas. [`check`] holds
//! them to the routes in the source, to each other, and to the golden file that is for those who make clients.

pub mod check;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{ProblemType, problems};

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `get`, `post`, `put` or `delete`.
    pub method: &'static str,
    /// Below the prefix, as the router has it.
    pub path: &'static str,
    /// What clients call it by.
    pub id: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What the token must permit.
    pub scope: &'static str,
    /// Parameters of the query string.
    pub query: &'static [Parameter],
    /// Headers that mean something to it.
    pub headers: &'static [Parameter],
    /// Media types of the request's body, each with its schema.
    pub body: &'static [Content],
    /// Of a good answer.
    pub status: u16,
    /// What a good answer says.
    pub answer: &'static str,
    /// Media types of the answer's body, each with its schema.
    pub content: &'static [Content],
    /// Beside those that every operation may answer.
    pub problems: &'static [ProblemType],
}

/// A name, and what it says.
pub type Parameter = (&'static str, &'static str);
/// A media type and a schema; of an array, `list of` its items' schema.
pub type Content = (&'static str, &'static str);

/// The media type of most bodies.
pub const JSON: &str = "application/json";

/// What every operation may answer.
const COMMON: &[ProblemType] = &[
    problems::UNAUTHENTICATED,
    problems::INSUFFICIENT_SCOPE,
    problems::AUTH_AWAY,
    problems::INVALID_PATH,
    problems::INVALID_QUERY,
    problems::OVERLOADED,
    problems::STOPPING,
    problems::INTERNAL,
];
/// What an operation with a body may answer beside them.
const WITH_BODY: &[ProblemType] = &[
    problems::UNSUPPORTED_MEDIA_TYPE,
    problems::BODY_TOO_LARGE,
    problems::BODY_INCOMPLETE,
    problems::MALFORMED_JSON,
    problems::INVALID_BODY,
];

/// What the document says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its title.
    pub title: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// What the role does.
    pub description: &'static str,
    /// What all paths begin with, such as `/v1/ledger`.
    pub prefix: &'static str,
}

/// The document. `schemas` is a map of names to JSON schemas.
pub fn document<'a>(
    about: About,
    operations: impl Iterator<Item = &'a Operation>,
    schemas: Value,
) -> Value {
    let About { title, version, description, prefix } = about;
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        // What a router calls the rest of the path is a parameter like any other.
        let path = format!("{prefix}{}", operation.path.replace("{*", "{"));
        let path = paths.entry(path).or_default();
        path.insert(operation.method.to_owned(), operation.describe());
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version, "description": description },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": format!("An access token (RFC 9068) for the gateway's {prefix}"),
            } },
        },
        "security": [{ "token": [] }],
    })
}

impl Operation {
    fn describe(&self) -> Value {
        let mut described = Map::new();
        let mut say = |name: &str, value: Value| drop(described.insert(name.to_owned(), value));
        say("operationId", self.id.into());
        say("summary", self.summary.into());
        say("description", format!("Needs the scope {}.", self.scope).into());
        say("parameters", self.parameters().into());
        say("responses", self.responses().into());
        if !self.body.is_empty() {
            say("requestBody", json!({ "required": true, "content": content(self.body) }));
        }
        described.into()
    }

    fn parameters(&self) -> Vec<Value> {
        let parameter = |place: &str, name: &str, description: &str| {
            json!({
                "in": place, "name": name, "required": place == "path",
                "description": description, "schema": { "type": "string" },
            })
        };
        let in_path =
            self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path.map(|name| name.trim_start_matches('*'));
        let in_path = in_path.map(|name| parameter("path", name, &format!("The {name}'s name")));
        let in_query = self.query.iter().map(|(name, what)| parameter("query", name, what));
        let in_head = self.headers.iter().map(|(name, what)| parameter("header", name, what));
        in_path.chain(in_query).chain(in_head).collect()
    }

    fn responses(&self) -> Map<String, Value> {
        let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
        for problem in self.all_problems() {
            by_status.entry(problem.status).or_default().push(problem.slug);
        }
        let refused = |(status, mut slugs): (u16, Vec<&'static str>)| {
            slugs.sort_unstable();
            let types: Vec<String> =
                slugs.iter().map(|slug| format!("urn:lombard:error:{slug}")).collect();
            let problem = json!({ "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                { "properties": { "type": { "enum": types } } },
            ] });
            let content = json!({ "application/problem+json": { "schema": problem } });
            let described = json!({ "description": slugs.join(", "), "content": content });
            (status.to_string(), described)
        };
        let mut responses: Map<String, Value> = by_status.into_iter().map(refused).collect();
        let answer = match self.content {
            [] => json!({ "description": self.answer }),
            some => json!({ "description": self.answer, "content": content(some) }),
        };
        responses.insert(self.status.to_string(), answer);
        responses
    }

    /// All problems that it may answer.
    pub fn all_problems(&self) -> impl Iterator<Item = &'static ProblemType> {
        let with_body: &'static [ProblemType] = if self.body.is_empty() { &[] } else { WITH_BODY };
        COMMON.iter().chain(with_body).chain(self.problems)
    }
}

fn content(content: &[Content]) -> Value {
    let describe = |(media_type, schema): &Content| {
        let schema = match schema.strip_prefix("list of ") {
            Some(item) => json!({ "type": "array", "items": reference(item) }),
            None => reference(schema),
        };
        ((*media_type).to_owned(), json!({ "schema": schema }))
    };
    content.iter().map(describe).collect::<Map<String, Value>>().into()
}

/// A reference to a schema of the document.
pub fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// An object with these members, those that end in `?` being optional.
pub fn object(members: Value) -> Value {
    let Value::Object(members) = members else { return Value::Null };
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        match name.strip_suffix('?') {
            Some(optional) => drop(properties.insert(optional.to_owned(), schema)),
            None => {
                required.push(name.clone());
                properties.insert(name, schema);
            }
        }
    }
    // Whatever order a map has that the features of a build choose.
    required.sort_unstable();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The schema `Problem`, which every document needs.
pub fn problem_schema() -> Value {
    let text = json!({ "type": "string" });
    object(json!({
        "type": { "type": "string", "format": "uri" }, "title": text,
        "status": { "type": "integer", "minimum": 0 },
        "detail?": text, "instance?": text, "request_id?": text,
    }))
}
