//! The document says what the program does.

use std::{collections::BTreeSet, fs};

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/eventstore.json");
/// Where the routes are.
const ROUTERS: [&str; 2] = [include_str!("../rest/mod.rs"), include_str!("../rest/groups/mod.rs")];

/// Methods and paths, as the source of a router says them.
fn routes(source: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap().to_owned();
        let handlers = route.split("\n}").next().unwrap();
        for method in ["get", "post", "put", "delete", "patch"] {
            if [' ', '.'].iter().any(|before| handlers.contains(&format!("{before}{method}("))) {
                found.insert((method.to_owned(), path.clone()));
            }
        }
    }
    found
}

#[test]
fn openapi_describes_every_route_and_no_other() {
    let routed: BTreeSet<_> = ROUTERS.iter().flat_map(|source| routes(source)).collect();
    let described: BTreeSet<_> =
        operations().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
    assert_eq!(described, routed);
    let ids: BTreeSet<_> = operations().map(|it| it.id).collect();
    assert_eq!(ids.len(), operations().count(), "an id is said twice");
}

#[test]
fn openapi_names_problems_that_there_are() {
    let known: BTreeSet<&str> =
        crate::problem::ALL.iter().chain(problems::ALL).map(|kind| kind.slug).collect();
    for operation in operations() {
        let mut seen = BTreeSet::new();
        for problem in operation.all_problems() {
            assert!(known.contains(problem.slug), "{}: {}", operation.id, problem.slug);
            assert!(seen.insert(problem.slug), "{}: {} is said twice", operation.id, problem.slug);
        }
    }
    let said: BTreeSet<&str> =
        operations().flat_map(Operation::all_problems).map(|kind| kind.slug).collect();
    for own in crate::problem::ALL {
        assert!(said.contains(own.slug), "nothing answers {}", own.slug);
    }
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

#[test]
fn openapi_refers_to_schemas_that_there_are_and_uses_each() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let used: BTreeSet<_> = found.iter().map(|it| it.rsplit('/').next().unwrap()).collect();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(used, schemas.keys().map(String::as_str).collect());
}

/// JSON whose upper levels have a line for each member: what changes is seen, and the rest is short.
fn lines(value: &Value, levels: usize) -> String {
    let Some(members) = value.as_object().filter(|members| levels > 0 && !members.is_empty())
    else {
        return value.to_string();
    };
    let line =
        |(name, value): (&String, &Value)| format!("{}: {}", json!(name), lines(value, levels - 1));
    format!("{{\n{}\n}}", members.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

#[test]
fn openapi_is_the_golden_file() {
    let document = document();
    if std::env::var_os("LOMBARD_BLESS").is_some() {
        fs::write(GOLDEN, format!("{}\n", lines(&document, 3))).unwrap();
    }
    let golden: Value = serde_json::from_str(&fs::read_to_string(GOLDEN).unwrap()).unwrap();
    let is_same = golden == document;
    assert!(
        is_same,
        "openapi/eventstore.json is not what the code says: LOMBARD_BLESS=1 writes it"
    );
}
