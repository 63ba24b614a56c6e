//! The HTTP interface as an OpenAPI 3.1 document.
//!
//! It is made from tables that stand here: [`operations`] and [`schemas`]. A test compares the tables with the routes of
//! the router and with the table of problems, and the document with `openapi/eventstore.json`, which is for those who make
//! clients. After a change: `LOMBARD_BLESS=1 cargo nextest run -p lombard-eventstore openapi`.

mod group_operations;
mod operations;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use lombard_chassis::{ProblemType, problems};
use serde_json::{Map, Value, json};

/// One method of one path.
pub(crate) struct Operation {
    method: &'static str,
    /// Below the prefix, as the router has it.
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    /// What the token must permit.
    scope: &'static str,
    query: &'static [Parameter],
    headers: &'static [Parameter],
    /// Media types of the request's body, each with its schema.
    body: &'static [Content],
    status: u16,
    answer: &'static str,
    /// Media types of the answer's body, each with its schema.
    content: &'static [Content],
    /// Beside those that every operation may answer.
    problems: &'static [ProblemType],
}

/// A name, and what it says.
type Parameter = (&'static str, &'static str);
/// A media type and a schema.
type Content = (&'static str, &'static str);

const PREFIX: &str = "/v1/eventstore";
const JSON: &str = "application/json";

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

fn operations() -> impl Iterator<Item = &'static Operation> {
    operations::ALL.iter().chain(group_operations::ALL)
}

/// The document.
pub fn document() -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let path = paths.entry(format!("{PREFIX}{}", operation.path)).or_default();
        path.insert(operation.method.to_owned(), operation.describe());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lombard event store",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Streams of CloudEvents, and consumer groups. Numbers that can be large are strings.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "An access token (RFC 9068) for the gateway's /v1/eventstore",
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

    fn all_problems(&self) -> impl Iterator<Item = &'static ProblemType> {
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

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
