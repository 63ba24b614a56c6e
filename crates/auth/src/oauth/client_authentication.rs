//! Who asks: exactly one method of client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2).

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lombard_auth_core::{Authentication, Client};
use lombard_token::CLIENT_ASSERTION_TYPE;
use lombard_types::Timestamp;
use zeroize::Zeroizing;

use super::{
    error::{Code, OAuthError},
    form::{self, Form},
    sender::Sender,
};
use crate::{replay::Use, secret, service::Api};

/// What the request presents. Values are secrets: there is no `Debug`.
enum Presented {
    Secret {
        client_id: String,
        secret: Zeroizing<String>,
        used_basic: bool,
    },
    Assertion {
        client_id: String,
        assertion: String,
    },
    /// Only its id: good enough for a public client, and for one that its connection's certificate tells.
    Nothing {
        client_id: String,
    },
}

impl Presented {
    fn client_id(&self) -> &str {
        match self {
            Self::Secret { client_id, .. }
            | Self::Assertion { client_id, .. }
            | Self::Nothing { client_id } => client_id,
        }
    }
}

/// The client that proved who it is.
pub(super) fn authenticate(
    api: &Api,
    sender: &Sender,
    form: &Form<'_>,
    now: Timestamp,
) -> Result<Arc<Client>, OAuthError> {
    let presented = presented(&sender.headers, form)?;
    let claimed = presented.client_id().to_owned();
    proved(api, presented, sender, now).map_err(|error| error.of(&claimed))
}

fn proved(
    api: &Api,
    presented: Presented,
    sender: &Sender,
    now: Timestamp,
) -> Result<Arc<Client>, OAuthError> {
    // Before the clients of the first start are there, nobody can be told whether it is one.
    if !api.health.is_ready() {
        return Err(OAuthError::new(Code::TemporarilyUnavailable, "the server is starting"));
    }
    match presented {
        Presented::Secret { client_id, secret, used_basic } => {
            // The digest is computed whether or not the client exists.
            let client = find(api, &client_id);
            let kept = match client.as_ref().map(|client| &client.authentication) {
                Some(Authentication::Secret { sha256 }) => Some(*sha256),
                _ => None,
            };
            let fits = secret::fits(secret.as_bytes(), &kept.unwrap_or_default()) && kept.is_some();
            match client {
                Some(client) if fits => Ok(client),
                _ => Err(refused(&client_id, used_basic)),
            }
        }
        Presented::Nothing { client_id } => {
            let client = find(api, &client_id).ok_or_else(|| refused(&client_id, false))?;
            if client.is_confidential() {
                check_certificate(api, &client, sender, now)?;
            }
            Ok(client)
        }
        Presented::Assertion { client_id, assertion } => {
            let client = find(api, &client_id).ok_or_else(|| refused(&client_id, false))?;
            let Authentication::Key(key) = &client.authentication else {
                return Err(refused(&client_id, false));
            };
            let skew = api.config.clock_skew();
            let verified = lombard_token::verify_client_assertion(
                &assertion,
                key,
                &client_id,
                &api.issuer,
                now,
                skew,
            )
            .map_err(|error| {
                tracing::info!(client_id, %error, "refused a client assertion");
                OAuthError::new(
                    Code::InvalidClient,
                    format!("the assertion is not accepted: {error}"),
                )
            })?;
            match api.used_assertions.spend(
                &client_id,
                &verified.token_id,
                verified.expires_at,
                now,
            ) {
                Use::First => Ok(client),
                Use::Replay => {
                    tracing::warn!(client_id, "refused a client assertion that was used before");
                    Err(OAuthError::new(Code::InvalidClient, "the assertion was used before"))
                }
                Use::Full => Err(OAuthError::new(
                    Code::TemporarilyUnavailable,
                    "too many assertions at once",
                )),
            }
        }
    }
}

/// A client that presents nothing in its form may be known by the certificate of its connection (RFC 8705 section 2). One that
/// is not registered for that is refused like one that is not there.
fn check_certificate(
    api: &Api,
    client: &Client,
    sender: &Sender,
    now: Timestamp,
) -> Result<(), OAuthError> {
    let client_id = client.id.as_str();
    let shown = sender.certificate.as_ref().ok_or_else(|| refused(client_id, false))?;
    api.client_certificates.check(client, shown, now).map_err(|error| {
        tracing::info!(client_id, %error, "refused a client's certificate");
        refused(client_id, false)
    })
}

/// Unknown clients and wrong secrets are told apart in no way.
fn refused(client_id: &str, used_basic: bool) -> OAuthError {
    tracing::info!(client_id, "refused a client's authentication");
    OAuthError {
        used_basic,
        ..OAuthError::new(Code::InvalidClient, "client authentication failed")
    }
}

pub(super) fn find(api: &Api, client_id: &str) -> Option<Arc<Client>> {
    api.view.read(|view| view.state.clients.get(client_id).cloned())
}

fn presented(headers: &HeaderMap, form: &Form<'_>) -> Result<Presented, OAuthError> {
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let basic = authorization.next();
    let client_id = form.get("client_id");
    let methods = usize::from(basic.is_some())
        + usize::from(form.get("client_secret").is_some())
        + usize::from(form.get("client_assertion").is_some());
    if methods > 1 || authorization.next().is_some() {
        return Err(OAuthError::invalid_request("more than one method of client authentication"));
    }
    if let Some(basic) = basic {
        let malformed = || OAuthError {
            used_basic: true,
            ..OAuthError::new(
                Code::InvalidClient,
                "the Authorization header is not HTTP Basic with id and secret",
            )
        };
        let (basic_id, secret) = read_basic(basic.as_bytes()).ok_or_else(malformed)?;
        if client_id.is_some_and(|client_id| client_id != basic_id) {
            return Err(OAuthError::invalid_request(
                "client_id is not the one in the Authorization header",
            ));
        }
        return Ok(Presented::Secret { client_id: basic_id, secret, used_basic: true });
    }
    if let Some(assertion) = form.get("client_assertion") {
        if form.get("client_assertion_type") != Some(CLIENT_ASSERTION_TYPE) {
            let description = format!("client_assertion_type must be {CLIENT_ASSERTION_TYPE}");
            return Err(OAuthError::invalid_request(description));
        }
        let claimed = lombard_token::claimed_client(assertion);
        let claimed =
            claimed.filter(|claimed| client_id.is_none_or(|client_id| client_id == claimed));
        let client_id = claimed.ok_or_else(|| {
            OAuthError::new(Code::InvalidClient, "the assertion names no client, or another one")
        })?;
        return Ok(Presented::Assertion { client_id, assertion: assertion.to_owned() });
    }
    match (client_id, form.get("client_secret")) {
        (Some(client_id), Some(secret)) => Ok(Presented::Secret {
            client_id: client_id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            used_basic: false,
        }),
        (Some(client_id), None) => Ok(Presented::Nothing { client_id: client_id.to_owned() }),
        _ => Err(OAuthError::new(
            Code::InvalidClient,
            "authenticate the client: HTTP Basic, client_id with client_secret or a certificate, or client_assertion",
        )),
    }
}

/// Id and secret of a Basic header; each is form-encoded in it (RFC 6749 section 2.3.1 and appendix B).
fn read_basic(value: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_ascii()).ok()?);
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let (id, secret) = decoded.split_at(colon);
    let id = form::decode(id)?.into_owned();
    let secret = form::decode(secret.get(1..)?)?.into_owned();
    Some((id, Zeroizing::new(secret)))
}
