//! Rows of CSV as posting sets.

use lombard_chassis::Problem;

use super::super::{
    body::{AccountName, Decimal},
    sets::{ImportedRow, NewSet},
};
use crate::problem;

/// What columns there may be. The first six must be there.
const COLUMNS: [&str; 9] = [
    "id",
    "debit_account",
    "credit_account",
    "asset",
    "amount",
    "effective_at",
    "code",
    "external_id",
    "metadata",
];
const REQUIRED: usize = 6;

/// Which column is what: the place in the file of each of [`COLUMNS`].
#[derive(Debug)]
pub(super) struct Header {
    places: [Option<usize>; COLUMNS.len()],
    width: usize,
}

impl Header {
    /// Reads the first row.
    pub(super) fn parse(row: &[u8]) -> Result<Self, Problem> {
        let names = fields(row)?;
        let mut places = [None; COLUMNS.len()];
        for (at, name) in names.iter().enumerate() {
            let known = COLUMNS.iter().position(|column| column == name);
            let Some(place) = known.and_then(|known| places.get_mut(known)) else {
                return Err(problem::invalid_field("header", format!("unknown column {name}")));
            };
            if place.replace(at).is_some() {
                return Err(problem::invalid_field(
                    "header",
                    format!("column {name} is there twice"),
                ));
            }
        }
        let missing = COLUMNS.iter().zip(places).take(REQUIRED).find(|(_, place)| place.is_none());
        match missing {
            Some((name, _)) => {
                Err(problem::invalid_field("header", format!("column {name} is missing")))
            }
            None => Ok(Self { places, width: names.len() }),
        }
    }

    /// The place of a field in the file, from 1.
    pub(super) fn column_of(&self, field: &str) -> Option<usize> {
        let known = COLUMNS.iter().position(|column| *column == field)?;
        self.places.get(known).copied().flatten().map(|at| at + 1)
    }

    /// Reads another row.
    pub(super) fn set(&self, row: &[u8]) -> Result<NewSet, Problem> {
        let values = fields(row)?;
        if values.len() != self.width {
            let (found, width) = (values.len(), self.width);
            return Err(problem::invalid_field(
                "row",
                format!("has {found} fields, and the header {width}"),
            ));
        }
        let value = |column: &str| {
            let at = self.column_of(column)?.checked_sub(1)?;
            values.get(at).filter(|value| !value.is_empty()).cloned()
        };
        let required = |column: &'static str| {
            value(column).ok_or_else(|| problem::invalid_field(column, "is empty"))
        };
        let metadata = value("metadata").map(serde_json::value::RawValue::from_string);
        let code = value("code").map(|code| code.parse()).transpose();
        Ok(NewSet::imported(ImportedRow {
            id: required("id")?,
            debit_account: AccountName::Path(required("debit_account")?),
            credit_account: AccountName::Path(required("credit_account")?),
            asset: required("asset")?,
            amount: Decimal::Text(required("amount")?),
            effective_at: required("effective_at")?,
            code: code.map_err(|error| problem::invalid_field("code", error))?.unwrap_or(0),
            external_id: value("external_id"),
            metadata: metadata
                .transpose()
                .map_err(|error| problem::invalid_field("metadata", error))?,
        }))
    }
}

fn fields(row: &[u8]) -> Result<Vec<String>, Problem> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row);
    let mut record = csv::StringRecord::new();
    let read = reader.read_record(&mut record);
    read.map_err(|error| problem::invalid_field("row", error))?;
    Ok(record.iter().map(|field| field.trim().to_owned()).collect())
}
