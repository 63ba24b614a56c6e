//! The body of a request.

use boon::{SchemaIndex, Schemas};
use http::{HeaderMap, header};
use lombard_token::parse_json_without_duplicates;

use super::{Misfit, Mismatch, validate};

/// Deepest nesting of JSON that is read.
const DEPTH_MAX: usize = 64;

/// What is said of a body.
pub(super) struct Body {
    pub(super) is_required: bool,
    pub(super) media: Vec<Media>,
}

/// A kind of body that is taken.
pub(super) struct Media {
    /// `application/json`, `text/*`, `*/*`; small letters.
    pub(super) range: Box<str>,
    /// What JSON must be like.
    pub(super) schema: Option<SchemaIndex>,
}

impl Body {
    /// The schema for a body of this kind, where it is JSON and has one.
    pub(super) fn schema_of(&self, headers: &HeaderMap) -> Option<SchemaIndex> {
        let media_type = media_type(headers)?;
        self.media_of(&media_type)?.schema.filter(|_| is_json(&media_type))
    }

    /// The most specific range that a kind is in.
    fn media_of(&self, media_type: &str) -> Option<&Media> {
        let fits = |range: &str| match range.strip_suffix('*') {
            Some("*/") => true,
            Some(kind) => media_type.starts_with(kind),
            None => range == media_type,
        };
        self.media.iter().filter(|media| fits(&media.range)).max_by_key(|media| media.range.len())
    }

    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        is_empty: bool,
        whole: Option<&[u8]>,
        schemas: &Schemas,
    ) -> Result<(), Mismatch> {
        if is_empty {
            return if self.is_required { Err(misfit("", "a body is needed")) } else { Ok(()) };
        }
        let media_type = media_type(headers).ok_or(Mismatch::MediaType)?;
        let media = self.media_of(&media_type).ok_or(Mismatch::MediaType)?;
        let (Some(schema), Some(bytes)) = (media.schema.filter(|_| is_json(&media_type)), whole)
        else {
            return Ok(());
        };
        let value = parse_json_without_duplicates(bytes, DEPTH_MAX)
            .map_err(|error| misfit("", &format!("the body is not JSON: {error}")))?;
        validate(schemas, schema, &value).map_err(|(pointer, reason)| misfit(&pointer, &reason))
    }
}

fn misfit(pointer: &str, reason: &str) -> Mismatch {
    let (pointer, reason) = (pointer.to_owned(), reason.to_owned());
    Mismatch::Value(Misfit { place: "body", name: None, pointer, reason })
}

/// The kind of a body without its parameters, in small letters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}
