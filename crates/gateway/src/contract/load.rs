//! From an OpenAPI document to a contract, or all that is wrong with it.

use std::path::Path;

use boon::{Compiler, Draft, SchemaIndex, Schemas, UrlLoader};
use http::{HeaderName, Method, header};
use lombard_gateway_core::{End, HostPattern, Pattern, RouteIndex, Rule};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    Contract, Operation,
    body::{Body, Media},
    document::Node,
    parameter::{Form, Kind, Parameter, Place},
};

/// A document that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{0}")]
    Read(#[from] std::io::Error),
    #[error("it is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("openapi is not 3.1")]
    Version,
    #[error("it has more than {OPERATIONS_MAX} operations")]
    TooMany,
    /// Where, and what.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
}

/// Longest document.
const BYTES_MAX: u64 = 4 << 20;
/// Most operations.
const OPERATIONS_MAX: usize = 2000;
/// What the document is called while its schemas are compiled.
const NAME: &str = "urn:lombard:openapi";
/// What may stand in the fragment of a URL, of a JSON Pointer.
const POINTER: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'~').remove(b'-').remove(b'_').remove(b'.');

/// Reads a document.
pub(crate) fn load(path: &Path) -> Result<Contract, LoadError> {
    if std::fs::metadata(path)?.len() > BYTES_MAX {
        return Err(LoadError::TooLong);
    }
    from_document(&serde_json::from_slice(&std::fs::read(path)?)?)
}

pub(super) fn from_document(document: &Value) -> Result<Contract, LoadError> {
    let root = Node::root(document);
    if !root.text("openapi").is_some_and(|version| version.starts_with("3.1.")) {
        return Err(LoadError::Version);
    }
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.use_loader(Box::new(NoLoader));
    let mut loader = Loader { compiler, schemas: Schemas::new(), mistakes: Vec::new(), count: 0 };
    if let Err(error) = loader.compiler.add_resource(NAME, document.clone()) {
        loader.mistakes.push(format!("{error:#}"));
    }
    let base = base_path(&root);
    let (mut rules, mut items) = (Vec::new(), Vec::new());
    for (text, item) in root.plain("paths").iter().flat_map(Node::members) {
        let full = format!("{base}{text}");
        let Some(item) = item.clone().followed() else {
            loader.mistake(&item, "its reference leads nowhere in the document");
            continue;
        };
        match Pattern::parse(&full, End::Exact) {
            Ok(pattern) => {
                items.push(loader.item(&item, &pattern));
                let (host, methods, headers) = (HostPattern::Any, Vec::new(), Vec::new());
                rules.push(Rule { host, pattern, methods, headers });
            }
            Err(error) => loader.mistake(&item, &error.to_string()),
        }
    }
    if loader.count > OPERATIONS_MAX {
        return Err(LoadError::TooMany);
    }
    let Loader { schemas, mut mistakes, .. } = loader;
    let index = RouteIndex::new(rules).unwrap_or_else(|_| {
        mistakes.push("paths: too many of them are alike".to_owned());
        RouteIndex::default()
    });
    if mistakes.is_empty() {
        Ok(Contract { index, items, schemas })
    } else {
        Err(LoadError::Mistakes(mistakes))
    }
}

/// Schemas refer to nothing outside of the document.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err("documents are not fetched".into())
    }
}

/// The path of the first server's URL, below which all paths are.
fn base_path(root: &Node<'_>) -> String {
    let servers = root.value.get("servers").and_then(Value::as_array);
    let url = servers.and_then(|servers| servers.first()?.get("url")?.as_str()).unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|start| rest.get(start..)).unwrap_or_default(),
        None => url,
    };
    path.trim_end_matches('/').to_owned()
}

struct Loader {
    compiler: Compiler,
    schemas: Schemas,
    mistakes: Vec<String>,
    count: usize,
}

impl Loader {
    fn mistake(&mut self, node: &Node<'_>, text: &str) {
        self.mistakes.push(format!("{}: {text}", node.pointer));
    }

    fn item(&mut self, item: &Node<'_>, pattern: &Pattern) -> Vec<(Method, Operation)> {
        const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
        let mut operations = Vec::new();
        for name in METHODS {
            let Some(operation) = item.plain(name) else { continue };
            let Ok(method) = Method::from_bytes(name.to_ascii_uppercase().as_bytes()) else {
                continue;
            };
            self.count += 1;
            let body = operation.plain("requestBody").and_then(|body| self.body(&body));
            let parameters = self.parameters(item, &operation, pattern);
            operations.push((method, Operation { parameters, body }));
        }
        operations
    }

