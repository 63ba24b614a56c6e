//! What an access token says (RFC 9068 section 2.2).

use std::time::Duration;

use lombard_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::{AuthorizationDetails, Confirmation, KeyError, ScopeSet, SigningKey, json};

/// The `typ` of access tokens.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// Begins every opaque access token, so that whoever takes JWTs can say so, and scanners for leaked secrets can find it.
pub const OPAQUE_TOKEN_PREFIX: &str = "lombard_at_";

/// The claims of an access token. The default is nobody's: it permits nothing and has expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who made the token.
    pub issuer: Box<str>,
    /// Whom the token is about; for `client_credentials` the client itself.
    pub subject: Box<str>,
    /// The one resource that the token is for.
    pub audience: Box<str>,
    /// The client that got it.
    pub client_id: Box<str>,
    /// What it permits.
    pub scope: ScopeSet,
    /// What it permits beyond that (RFC 9396). Where there is a payment, the ledger lets the holder make it and change
    /// nothing else, whatever the scope says.
    pub authorization_details: AuthorizationDetails,
    /// The token's own id.
    pub token_id: Box<str>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// Who acts for the subject (`act`, RFC 8693 section 4.1), where it is not the subject itself.
    pub actor: Option<Box<Actor>>,
    /// The grant that it comes from, where a person made it.
    pub grant: Option<Box<UserGrant>>,
    /// What its holder must prove to have (`cnf`).
    pub confirmation: Option<Confirmation>,
    /// The key that a verified token is signed with (`kid` of its header): it can be taken back by that. Empty where the
    /// claims come from no token.
    pub signed_by: Box<str>,
}

/// The grant of a person behind an access token: what it can be taken back by, and how the person had logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGrant {
    /// The grant (`gid`).
    pub id: Box<str>,
    /// The session that it ends with (`sid`); none where it goes on without one.
    pub session_id: Option<Box<str>>,
    /// When the person logged in (`auth_time`, RFC 9068 section 2.2.1).
    pub authenticated_at: Timestamp,
    /// How (`acr`).
    pub acr: Box<str>,
    /// What the person had shown for that (`amr`, RFC 8176).
    pub methods: Box<[Box<str>]>,
}

/// Who acts, and for whom in turn: the one who acted before is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub subject: Box<str>,
    /// Who had acted before.
    pub actor: Option<Box<Actor>>,
}

/// Why a token with a good signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// A claim is missing or not of its type.
    #[error("the claim {0} is missing or malformed")]
    Malformed(&'static str),
    /// Made by somebody else.
    #[error("it was issued by somebody else")]
    Issuer,
    /// Made for another resource.
    #[error("it is for {audience}, not for this resource")]
    Audience {
        /// What it is for.
        audience: Box<str>,
    },
    /// Too old.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// From the future.
    #[error("it is not valid before {0}")]
    NotYetValid(Timestamp),
}

impl Claims {
    /// The token, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, KeyError> {
        key.sign(ACCESS_TOKEN_TYPE, self.to_json().as_bytes())
    }

    /// What a token says, as JSON: times in whole seconds, and not which key has signed it.
    pub fn to_json(&self) -> String {
        let mut claims = json!({
            "iss": &*self.issuer,
            "sub": &*self.subject,
            "aud": &*self.audience,
            "client_id": &*self.client_id,
            "jti": &*self.token_id,
            "iat": self.issued_at.unix_seconds(),
            "exp": self.expires_at.unix_seconds(),
        });
        if let Value::Object(members) = &mut claims {
            if !self.scope.is_empty() {
                members.insert("scope".to_owned(), self.scope.to_string().into());
            }
            if !self.authorization_details.is_empty() {
                let details = self.authorization_details.to_value();
                members.insert("authorization_details".to_owned(), details);
            }
            if let Some(actor) = &self.actor {
                members.insert("act".to_owned(), actor.to_value());
            }
            if let Some(grant) = &self.grant {
                grant.put(members);
            }
            if let Some(confirmation) = &self.confirmation {
                members.insert("cnf".to_owned(), confirmation.to_value());
            }
        }
        claims.to_string()
    }

    /// Reads what [`Self::to_json`] wrote: for whoever keeps what a token stands for.
    pub fn from_json(text: &[u8]) -> Result<Self, ClaimsError> {
        let members = json::parse_object(text).map_err(|_| ClaimsError::Malformed("claims"))?;
        Self::read(&members, "")
    }

    /// Reads claims whose signature was good. Claims that are not known are passed over, as RFC 7519 section 4 asks.
    pub(crate) fn read(members: &Map<String, Value>, signed_by: &str) -> Result<Self, ClaimsError> {
        let authorization_details = match members.get("authorization_details") {
            Some(details) => AuthorizationDetails::from_granted(details.clone())
                .map_err(|_| ClaimsError::Malformed("authorization_details"))?,
            None => AuthorizationDetails::default(),
        };
        // A token must permit something, and may do so by details alone.
        let scope = if !members.contains_key("scope") && !authorization_details.is_empty() {
            ScopeSet::default()
        } else {
            text(members, "scope")?.parse().map_err(|_| ClaimsError::Malformed("scope"))?
        };
        let audience = match members.get("aud") {
            Some(Value::Array(list)) if list.len() == 1 => list.first().and_then(Value::as_str),
            Some(value) => value.as_str(),
            None => None,
        };
        Ok(Self {
            issuer: text(members, "iss")?.into(),
            subject: text(members, "sub")?.into(),
            audience: audience.ok_or(ClaimsError::Malformed("aud"))?.into(),
            client_id: text(members, "client_id")?.into(),
            scope,
            authorization_details,
            token_id: text(members, "jti")?.into(),
            issued_at: time(members, "iat")?,
            expires_at: time(members, "exp")?,
            actor: members.get("act").map(Actor::read).transpose()?.map(Box::new),
            grant: UserGrant::read(members)?.map(Box::new),
            confirmation: Confirmation::read(members)?,
            signed_by: signed_by.into(),
        })
    }

    /// Whether any right in it is of this family: what a gateway can tell before the role looks closer.
    pub fn concerns(&self, family: &str) -> bool {
        self.scope.has_family(family)
            || (family == "ledger" && self.authorization_details.has_payment())
    }

    /// Whether the token is good for `audience` at `now`, whose clock may differ from the issuer's by `skew`.
    /// `audience` is `None` where any is good.
    pub(crate) fn check(
        &self,
        issuer: &str,
        audience: Option<&str>,
        now: Timestamp,
        skew: Duration,
    ) -> Result<(), ClaimsError> {
        if *self.issuer != *issuer {
            return Err(ClaimsError::Issuer);
        }
        if audience.is_some_and(|audience| *self.audience != *audience) {
            return Err(ClaimsError::Audience { audience: self.audience.clone() });
        }
        self.check_time(now, skew)
    }

    pub(crate) fn check_time(&self, now: Timestamp, skew: Duration) -> Result<(), ClaimsError> {
        if now >= self.expires_at.plus(skew) {
            return Err(ClaimsError::Expired(self.expires_at));
        }
        if self.issued_at > now.plus(skew) {
            return Err(ClaimsError::NotYetValid(self.issued_at));
        }
        Ok(())
    }
}

