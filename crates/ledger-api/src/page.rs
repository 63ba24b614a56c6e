//! Query parameters, and pages of lists.

use std::{fmt::Display, str::FromStr};

use lombard_chassis::{Page, Problem};
use serde::Serialize;

use crate::problem;

/// Reads a parameter that has a grammar of its own.
pub fn parameter<T>(name: &'static str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(str::parse).transpose().map_err(|error| problem::invalid_parameter(name, error))
}

/// How many items a page may have: what is asked for, from 1 to `max`, or else `default`.
pub fn limit(text: Option<&str>, default: usize, max: usize) -> Result<usize, Problem> {
    match parameter("limit", text)? {
        None => Ok(default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(problem::invalid_parameter("limit", format!("must be from 1 to {max}"))),
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct PageBody<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// What to ask the next page with; null on the last.
    pub next: Option<String>,
}

impl<T> PageBody<T> {
    /// Makes each row an item, and the key a text.
    pub fn of<R, K>(
        page: Page<R, K>,
        item: impl FnMut(R) -> T,
        key: impl FnOnce(K) -> String,
    ) -> Self {
        Self { items: page.items.into_iter().map(item).collect(), next: page.next.map(key) }
    }
}
