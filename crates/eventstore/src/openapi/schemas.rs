//! What bodies look like.

use lombard_chassis::openapi::problem_schema;
use serde_json::{Value, json};

use super::{object, reference};

pub(super) fn all() -> Value {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let texts = json!({ "type": "array", "items": text });
    let decimal = json!({ "type": "string", "pattern": "^[0-9]+$" });
    let time = json!({ "type": "string", "format": "date-time" });
    let list = |schema: &str| json!({ "type": "array", "items": reference(schema) });
    let next = json!({ "type": ["string", "null"], "description": "What to ask the next page with, as after" });
    let receipts = json!({ "type": "array", "items": text, "minItems": 1 });
    json!({
        "Problem": problem_schema(),
        "CloudEvent": object(json!({
            "specversion": { "const": "1.0" }, "id": { "type": "string", "format": "uuid" }, "source": text,
            "type": text, "subject?": text, "time?": time, "datacontenttype?": text, "dataschema?": text,
            "tags?": { "type": "string", "description": "Separated by commas" }, "data?": true, "data_base64?": text,
            "stream?": { "readOnly": true, "type": "string" }, "revision?": { "readOnly": true, "type": "string" },
            "position?": { "readOnly": true, "type": "string" },
            "storetime?": { "readOnly": true, "type": "string", "format": "date-time" },
        })),
        "StreamPage": object(json!({ "items": list("Stream"), "next": next })),
        "Stream": object(json!({ "stream": text, "last_revision": decimal, "last_position": decimal })),
        "Range": object(json!({
            "stream": text, "first_revision": decimal, "last_revision": decimal, "first_position": decimal,
            "last_position": decimal,
        })),
        "Appended": { "allOf": [
            reference("Range"),
            object(json!({ "log_position": decimal, "recorded_at": time })),
        ] },
        "Append": object(json!({
            "streams": { "type": "array", "items": object(json!({
                "stream": text, "expected?": text, "events": list("CloudEvent"),
            })) },
            "condition?": object(json!({ "none_of": list("Criterion"), "after?": decimal })),
        })),
        "AppendedToStreams": object(json!({
            "streams": list("Range"), "log_position": decimal, "recorded_at": time,
        })),
        "Criterion": object(json!({ "types?": texts, "tags?": texts })),
        "Snapshot": object(json!({ "stream_revision": decimal, "data": true })),
        "Metadata": { "type": "object" },
        "NewSchema": object(json!({ "schema": true, "upcast?": { "type": "array" } })),
        "SchemaSummary": object(json!({ "type": text, "version": number, "dataschema": text })),
        "Schema": { "allOf": [
            reference("SchemaSummary"),
            object(json!({
                "log_position": decimal, "recorded_at": time, "schema": true, "upcast": { "type": "array" },
            })),
        ] },
        "Subject": object(json!({
            "subject": text, "state": { "enum": ["active", "erased"] },
            "log_position": { "type": ["string", "null"] }, "erased_at": { "type": ["string", "null"] },
        })),
        "SchemaPage": object(json!({ "items": list("SchemaSummary"), "next": next })),
        "GroupSettings": object(json!({
            "prefix?": { "type": ["string", "null"] },
            "query?": { "anyOf": [list("Criterion"), { "type": "null" }] },
            "start?": { "type": "string", "description": "beginning, end, or after:POSITION" },
            "order_by?": { "type": "string", "description": "stream, nothing, tag:BEGIN, or attribute:NAME" },
            "attempts_max?": number, "retry_ms_min?": number, "retry_ms_max?": number, "visibility_ms?": number,
            "in_flight_max?": number, "consumer_in_flight_max?": number,
        })),
        "Group": object(json!({
            "group": text, "settings": reference("GroupSettings"), "created_at": time, "created_by": text,
            "cursor": decimal, "read_to": decimal, "lag": number, "outstanding": number, "in_flight": number,
            "delayed": number, "dead_letters": number, "redelivered": number,
            "consumers": { "type": "array", "items": object(json!({ "consumer": text, "in_flight": number })) },
        })),
        "GroupPage": object(json!({ "items": list("Group"), "next": next })),
        "Pull": object(json!({ "consumer?": text, "count?": number, "wait_ms?": number, "visibility_ms?": number })),
        "Delivery": object(json!({
            "delivery_id": { "type": "string", "format": "uuid" }, "receipt": text, "attempt": number,
            "deadline": time, "event": reference("CloudEvent"),
        })),
        "Deliveries": object(json!({ "deliveries": list("Delivery") })),
        "Receipts": object(json!({ "receipts": receipts })),
        "Nack": object(json!({
            "receipts": receipts, "delay_ms?": number, "dead_letter?": { "type": "boolean" }, "reason?": text,
        })),
        "Extension": object(json!({ "receipts": receipts, "visibility_ms": number })),
        "Results": object(json!({ "results": { "type": "array", "items": object(json!({
            "receipt": text, "result": { "enum": ["done", "already_settled", "lost", "dead", "unknown"] },
        })) } })),
        "DeadLetter": object(json!({
            "position": decimal, "delivery_id": { "type": "string", "format": "uuid" }, "attempts": number,
            "cause": { "enum": ["timed_out", "refused"] }, "reason": { "type": ["string", "null"] },
            "dead_at": time, "event": reference("CloudEvent"),
        })),
        "DeadLetterPage": object(json!({ "items": list("DeadLetter"), "next": next })),
        "Which": object(json!({ "all?": { "type": "boolean" }, "positions?": texts })),
        "Moved": object(json!({ "count": number })),
    })
}
