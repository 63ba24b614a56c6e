//! Which events to read.

use reqwest::Method;

use crate::Call;

/// Events of one stream or of all, of some types, with some tags.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    stream: Option<String>,
    prefix: Option<String>,
    types: Vec<String>,
    tags: Vec<String>,
    pub(super) after: Option<u64>,
}

impl Selection {
    /// All events. Needs the scope `events:read`.
    pub fn all() -> Self {
        Self::default()
    }

    /// The events of one stream. Needs the scope `events:read:<stream>`.
    pub fn stream(stream: impl Into<String>) -> Self {
        Self { stream: Some(stream.into()), ..Self::default() }
    }

    /// The events of all streams whose name begins so. Needs the scope `events:read:<prefix>*`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: Some(prefix.into()), ..Self::default() }
    }

    /// Only events of this type, or of another that is named this way.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.types.push(kind.into());
        self
    }

    /// Only events with this tag, and with every other that is named this way.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Only events after this one: the revision in a stream, or the position among all events.
    #[must_use]
    pub fn after(mut self, place: u64) -> Self {
        self.after = Some(place);
        self
    }

    /// Whether places are revisions, and not positions.
    pub(super) const fn is_of_one_stream(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn path(&self) -> String {
        match &self.stream {
            Some(stream) => format!("/streams/{stream}/events"),
            None => "/events".to_owned(),
        }
    }

    pub(super) fn call(&self, url: String) -> Call {
        let mut call = Call::new(Method::GET, url);
        match (self.after, self.is_of_one_stream()) {
            (Some(after), true) => call = call.query("from", after.saturating_add(1)),
            (Some(after), false) => call = call.query("after", after),
            (None, _) => {}
        }
        if let Some(prefix) = &self.prefix {
            call = call.query("prefix", prefix);
        }
        for (name, values) in [("types", &self.types), ("tags", &self.tags)] {
            if !values.is_empty() {
                call = call.query(name, values.join(","));
            }
        }
        call
    }
}
