//! The ledger's HTTP interface, both sides of it, as an OpenAPI 3.1 document: it says what the routers serve, and is the
//! golden file. `LOMBARD_BLESS=1 cargo test -p lombard-ledger --test openapi` writes it.

use std::path::Path;

use lombard_chassis::openapi::{About, Operation, check, document};
use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/ledger.json");
/// Where the routes are.
const ROUTERS: [&str; 2] =
    [include_str!("../src/rest/mod.rs"), include_str!("../../query/src/rest/mod.rs")];
const NOTHING: Vec<String> = Vec::new();

fn operations() -> Vec<&'static Operation> {
    let written = lombard_ledger::openapi::OPERATIONS.iter();
    written.chain(lombard_query::openapi::OPERATIONS).collect()
}

fn ledger() -> Value {
    let about = About {
        title: "Lombard ledger",
        version: env!("CARGO_PKG_VERSION"),
        description: "Double-entry books. Amounts are decimal strings in units of the asset; numbers that can be large are strings.",
        prefix: "/v1/ledger",
    };
    document(about, operations().into_iter(), lombard_ledger_api::schemas())
}

#[test]
fn it_describes_every_route_and_no_other() {
    assert_eq!(check::routes_are_described(&ROUTERS, &operations()), NOTHING);
}

#[test]
fn it_names_every_problem_of_both_sides() {
    let mut all = lombard_ledger::problem::ALL.to_vec();
    all.extend_from_slice(lombard_query::problem::ALL);
    assert_eq!(check::problems_are_named(&all, &operations()), NOTHING);
}

#[test]
fn it_refers_to_schemas_that_there_are_and_uses_each() {
    assert_eq!(check::schemas_are_used(&ledger()), NOTHING);
}

#[test]
fn it_is_the_golden_file() {
    let is_same = check::is_golden(&ledger(), Path::new(GOLDEN)).unwrap();
    assert!(is_same, "openapi/ledger.json is not what the code says: LOMBARD_BLESS=1 writes it");
}
