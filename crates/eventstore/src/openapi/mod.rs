//! The HTTP interface as an OpenAPI 3.1 document.
//!
//! It is made from tables that stand here: `operations` and `schemas`. A test compares the tables with the routes of
//! the router and with the table of problems, and the document with `openapi/eventstore.json`, which is for those who make
//! clients. After a change: `LOMBARD_BLESS=1 cargo nextest run -p lombard-eventstore openapi`.

mod group_operations;
mod operations;
mod schemas;
#[cfg(test)]
mod tests;

use lombard_chassis::openapi::{
    self, About, Content, JSON, Operation, Parameter, object, reference,
};
use serde_json::Value;

fn operations() -> impl Iterator<Item = &'static Operation> {
    operations::ALL.iter().chain(group_operations::ALL)
}

/// The document.
pub fn document() -> Value {
    let about = About {
        title: "Lombard event store",
        version: env!("CARGO_PKG_VERSION"),
        description: "Streams of CloudEvents, and consumer groups. Numbers that can be large are strings.",
        prefix: "/v1/eventstore",
    };
    openapi::document(about, operations(), schemas::all())
}
