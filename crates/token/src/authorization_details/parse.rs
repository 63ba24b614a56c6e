//! Reads details as strictly as RFC 9396 section 5 asks: nothing unknown, nothing missing, nothing of another type.

use std::{fmt, str::FromStr};

use serde_json::{Map, Value};

use super::{
    AuthorizationDetail, AuthorizationDetails, DetailType, OpaqueDetail, Payment, PaymentId,
};
use crate::json;

/// Why a text is not a list of authorization details.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDetailsError {
    /// Not JSON, members said twice, nested too deeply, or not a list of objects.
    #[error("not a JSON array of objects whose members are said once")]
    Malformed,
    /// Longer than a list may be.
    #[error("longer than {} bytes", AuthorizationDetails::BYTES_MAX)]
    TooLong,
    /// None, or too many.
    #[error("a list has 1 to {} details", AuthorizationDetails::COUNT_MAX)]
    Count,
    /// A detail has no `type`, or one that is not of its form.
    #[error("a detail has no type, or one that is not of its form")]
    Type,
    /// A member that details of this type do not have.
    #[error("a detail of type {detail_type} has no member {name}")]
    UnknownMember {
        /// The type.
        detail_type: &'static str,
        /// The member; it is part of the request, and bounded with it.
        name: Box<str>,
    },
    /// A member is missing, or not what it should be.
    #[error("{member}: {cause}")]
    Member {
        /// The member.
        member: &'static str,
        /// What it should be.
        cause: Box<str>,
    },
}

pub(super) fn request(
    text: &str,
    mut new_id: impl FnMut() -> PaymentId,
) -> Result<AuthorizationDetails, ParseDetailsError> {
    if text.len() > AuthorizationDetails::BYTES_MAX {
        return Err(ParseDetailsError::TooLong);
    }
    let value = json::parse_value(text.as_bytes()).map_err(|_| ParseDetailsError::Malformed)?;
    let details = list(value, |members| payment(members, Some(new_id())))?;
    // With ids and defaults it is longer than what was sent.
    if details.to_value().to_string().len() > AuthorizationDetails::BYTES_MAX {
        return Err(ParseDetailsError::TooLong);
    }
    Ok(details)
}

pub(super) fn granted(value: Value) -> Result<AuthorizationDetails, ParseDetailsError> {
    list(value, |members| payment(members, None))
}

fn list(
    value: Value,
    mut payment: impl FnMut(Map<String, Value>) -> Result<Payment, ParseDetailsError>,
) -> Result<AuthorizationDetails, ParseDetailsError> {
    let Value::Array(values) = value else { return Err(ParseDetailsError::Malformed) };
    if values.is_empty() || values.len() > AuthorizationDetails::COUNT_MAX {
        return Err(ParseDetailsError::Count);
    }
    let mut details = Vec::with_capacity(values.len());
    for value in values {
        let Value::Object(members) = value else { return Err(ParseDetailsError::Malformed) };
        let detail_type: DetailType = members
            .get("type")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .ok_or(ParseDetailsError::Type)?;
        details.push(if detail_type.as_str() == Payment::TYPE {
            AuthorizationDetail::Payment(payment(members)?)
        } else {
            AuthorizationDetail::Opaque(opaque(detail_type, members)?)
        });
    }
    Ok(AuthorizationDetails(details))
}

/// A payment with the id that it is given, or with the one that it brings.
fn payment(
    mut members: Map<String, Value>,
    new_id: Option<PaymentId>,
) -> Result<Payment, ParseDetailsError> {
    members.remove("type");
    let is_request = new_id.is_some();
    let id = match new_id {
        Some(id) => id,
        None => text(&mut members, "id")?,
    };
    let payment = Payment {
        id,
        amount: text(&mut members, "amount")?,
        asset: text(&mut members, "asset")?,
        debtor_account: text(&mut members, "debtor_account")?,
        creditor_account: text(&mut members, "creditor_account")?,
        uses: match members.remove("uses") {
            None if is_request => 1,
            uses => count(uses)?,
        },
    };
    if payment.debtor_account == payment.creditor_account {
        return Err(member("creditor_account", "must not be the debtor's"));
    }
    match members.keys().next() {
        None => Ok(payment),
        Some(name) => Err(ParseDetailsError::UnknownMember {
            detail_type: Payment::TYPE,
            name: name.as_str().into(),
        }),
    }
}

fn count(value: Option<Value>) -> Result<u32, ParseDetailsError> {
    value
        .as_ref()
        .and_then(Value::as_u64)
        .and_then(|uses| u32::try_from(uses).ok())
        .filter(|uses| (1..=Payment::USES_MAX).contains(uses))
        .ok_or_else(|| member("uses", format_args!("must be 1 to {}", Payment::USES_MAX)))
}

fn opaque(
    detail_type: DetailType,
    members: Map<String, Value>,
) -> Result<OpaqueDetail, ParseDetailsError> {
    let location = match members.get("locations") {
        None => None,
        Some(Value::Array(list)) if list.len() == 1 => list.first().and_then(Value::as_str),
        Some(_) => None,
    };
    if members.contains_key("locations") && location.is_none() {
        return Err(member("locations", "must be a list of one URL: a token is for one resource"));
    }
    let location = location.map(Into::into);
    Ok(OpaqueDetail::new(detail_type, location, members))
}

fn text<T: FromStr<Err: fmt::Display>>(
    members: &mut Map<String, Value>,
    name: &'static str,
) -> Result<T, ParseDetailsError> {
    match members.remove(name) {
        Some(Value::String(text)) => text.parse().map_err(|error| member(name, error)),
        Some(_) => Err(member(name, "must be a string")),
        None => Err(member(name, "is missing")),
    }
}

fn member(member: &'static str, cause: impl fmt::Display) -> ParseDetailsError {
    ParseDetailsError::Member { member, cause: cause.to_string().into() }
}

#[cfg(test)]
mod tests;
