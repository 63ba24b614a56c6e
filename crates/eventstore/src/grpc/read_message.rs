//! From messages to what the store is asked to do. Values that have a grammar are checked here or in `prepare.rs`.

use std::{borrow::Cow, collections::BTreeMap};

use lombard_chassis::Problem;
use lombard_eventstore_core::{Condition, EventPosition, EventType, Expected, Query};
use lombard_proto::eventstore::v1::{self as proto, Existence, new_event, stream_append};
use lombard_types::{EventId, Revision};
use serde_json::value::RawValue;

use crate::{
    cloud_event::{self, CloudEvent, Data, EventContent, Extension, InvalidEvent, invalid},
    criteria, problem,
    query::Filter,
};

/// What an append expects of a stream.
pub(super) fn expected(part: &proto::StreamAppend) -> Result<Expected, Problem> {
    Ok(match &part.expected {
        None => Expected::Any,
        Some(stream_append::Expected::Revision(revision)) => {
            Expected::Exactly(Revision::new(*revision))
        }
        Some(stream_append::Expected::Existence(existence)) => {
            match Existence::try_from(*existence) {
                Ok(Existence::Absent) => Expected::NoStream,
                Ok(Existence::Present) => Expected::StreamExists,
                Ok(Existence::Unspecified) | Err(_) => {
                    return Err(problem::invalid_member(
                        "streams.existence",
                        "must be EXISTENCE_ABSENT or EXISTENCE_PRESENT",
                    ));
                }
            }
        }
    })
}

pub(super) fn condition(condition: &proto::Condition) -> Result<Condition, Problem> {
    let query = query(&condition.none_of)
        .map_err(|reason| problem::invalid_member("condition.none_of", reason))?;
    Ok(Condition { query, after: condition.after.map(EventPosition::new) })
}

pub(super) fn filter(filter: Option<&proto::Filter>) -> Result<Filter, Problem> {
    let Some(filter) = filter else {
        return Ok(Filter::default());
    };
    let query = match &filter.any_of[..] {
        [] => None,
        any_of => {
            Some(query(any_of).map_err(|reason| problem::invalid_member("filter.any_of", reason))?)
        }
    };
    let prefix = Some(&filter.stream_prefix).filter(|prefix| !prefix.is_empty());
    Ok(Filter { stream_prefix: prefix.map(|prefix| prefix.as_str().into()), query })
}

fn query(criteria: &[proto::Criterion]) -> Result<Query, String> {
    criteria::read(criteria.iter().map(|one| (&one.types[..], &one.tags[..])))
}

/// The events of one stream. Events next to each other often have one type; it is kept once.
pub(super) fn events(events: &[proto::NewEvent]) -> Result<Vec<CloudEvent<'_>>, Problem> {
    let mut read: Vec<CloudEvent<'_>> = Vec::with_capacity(events.len());
    for (index, sent) in events.iter().enumerate() {
        let known = read.last().map(|last| &last.event_type);
        let known = known.filter(|known| known.as_str() == sent.r#type).cloned();
        let event =
            event(sent, known).map_err(|error| problem::from_invalid_event(index, &error))?;
        read.push(event);
    }
    Ok(read)
}

fn event(sent: &proto::NewEvent, known: Option<EventType>) -> Result<CloudEvent<'_>, InvalidEvent> {
    let id = sent.id.first_chunk::<16>().filter(|_| sent.id.len() == 16);
    let id = id.ok_or_else(|| invalid("id", "must be a UUID of 16 bytes"))?;
    let id = EventId::from_u128(u128::from_be_bytes(*id))
        .map_err(|error| invalid("id", error.to_string()))?;
    let event_type = match known {
        Some(known) => known,
        None => sent.r#type.parse().map_err(|error| invalid("type", format!("{error}")))?,
    };
    let tags = sent.tags.iter().map(|tag| tag.parse()).collect::<Result<_, _>>();
    let tags = tags.map_err(|error| {
        let error: lombard_eventstore_core::ParseTagError = error;
        invalid(cloud_event::TAGS, error.to_string())
    })?;
    let content = EventContent {
        source: Cow::Borrowed(&sent.source),
        subject: sent.subject.as_deref().map(Cow::Borrowed),
        time: sent.time.as_deref().map(Cow::Borrowed),
        data_content_type: sent.data_content_type.as_deref().map(Cow::Borrowed),
        data_schema: sent.data_schema.as_deref().map(Cow::Borrowed),
        extensions: extensions(&sent.extensions)?,
        data: data(sent.data.as_ref())?,
        schema_version: sent.schema_version,
        ..EventContent::default()
    };
    Ok(CloudEvent { id, event_type, tags, content })
}

fn extensions(
    sent: &[proto::Extension],
) -> Result<BTreeMap<Cow<'_, str>, Extension<'_>>, InvalidEvent> {
    use proto::extension::Value;
    let mut extensions = BTreeMap::new();
    for proto::Extension { name, value } in sent {
        let value = match value {
            Some(Value::Text(text)) => Extension::Text(Cow::Borrowed(text)),
            Some(Value::Integer(number)) => Extension::Integer(*number),
            Some(Value::Boolean(is_true)) => Extension::Boolean(*is_true),
            None => return Err(invalid(name, "has no value")),
        };
        if extensions.insert(Cow::Borrowed(name.as_str()), value).is_some() {
            return Err(invalid(name, "is said twice"));
        }
    }
    Ok(extensions)
}

fn data(sent: Option<&new_event::Data>) -> Result<Data<'_>, InvalidEvent> {
    Ok(match sent {
        None => Data::None,
        Some(new_event::Data::Binary(bytes)) => Data::Binary(Cow::Borrowed(bytes)),
        Some(new_event::Data::Json(bytes)) => {
            let json: &RawValue = serde_json::from_slice(bytes)
                .map_err(|error| invalid("data", format!("must be JSON: {error}")))?;
            Data::Json(cloud_event::compact(json.get()))
        }
    })
}
