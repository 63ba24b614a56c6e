//! Spans as OTLP in JSON. Ids are in hexadecimal digits, and numbers of 64 bits are texts (OTLP specification, "JSON Protobuf
//! Encoding"); attributes have the names of OpenTelemetry's semantic conventions, or begin with `lombard`.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::Ended;
use crate::plan::Label;

/// A span of the side that is asked (`SPAN_KIND_SERVER`).
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// What is posted to the collector. `instance`: tells this process from others.
pub(super) fn message(instance: &str, batch: &[Ended]) -> String {
    let spans: Vec<Value> = batch.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", "lombard-gateway"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", instance),
        ] },
        "scopeSpans": [{ "scope": { "name": "lombard.gateway" }, "spans": spans }],
    }] })
    .to_string()
}

fn span(ended: &Ended) -> Value {
    let route = match &ended.route {
        Some(Label::Route(policy)) => &*policy.name,
        Some(Label::Family(family)) => family.name(),
        None => "none",
    };
    let start = ended.start.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut attributes = vec![
        text("http.request.method", ended.method.as_str()),
        text("url.path", &ended.path),
        text("lombard.route", route),
        text("lombard.request_id", &ended.request_id),
        json!({ "key": "http.response.status_code", "value": { "intValue": ended.status.to_string() } }),
    ];
    let optional = [
        ("error.type", ended.refused),
        ("lombard.upstream", ended.upstream.as_ref().map(|upstream| &*upstream.name)),
        ("lombard.client", ended.claims.as_ref().map(|claims| &*claims.client_id)),
        ("enduser.id", ended.claims.as_ref().map(|claims| &*claims.subject)),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| Some(text(key, value?))));
    let mut span = json!({
        "traceId": format!("{:032x}", ended.span.trace_id),
        "spanId": format!("{:016x}", ended.span.id),
        "name": format!("{} {route}", ended.method),
        "kind": SERVER,
        "startTimeUnixNano": start.as_nanos().to_string(),
        "endTimeUnixNano": (start + ended.took).as_nanos().to_string(),
        "attributes": attributes,
        // What callers do wrong is no error of ours.
        "status": if ended.status >= 500 { json!({ "code": ERROR }) } else { json!({}) },
    });
    if let (Some(parent), Some(members)) = (ended.span.parent, span.as_object_mut()) {
        members.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
    }
    span
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
