//! What an OpenAPI document (3.1) says of the requests that a service takes, and whether a request is one of them.
//!
//! The document describes the service, so a request is judged as the service would see it: by the path that is forwarded.
//! Only requests are looked at. What is said twice in a JSON body is refused, since two readers may not agree on what counts.

mod body;
mod document;
mod load;
mod parameter;

use boon::{SchemaIndex, Schemas, ValidationError};
use http::{HeaderMap, Method};
use lombard_gateway_core::{Asked, HeaderRule, NormalPath, RouteIndex};
use serde_json::Value;

pub(crate) use self::load::load;
use self::{body::Body, parameter::Parameter};

/// The operations of a service.
pub(crate) struct Contract {
    /// Over the paths.
    index: RouteIndex,
    /// In the order of the index: the operations of each path, by method.
    items: Vec<Vec<(Method, Operation)>>,
    schemas: Schemas,
}

/// What is asked of a request.
pub(crate) struct Operation {
    parameters: Vec<Parameter>,
    body: Option<Body>,
}

/// Why a request is none that the service takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The service has no such path.
    Path,
    /// It has, but not with this method.
    Method,
    /// The body is of a kind that is not taken.
    MediaType,
    /// Something of it does not fit.
    Value(Misfit),
}

/// What does not fit, where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// `path`, `query`, `header` or `body`.
    pub(crate) place: &'static str,
    /// The parameter.
    pub(crate) name: Option<Box<str>>,
    /// Where in its value (JSON Pointer, RFC 6901).
    pub(crate) pointer: String,
    pub(crate) reason: String,
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract").field("paths", &self.items.len()).finish_non_exhaustive()
    }
}

/// An operation that a request is for, with the contract that it is of.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    contract: &'a Contract,
    operation: &'a Operation,
}

impl Contract {
    /// The operation of a request, whose path, query and headers fit it.
    pub(crate) fn check_head(
        &self,
        method: &Method,
        path: &NormalPath,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Asking<'_>, Mismatch> {
        let has_header = |_: &HeaderRule| true;
        let asked = Asked { host: "", path, method: "", has_header };
        let (number, captures) = self.index.find(&asked).ok_or(Mismatch::Path)?;
        let item = self.items.get(number).ok_or(Mismatch::Path)?;
        let found = item.iter().find(|(known, _)| known == method);
        let (_, operation) = found.ok_or(Mismatch::Method)?;
        for parameter in &operation.parameters {
            let values = parameter.values(path, &captures, query, headers);
            parameter.check(&values, &self.schemas).map_err(Mismatch::Value)?;
        }
        Ok(Asking { contract: self, operation })
    }
}

impl Asking<'_> {
    /// Whether the body must be read whole before it can be judged.
    pub(crate) fn needs_body(&self, headers: &HeaderMap) -> bool {
        self.operation.body.as_ref().is_some_and(|body| body.schema_of(headers).is_some())
    }

    /// Whether the request comes with a body that fits. `whole`: the body, where it had to be read.
    pub(crate) fn check_body(
        &self,
        headers: &HeaderMap,
        is_empty: bool,
        whole: Option<&[u8]>,
    ) -> Result<(), Mismatch> {
        match &self.operation.body {
            Some(body) => body.check(headers, is_empty, whole, &self.contract.schemas),
            // Nothing is said of a body.
            None => Ok(()),
        }
    }
}

fn validate(schemas: &Schemas, schema: SchemaIndex, value: &Value) -> Result<(), (String, String)> {
    schemas.validate(value, schema).map_err(|error| first(&error))
}

/// The first thing that is wrong: of an alternative that nothing meets, the first alternative's.
fn first(error: &ValidationError<'_, '_>) -> (String, String) {
    let mut error = error;
    while let Some(cause) = error.causes.first() {
        error = cause;
    }
    (error.instance_location.to_string(), error.kind.to_string())
}

#[cfg(test)]
mod tests;
