//! Query parameters of reads.

use std::{fmt::Display, str::FromStr};

use lombard_chassis::Problem;
use lombard_types::Position;
use serde::{Deserialize, Serialize};

use crate::{Config, problem, query::Page};

/// For reads of one thing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    at_least: Option<String>,
}

impl Reading {
    pub(super) fn at_least(&self) -> Result<Option<Position>, Problem> {
        parameter("at_least", self.at_least.as_deref())
    }
}

/// Reads a parameter that has a grammar of its own.
pub(super) fn parameter<T>(name: &'static str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(str::parse).transpose().map_err(|error| problem::invalid_parameter(name, error))
}

/// How many items a page may have.
pub(super) fn limit(text: Option<&str>, config: &Config) -> Result<usize, Problem> {
    let max = config.page_items_max;
    match parameter("limit", text)? {
        None => Ok(config.page_items_default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(problem::invalid_parameter("limit", format!("must be from 1 to {max}"))),
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct PageBody<T> {
    pub(super) items: Vec<T>,
    /// What to ask the next page with; null on the last.
    pub(super) next: Option<String>,
}

impl<T> PageBody<T> {
    pub(super) fn of<R, K>(
        page: Page<R, K>,
        item: impl FnMut(R) -> T,
        key: impl FnOnce(K) -> String,
    ) -> Self {
        Self { items: page.items.into_iter().map(item).collect(), next: page.next.map(key) }
    }
}
