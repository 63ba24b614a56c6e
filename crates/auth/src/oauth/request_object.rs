//! The parameter `request` (RFC 9101): the client has signed its request, and what is said beside it does not count.

use std::borrow::Cow;

use lombard_auth_core::Client;
use lombard_types::Timestamp;
use serde_json::Value;

use super::{
    error::{Code, OAuthError},
    form::Form,
};
use crate::service::Api;

/// The request that counts: of the object where there is one (section 6.3), else the form as it is.
pub(super) fn unfold<'a>(
    api: &Api,
    client: &Client,
    form: Form<'a>,
    now: Timestamp,
) -> Result<Form<'a>, OAuthError> {
    let Some(object) = form.get("request") else {
        if client.options.signed_requests_only {
            return Err(OAuthError::invalid_request("the client must sign its requests"));
        }
        return Ok(form);
    };
    let refused = |cause: String| OAuthError::new(Code::InvalidRequestObject, cause);
    let no_key = || refused("no key of the client is known to verify it with".to_owned());
    let key = client.request_object_key().ok_or_else(no_key)?;
    let (client_id, skew) = (client.id.as_str(), api.config.clock_skew());
    let verified =
        lombard_token::verify_request_object(object, key, client_id, &api.issuer, now, skew);
    let members = verified.map_err(|error| {
        tracing::info!(client_id, %error, "refused a request object");
        refused(format!("the request object is not accepted: {error}"))
    })?;
    let mut parameters = Vec::with_capacity(members.len());
    for (name, value) in members {
        let text = parameter(&name, value);
        let text =
            text.ok_or_else(|| refused(format!("{name} is of a type that it cannot have")))?;
        parameters.push((Cow::Owned(name), Cow::Owned(text)));
    }
    Ok(Form::of_object(parameters))
}

/// Numbers and JSON are values of their own in an object (section 4), and texts in a form.
fn parameter(name: &str, value: Value) -> Option<String> {
    match (name, value) {
        (_, Value::String(text)) if !text.contains(char::is_control) => Some(text),
        ("max_age", Value::Number(number)) => Some(number.to_string()),
        ("authorization_details", value @ Value::Array(_)) => Some(value.to_string()),
        _ => None,
    }
}
