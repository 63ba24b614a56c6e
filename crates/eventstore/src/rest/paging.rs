//! Query parameters of reads.

use std::{fmt::Display, str::FromStr};

use lombard_chassis::Problem;

use crate::{Config, problem};

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
    let max = config.page_events_max;
    match parameter("limit", text)? {
        None => Ok(config.page_events_default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(problem::invalid_parameter("limit", format!("must be from 1 to {max}"))),
    }
}
