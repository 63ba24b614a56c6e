//! The document says what the program does.

use std::path::Path;

use lombard_chassis::openapi::check;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/eventstore.json");
/// Where the routes are.
const ROUTERS: [&str; 2] = [include_str!("../rest/mod.rs"), include_str!("../rest/groups/mod.rs")];
const NOTHING: Vec<String> = Vec::new();

#[test]
fn openapi_describes_every_route_and_no_other() {
    let operations: Vec<_> = operations().collect();
    assert_eq!(check::routes_are_described(&ROUTERS, &operations), NOTHING);
    assert_eq!(check::problems_are_named(crate::problem::ALL, &operations), NOTHING);
}

#[test]
fn openapi_refers_to_schemas_that_there_are_and_uses_each() {
    assert_eq!(check::schemas_are_used(&document()), NOTHING);
}

#[test]
fn openapi_is_the_golden_file() {
    let is_same = check::is_golden(&document(), Path::new(GOLDEN)).unwrap();
    assert!(
        is_same,
        "openapi/eventstore.json is not what the code says: LOMBARD_BLESS=1 writes it"
    );
}
