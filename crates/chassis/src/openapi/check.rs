//! What a role's tests hold its document to. Each answers what is wrong, one line each; nothing where all is right.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Operation;
use crate::{ProblemType, problems};

/// Methods and paths, as the source of a router says them: below `/v1/<role>`, where it says that too.
fn routes(source: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let path = below_role(route.split('"').nth(1).unwrap_or_default());
        let handlers = route.split("\n}").next().unwrap_or_default();
        for method in ["get", "post", "put", "delete", "patch"] {
            if [' ', '.'].iter().any(|before| handlers.contains(&format!("{before}{method}("))) {
                found.insert((method.to_owned(), path.clone()));
            }
        }
    }
    found
}

fn below_role(path: &str) -> String {
    let below = path.strip_prefix("/v1/").and_then(|rest| rest.split_once('/'));
    below.map_or_else(|| path.to_owned(), |(_, below)| format!("/{below}"))
}

/// Every route that the sources of routers say is described, and no other; no id is said twice.
pub fn routes_are_described(sources: &[&str], operations: &[&Operation]) -> Vec<String> {
    let routed: BTreeSet<_> = sources.iter().flat_map(|source| routes(source)).collect();
    let described: BTreeSet<_> =
        operations.iter().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
    let undescribed = routed
        .difference(&described)
        .map(|(method, path)| format!("{method} {path}: not described"));
    let unrouted =
        described.difference(&routed).map(|(method, path)| format!("{method} {path}: not routed"));
    let ids: BTreeSet<_> = operations.iter().map(|it| it.id).collect();
    let twice = (ids.len() != operations.len()).then(|| "an id is said twice".to_owned());
    undescribed.chain(unrouted).chain(twice).collect()
}

/// Operations name problems that there are, each once; each of the role's own is named somewhere.
pub fn problems_are_named(own: &[ProblemType], operations: &[&Operation]) -> Vec<String> {
    let known: BTreeSet<&str> = own.iter().chain(problems::ALL).map(|kind| kind.slug).collect();
    let mut wrong = Vec::new();
    let mut said = BTreeSet::new();
    for operation in operations {
        let mut seen = BTreeSet::new();
        for problem in operation.all_problems() {
            said.insert(problem.slug);
            if !known.contains(problem.slug) {
                wrong.push(format!("{}: {} is unknown", operation.id, problem.slug));
            }
            if !seen.insert(problem.slug) {
                wrong.push(format!("{}: {} is said twice", operation.id, problem.slug));
            }
        }
    }
    let unsaid = own.iter().filter(|own| !said.contains(own.slug));
    wrong.extend(unsaid.map(|own| format!("nothing answers {}", own.slug)));
    wrong
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The document refers to schemas that there are, and to each.
pub fn schemas_are_used(document: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    let used: BTreeSet<_> = found.iter().filter_map(|it| it.rsplit('/').next()).collect();
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let there: BTreeSet<_> = schemas.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let missing = used.difference(&there).map(|name| format!("{name} is not there"));
    missing.chain(there.difference(&used).map(|name| format!("{name} is not used"))).collect()
}

/// JSON whose upper levels have a line for each member: what changes is seen, and the rest is short.
pub fn lines(value: &Value, levels: usize) -> String {
    let Some(members) = value.as_object().filter(|members| levels > 0 && !members.is_empty())
    else {
        return value.to_string();
    };
    let line =
        |(name, value): (&String, &Value)| format!("{}: {}", json!(name), lines(value, levels - 1));
    format!("{{\n{}\n}}", members.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

/// Compares the document with a golden file, or writes that where `LOMBARD_BLESS` is set.
pub fn is_golden(document: &Value, file: &std::path::Path) -> std::io::Result<bool> {
    if std::env::var_os("LOMBARD_BLESS").is_some() {
        std::fs::write(file, format!("{}\n", lines(document, 3)))?;
    }
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    Ok(golden == *document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::{About, JSON, document, problem_schema};

    const OPERATION: Operation = Operation {
        method: "get",
        path: "/things/{id}",
        id: "getThing",
        summary: "A thing",
        scope: "things:read",
        query: &[],
        headers: &[],
        body: &[],
        status: 200,
        answer: "It",
        content: &[(JSON, "Thing")],
        problems: &[],
    };

    #[test]
    fn what_is_wrong_is_told() {
        let right = r#"router.route("/things/{id}", get(thing))"#;
        assert_eq!(routes_are_described(&[right], &[&OPERATION]), Vec::<String>::new());
        let whole = r#"router.route("/v1/store/things/{id}", get(thing))"#;
        assert_eq!(routes_are_described(&[whole], &[&OPERATION]), Vec::<String>::new());
        let more = r#".route("/things/{id}", get(thing).delete(remove))"#;
        let told = routes_are_described(&[more], &[&OPERATION, &OPERATION]);
        assert_eq!(told, ["delete /things/{id}: not described", "an id is said twice"]);
        assert_eq!(routes_are_described(&[""], &[&OPERATION]), ["get /things/{id}: not routed"]);
        let own = ProblemType::new(404, "stream-not-found", "Stream not found");
        assert_eq!(problems_are_named(&[own], &[&OPERATION]), ["nothing answers stream-not-found"]);
        let about = About { title: "t", version: "1", description: "d", prefix: "/v1" };
        let schemas = json!({ "Problem": problem_schema(), "Other": {} });
        let said = document(about, std::iter::once(&OPERATION), schemas);
        assert_eq!(schemas_are_used(&said), ["Thing is not there", "Other is not used"]);
    }
}
