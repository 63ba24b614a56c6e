//! Writes an event as clients read it: what was appended, and what the store knows of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lombard_eventstore_core::{Placed, Tag};

use super::{Data, Extension, TAGS, TRACEPARENT, json::ObjectWriter};
use crate::showing::Shown;

/// The event as a JSON object of its own.
pub(crate) fn to_json(shown: &Shown<'_>) -> String {
    let mut json = String::new();
    write(shown, &mut json);
    json
}

/// Appends the event as a JSON object to `out`. Revision and position are strings: CloudEvents integers end at 2^31, and
/// many programs round larger ones.
pub(crate) fn write(shown: &Shown<'_>, out: &mut String) {
    let Shown { placed, recorded, evidence, content } = shown;
    let Placed { stream, revision, position, event } = placed;
    let mut object = ObjectWriter::begin(out);
    object.text("specversion", "1.0");
    object.text("id", &event.id.to_string());
    object.text("source", &content.source);
    object.text("type", event.event_type.as_str());
    object.optional("subject", content.subject.as_deref());
    object.optional("time", content.time.as_deref());
    object.optional("dataschema", content.data_schema.as_deref());
    if !event.tags.is_empty() {
        let tags: Vec<&str> = event.tags.iter().map(Tag::as_str).collect();
        object.text(TAGS, &tags.join(","));
    }
    object.text("stream", stream.as_str());
    object.text("revision", &revision.to_string());
    object.text("position", &position.to_string());
    object.text("storetime", &recorded.time.to_string());
    object.text("lombardlogposition", &recorded.position.to_string());
    object.text("lombardclient", evidence.client_id.as_str());
    object.text("lombardsubject", &evidence.subject);
    object.text("lombardtoken", &evidence.token_id);
    object.text("lombardrequestid", evidence.request_id.as_str());
    if !content.extensions.contains_key(TRACEPARENT) {
        object.optional(TRACEPARENT, evidence.traceparent.as_deref());
    }
    for (name, value) in &content.extensions {
        match value {
            Extension::Text(text) => object.text(name, text),
            Extension::Integer(number) => object.raw(name, &number.to_string()),
            Extension::Boolean(is_true) => object.raw(name, &is_true.to_string()),
        }
    }
    object.optional("datacontenttype", content.data_content_type.as_deref());
    match &content.data {
        Data::None => {}
        Data::Json(text) => object.raw("data", text),
        Data::Binary(data) => object.text("data_base64", &STANDARD.encode(data)),
    }
    object.end();
}
