//! Lists in pages, by key.

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::response::Response;
use lombard_chassis::{Json, Problem, problems};
use serde::{Deserialize, Serialize};

use super::answer::private;
use crate::Config;

/// What a query says about the page that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

/// The same, read.
pub(super) struct Wanted<K> {
    limit: usize,
    /// The key of the item that it comes after.
    pub(super) after: Option<K>,
}

/// Items, and whether there are more.
pub(super) struct Cut<T> {
    items: Vec<T>,
    has_more: bool,
}

impl Page {
    pub(super) fn read<K: FromStr<Err: Display>>(
        self,
        config: &Config,
    ) -> Result<Wanted<K>, Problem> {
        let invalid = |detail: String| Problem::new(&problems::INVALID_QUERY).detail(detail);
        let limit_max = config.page_items_max;
        let limit = self.limit.unwrap_or(100.min(limit_max));
        if !(1..=limit_max).contains(&limit) {
            return Err(invalid(format!("limit must be 1 to {limit_max}")));
        }
        let after = self.after.map(|after| after.parse()).transpose();
        let after = after.map_err(|error| invalid(format!("after: {error}")))?;
        Ok(Wanted { limit, after })
    }
}

impl<K> Wanted<K> {
    /// As many as are wanted, of those that come after the key.
    pub(super) fn cut<'a, T: 'a>(&self, items: impl Iterator<Item = &'a Arc<T>>) -> Cut<Arc<T>> {
        let mut items: Vec<_> = items.take(self.limit + 1).cloned().collect();
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        Cut { items, has_more }
    }
}

impl<T> Cut<T> {
    /// `{items, next}`: `next` is the key to go on after.
    pub(super) fn answer<'a, S: Serialize>(
        &'a self,
        key: impl Fn(&T) -> String,
        shown: impl Fn(&'a T) -> S,
    ) -> Response {
        let next = self.items.last().filter(|_| self.has_more).map(key);
        let items: Vec<S> = self.items.iter().map(shown).collect();
        private(Json(serde_json::json!({ "items": items, "next": next })))
    }
}
