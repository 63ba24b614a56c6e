//! What a token is bound to (RFC 7800): whoever uses it proves to have that.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::ClaimsError;

/// A binding, by the SHA-256 of what is proved, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// A key (`jkt`, RFC 9449 section 6.1), by its thumbprint. It is proved anew with each request.
    Key(Box<str>),
    /// A certificate (`x5t#S256`, RFC 8705 section 3.1). It is shown when a connection is made with TLS.
    Certificate(Box<str>),
}

/// SHA-256 in base64url.
const THUMBPRINT_BYTES: usize = 43;
const KEY: &str = "jkt";
const CERTIFICATE: &str = "x5t#S256";

impl Confirmation {
    /// Of a certificate, in DER.
    pub fn of_certificate(certificate: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, certificate);
        Self::Certificate(URL_SAFE_NO_PAD.encode(digest).into())
    }

    /// Of a certificate whose SHA-256 is known.
    pub fn of_certificate_sha256(sha256: &[u8; 32]) -> Self {
        Self::Certificate(URL_SAFE_NO_PAD.encode(sha256).into())
    }

    /// The value of `token_type` of tokens that are bound so: those that are bound to certificates are sent as they are.
    pub const fn token_type(&self) -> &'static str {
        match self {
            Self::Key(_) => "DPoP",
            Self::Certificate(_) => "Bearer",
        }
    }

    /// The claim `cnf`.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Key(thumbprint) => json!({ KEY: &**thumbprint }),
            Self::Certificate(thumbprint) => json!({ CERTIFICATE: &**thumbprint }),
        }
    }

    /// A binding of another kind, or more than one, is refused: it could not be checked, and passing it over would make a bound
    /// token one of the bearer's.
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Option<Self>, ClaimsError> {
        let malformed = ClaimsError::Malformed("cnf");
        let Some(cnf) = members.get("cnf") else { return Ok(None) };
        let Some((name, Value::String(thumbprint))) =
            cnf.as_object().filter(|cnf| cnf.len() == 1).and_then(|cnf| cnf.iter().next())
        else {
            return Err(malformed);
        };
        if thumbprint.len() != THUMBPRINT_BYTES {
            return Err(malformed);
        }
        match name.as_str() {
            KEY => Ok(Some(Self::Key(thumbprint.as_str().into()))),
            CERTIFICATE => Ok(Some(Self::Certificate(thumbprint.as_str().into()))),
            _ => Err(malformed),
        }
    }
}

/// What a request comes with that proves that a bound token is its sender's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// The proof of a key.
    pub proof: Option<&'a str>,
    /// SHA-256 of the certificate that was shown when its connection was made.
    pub certificate_sha256: Option<&'a [u8; 32]>,
}
