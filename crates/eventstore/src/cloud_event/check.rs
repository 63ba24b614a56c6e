//! What an event must be like, in whatever form it came.

use super::{CloudEvent, EventContent, Extension, TAGS, attribute, is_own_attribute};
use crate::subjects::{DATA_SUBJECT, SUBJECT_GRAMMAR, is_subject};

/// What one event may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) extensions_max: usize,
    pub(crate) attribute_bytes_max: usize,
    pub(crate) tags_max: usize,
}

/// An event is not a CloudEvent, or not one that the store takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attribute}: {reason}")]
pub(crate) struct InvalidEvent {
    pub(crate) attribute: String,
    pub(crate) reason: String,
}

/// The error of an attribute, or of what else has this name in the event.
pub(crate) fn invalid(attribute: &str, reason: impl Into<String>) -> InvalidEvent {
    InvalidEvent { attribute: attribute.to_owned(), reason: reason.into() }
}

/// Checks the values of an event, puts its tags in order, and finds its data subject among the extension attributes.
pub(crate) fn check(event: &mut CloudEvent<'_>, limits: Limits) -> Result<(), InvalidEvent> {
    check_length("type", event.event_type.as_str(), limits)?;
    check_content(&event.content, limits)?;
    find_subject(&mut event.content)?;
    let tags = &mut event.tags;
    let bytes = tags.iter().map(|tag| tag.as_str().len() + 1).sum::<usize>().saturating_sub(1);
    check_bytes(TAGS, bytes, limits)?;
    tags.sort_unstable();
    tags.dedup();
    let (count, count_max) = (tags.len(), limits.tags_max);
    if count > count_max {
        return Err(invalid(TAGS, format!("{count} are over the limit of {count_max}")));
    }
    Ok(())
}

fn find_subject(content: &mut EventContent<'_>) -> Result<(), InvalidEvent> {
    content.data_subject = match content.extensions.remove(DATA_SUBJECT) {
        None => None,
        Some(Extension::Text(subject)) if is_subject(&subject) => Some(subject),
        Some(_) => return Err(invalid(DATA_SUBJECT, SUBJECT_GRAMMAR)),
    };
    Ok(())
}

fn check_content(content: &EventContent<'_>, limits: Limits) -> Result<(), InvalidEvent> {
    let EventContent { source, subject, time, data_content_type, data_schema, .. } = content;
    let attributes: [Attribute<'_>; 5] = [
        ("source", Some(source), attribute::is_uri_reference, "must be a URI reference"),
        ("subject", subject.as_deref(), |_| true, ""),
        (
            "time",
            time.as_deref(),
            attribute::is_instant,
            "must be an RFC 3339 instant from 1970 on, such as 2026-01-31T09:30:00Z",
        ),
        (
            "datacontenttype",
            data_content_type.as_deref(),
            attribute::is_media_type,
            "must be a media type",
        ),
        ("dataschema", data_schema.as_deref(), attribute::is_uri, "must be a URI"),
    ];
    for (name, value, fits, wanted) in attributes {
        let Some(text) = value else { continue };
        check_text(name, text, limits)?;
        if text.is_empty() {
            return Err(invalid(name, "must not be empty"));
        }
        if !fits(text) {
            return Err(invalid(name, wanted));
        }
    }
    for (at, (name, value)) in content.extensions.iter().enumerate() {
        check_extension_name(name)?;
        check_length(name, name, limits)?;
        if at == limits.extensions_max {
            let reason = format!("is over the limit of {at} extension attributes");
            return Err(invalid(name, reason));
        }
        if let Extension::Text(text) = value {
            check_text(name, text, limits)?;
        }
    }
    Ok(())
}

/// Name, value, whether a value is one, and what it must be.
type Attribute<'a> = (&'a str, Option<&'a str>, fn(&str) -> bool, &'a str);

/// Whether a client may give an extension attribute this name.
pub(super) fn check_extension_name(name: &str) -> Result<(), InvalidEvent> {
    if !attribute::is_attribute_name(name) {
        let reason = "names of attributes are made of small letters and digits only";
        return Err(invalid(name, reason));
    }
    if is_own_attribute(name) {
        return Err(invalid(name, "is set by the store"));
    }
    Ok(())
}

fn check_text(name: &str, text: &str, limits: Limits) -> Result<(), InvalidEvent> {
    check_length(name, text, limits)?;
    if text.chars().any(char::is_control) {
        return Err(invalid(name, "must not have control characters"));
    }
    Ok(())
}

fn check_length(name: &str, text: &str, limits: Limits) -> Result<(), InvalidEvent> {
    check_bytes(name, text.len(), limits)
}

fn check_bytes(name: &str, bytes: usize, limits: Limits) -> Result<(), InvalidEvent> {
    let bytes_max = limits.attribute_bytes_max;
    if bytes > bytes_max {
        return Err(invalid(name, format!("is over the limit of {bytes_max} bytes")));
    }
    Ok(())
}
