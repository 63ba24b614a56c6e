//! JSON forms that several requests share. Converted by hand: the rules' own types are not what is sent.

use lombard_chassis::Problem;
use lombard_ledger_core::AccountRef;
use serde::Deserialize;

use crate::problem;

/// A decimal number, which must be a string: as a JSON number, many programs would round it on the way.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a decimal string such as \"12.50\"")]
pub(crate) enum Decimal {
    Text(String),
    Number(f64),
}

impl Decimal {
    pub(crate) fn text(&self, field: &'static str) -> Result<&str, Problem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(number) => Err(Problem::new(&problem::AMOUNT_NOT_A_STRING)
                .detail(format!(
                    "{field}: say \"{number}\", a string, rather than the number {number}"
                ))
                .with("field", field)),
        }
    }
}

/// An account by its path, or by its id as an object.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an account's path, or its id as {\"id\": \"...\"}")]
pub(crate) enum AccountName {
    Path(String),
    Id(ById),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ById {
    pub(crate) id: String,
}

impl AccountName {
    pub(crate) fn parse(&self, field: &'static str) -> Result<AccountRef, Problem> {
        match self {
            Self::Path(path) => path
                .parse()
                .map(AccountRef::Path)
                .map_err(|error| problem::invalid_field(field, error)),
            Self::Id(ById { id }) => {
                id.parse().map(AccountRef::Id).map_err(|error| problem::invalid_field(field, error))
            }
        }
    }
}
