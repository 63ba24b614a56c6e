//! The JWS compact form (RFC 7515 section 3.1), read as strictly as it can be (RFC 8725).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::json;

/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// An ES256 signature: two numbers of 32 bytes (RFC 7518 section 3.4).
const SIGNATURE_BYTES: usize = 64;

/// Why a text is not a token that can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts with points between.
    #[error("not of the form header.claims.signature")]
    Parts,
    /// A part is not base64url without padding.
    #[error("a part is not base64url without padding")]
    Encoding,
    /// The header is not a JSON object whose members are said once.
    #[error("the header is not a JSON object whose members are said once")]
    Header,
    /// The header names keys, extensions or options that have no place here.
    #[error("the header has a member that is not allowed")]
    HeaderMember,
    /// Another algorithm than the key's.
    #[error("the algorithm is not ES256")]
    Algorithm,
    /// A token made for another purpose.
    #[error("the typ is not the expected one")]
    Type,
    /// No `kid`, or not a text.
    #[error("the header names no key")]
    KeyId,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// The claims are not a JSON object whose members are said once.
    #[error("the claims are not a JSON object whose members are said once")]
    Claims,
}

/// A token whose form is good and whose signature is yet to be checked.
pub(crate) struct Unverified<'a> {
    signed: &'a str,
    claims: &'a str,
    signature: [u8; SIGNATURE_BYTES],
    pub(crate) kid: String,
}

impl<'a> Unverified<'a> {
    /// Reads the form and the header of a token whose `typ` must be one of `types`.
    pub(crate) fn parse(token: &'a str, types: &[&str]) -> Result<Self, JwsError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(JwsError::Parts)?;
        if claims.contains('.') || header.is_empty() || claims.is_empty() {
            return Err(JwsError::Parts);
        }
        let kid = read_header(&decode(header)?, types)?;
        let signature =
            decode(signature)?.as_slice().try_into().map_err(|_| JwsError::Signature)?;
        Ok(Self { signed, claims, signature, kid })
    }

    /// The claims, if the signature fits.
    pub(crate) fn verify(self, key: &ParsedPublicKey) -> Result<Map<String, Value>, JwsError> {
        key.verify_sig(self.signed.as_bytes(), &self.signature).map_err(|_| JwsError::Signature)?;
        json::parse_object(&decode(self.claims)?).map_err(|_| JwsError::Claims)
    }
}

/// The key in the form that verifies fastest.
pub(crate) fn parse_key(point: &[u8]) -> Result<ParsedPublicKey, JwsError> {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| JwsError::Signature)
}

fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Encoding)
}

/// Checks the header and answers its `kid`.
fn read_header(header: &[u8], types: &[&str]) -> Result<String, JwsError> {
    let mut members = json::parse_object(header).map_err(|_| JwsError::Header)?;
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    if text("alg").as_deref() != Some("ES256") {
        return Err(JwsError::Algorithm);
    }
    // RFC 7515 section 4.1.9: compared as media types, that is without case and without `application/`.
    let typ = text("typ").ok_or(JwsError::Type)?.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if !types.iter().any(|wanted| wanted.eq_ignore_ascii_case(typ)) {
        return Err(JwsError::Type);
    }
    let kid = text("kid").filter(|kid| !kid.is_empty()).ok_or(JwsError::KeyId)?;
    // Whatever is left could change what the token means: crit, b64, zip, jwk, jku, x5u, x5c ...
    if !members.is_empty() {
        return Err(JwsError::HeaderMember);
    }
    Ok(kid)
}

/// One claim of a token that nothing is known about yet. Never trust it: it only says where to look.
pub(crate) fn peek_text(token: &str, name: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let claims = decode(token.split('.').nth(1)?).ok()?;
    match json::parse_object(&claims).ok()?.remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}