// === impl Actor ===

impl Actor {
    /// Most that may have acted for each other.
    pub const DEPTH_MAX: usize = 4;

    /// How many have acted for each other.
    pub fn depth(&self) -> usize {
        1 + self.actor.as_ref().map_or(0, |actor| actor.depth())
    }

    /// The claim `act`.
    pub fn to_value(&self) -> Value {
        let mut value = json!({ "sub": &*self.subject });
        if let (Some(actor), Value::Object(members)) = (&self.actor, &mut value) {
            members.insert("act".to_owned(), actor.to_value());
        }
        value
    }

    /// Deep nesting was refused with the token.
    fn read(value: &Value) -> Result<Self, ClaimsError> {
        let members = value.as_object().ok_or(ClaimsError::Malformed("act"))?;
        let subject = members.get("sub").and_then(Value::as_str).filter(|text| !text.is_empty());
        let actor = members.get("act").map(Self::read).transpose()?.map(Box::new);
        Ok(Self { subject: subject.ok_or(ClaimsError::Malformed("act"))?.into(), actor })
    }
}

// === impl UserGrant ===

impl UserGrant {
    fn put(&self, members: &mut Map<String, Value>) {
        members.insert("gid".to_owned(), (*self.id).into());
        if let Some(session_id) = &self.session_id {
            members.insert("sid".to_owned(), (**session_id).into());
        }
        members.insert("auth_time".to_owned(), self.authenticated_at.unix_seconds().into());
        members.insert("acr".to_owned(), (*self.acr).into());
        if !self.methods.is_empty() {
            members.insert("amr".to_owned(), self.methods.iter().map(|it| &**it).collect());
        }
    }

    fn read(members: &Map<String, Value>) -> Result<Option<Self>, ClaimsError> {
        if !members.contains_key("gid") {
            return Ok(None);
        }
        let has_session = members.contains_key("sid");
        Ok(Some(Self {
            id: text(members, "gid")?.into(),
            session_id: has_session.then(|| text(members, "sid")).transpose()?.map(Into::into),
            authenticated_at: time(members, "auth_time")?,
            acr: text(members, "acr")?.into(),
            methods: methods(members)?,
        }))
    }
}

/// `amr`, which may be missing: a list of texts.
fn methods(members: &Map<String, Value>) -> Result<Box<[Box<str>]>, ClaimsError> {
    let malformed = || ClaimsError::Malformed("amr");
    let Some(value) = members.get("amr") else { return Ok(Box::default()) };
    let texts = value.as_array().ok_or_else(malformed)?.iter().map(Value::as_str);
    texts.map(|text| text.map(Into::into).ok_or_else(malformed)).collect()
}

pub(crate) fn text<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, ClaimsError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or(ClaimsError::Malformed(name))
}

/// RFC 7519 section 4.1.5. Our own tokens never say it. It is not kept: what is valid once stays so until it expires.
pub(crate) fn check_not_before(
    members: &Map<String, Value>,
    now: Timestamp,
    skew: Duration,
) -> Result<(), ClaimsError> {
    if !members.contains_key("nbf") {
        return Ok(());
    }
    let from = time(members, "nbf")?;
    if from > now.plus(skew) { Err(ClaimsError::NotYetValid(from)) } else { Ok(()) }
}

pub(crate) fn time(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Timestamp, ClaimsError> {
    members
        .get(name)
        .and_then(Value::as_u64)
        .map(Timestamp::from_unix_seconds)
        .ok_or(ClaimsError::Malformed(name))
}