    /// Those of the operation, and those of its path that it does not replace.
    fn parameters(
        &mut self,
        item: &Node<'_>,
        operation: &Node<'_>,
        pattern: &Pattern,
    ) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for list in [operation, item].into_iter().filter_map(|node| node.plain("parameters")) {
            for node in list.elements() {
                let Some(node) = node else {
                    self.mistake(&list, "a reference leads nowhere in the document");
                    continue;
                };
                let Some(parameter) = self.parameter(&node, pattern) else { continue };
                let is_known = |known: &Parameter| {
                    known.name == parameter.name && known.place == parameter.place
                };
                if !parameters.iter().any(is_known) {
                    parameters.push(parameter);
                }
            }
        }
        parameters
    }

    fn parameter(&mut self, node: &Node<'_>, pattern: &Pattern) -> Option<Parameter> {
        let name = node.text("name").unwrap_or_default();
        let place = match node.text("in") {
            Some("query") => Place::Query,
            // The gateway's own business, whatever the document says (OpenAPI says so too).
            Some("header")
                if ["accept", "content-type", "authorization"]
                    .iter()
                    .any(|own| name.eq_ignore_ascii_case(own)) =>
            {
                return None;
            }
            Some("header") => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(header) if header != header::COOKIE => Place::Header(header),
                _ => {
                    self.mistake(node, "its name is not that of a header");
                    return None;
                }
            },
            Some("path") => match pattern.parameters().position(|known| known == name) {
                Some(index) => Place::Path(index),
                None => {
                    self.mistake(node, "the path has no such parameter");
                    return None;
                }
            },
            // Cookies are for the service.
            Some("cookie") => return None,
            _ => {
                self.mistake(node, "in is not path, query, header or cookie");
                return None;
            }
        };
        let is_required = node.is_set("required") || matches!(place, Place::Path(_));
        let Some(schema) = node.plain("schema") else {
            // Of one that is described by a media type it is only known whether it is there.
            return Some(Parameter {
                name: name.into(),
                place,
                is_required,
                form: Form::One(Kind::Text),
                schema: None,
            });
        };
        let form = self.form(node, &schema, &place)?;
        let schema = self.compile(&schema);
        Some(Parameter { name: name.into(), place, is_required, form, schema })
    }

    fn form(&mut self, node: &Node<'_>, schema: &Node<'_>, place: &Place) -> Option<Form> {
        let style = node.text("style");
        let is_usual = match place {
            Place::Query => matches!(style, None | Some("form")),
            Place::Path(_) | Place::Header(_) => matches!(style, None | Some("simple")),
        };
        let schema = schema.clone().followed();
        let kind = schema.as_ref().map(kind_of);
        let element =
            || schema.as_ref().and_then(|schema| schema.get("items")).map(|items| kind_of(&items));
        match kind {
            Some("array") if is_usual => {
                let element = scalar(element().unwrap_or_default());
                let explodes = node.value.get("explode").and_then(Value::as_bool).unwrap_or(true);
                let is_repeated = *place == Place::Query && explodes;
                Some(if is_repeated { Form::Repeated(element) } else { Form::List(element) })
            }
            Some("object" | "array") => {
                self.mistake(node, "only values and lists in the usual style can be checked");
                None
            }
            kind => Some(Form::One(scalar(kind.unwrap_or_default()))),
        }
    }

    fn body(&mut self, node: &Node<'_>) -> Option<Body> {
        let Some(node) = node.clone().followed() else {
            self.mistake(node, "its reference leads nowhere in the document");
            return None;
        };
        let mut media = Vec::new();
        for (range, content) in node.plain("content").iter().flat_map(Node::members) {
            let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let schema = content.plain("schema").and_then(|schema| self.compile(&schema));
            media.push(Media { range: range.into(), schema });
        }
        Some(Body { is_required: node.is_set("required"), media })
    }

    fn compile(&mut self, schema: &Node<'_>) -> Option<SchemaIndex> {
        let location = format!("{NAME}#{}", utf8_percent_encode(&schema.pointer, POINTER));
        match self.compiler.compile(&location, &mut self.schemas) {
            Ok(index) => Some(index),
            Err(error) => {
                self.mistake(schema, &format!("{error:#}"));
                None
            }
        }
    }
}

/// The type of a schema, or the first one that is not null.
fn kind_of<'a>(schema: &Node<'a>) -> &'a str {
    match schema.value.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn scalar(kind: &str) -> Kind {
    match kind {
        "integer" | "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => Kind::Text,
    }
}
