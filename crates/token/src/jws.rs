//! The JWS compact form (RFC 7515 section 3.1), read as strictly as it can be (RFC 8725).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{Algorithm, PublicJwk, json, verification_key::VerificationKey};

/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// The longest signature: of an RSA key of 4096 bits.
const SIGNATURE_BYTES_MAX: usize = 512;
/// Longest `kid`, in bytes.
const KID_BYTES_MAX: usize = 128;

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
    /// None of the algorithms that are accepted, or another one than the key's.
    #[error("the algorithm is not the key's")]
    Algorithm,
    /// A token made for another purpose.
    #[error("the typ is not the expected one")]
    Type,
    /// No `kid`, or not a text.
    #[error("the header names no key")]
    KeyId,
    /// The embedded key of a proof is missing, malformed or private.
    #[error("the header has no public key that can be used")]
    EmbeddedKey,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// The claims are not a JSON object whose members are said once.
    #[error("the claims are not a JSON object whose members are said once")]
    Claims,
}

/// What a header must say for one purpose. Whatever else it says is refused: `crit`, `b64`, `zip`, `jku`, `x5u`, `x5c` and
/// others could change what the token means, or where its key comes from.
#[derive(Clone, Copy)]
pub(crate) struct HeaderRules {
    /// The values of `typ` for this purpose.
    pub(crate) types: &'static [&'static str],
    /// Whether `typ` may be left out.
    pub(crate) may_omit_type: bool,
    pub(crate) key: KeyRule,
}

/// How a header says which key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRule {
    /// By `kid`, which must be there.
    Kid,
    /// The verifier knows the only key; a `kid` is passed over.
    Known,
    /// By the key itself, as `jwk`: only where the key need not be trusted (DPoP).
    Embedded,
}

/// A token whose form is good and whose signature is yet to be checked.
pub(crate) struct Unverified<'a> {
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
    pub(crate) header: Header,
}

/// What was read of a header.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) jwk: Option<PublicJwk>,
}

impl<'a> Unverified<'a> {
    /// Reads the form and the header.
    pub(crate) fn parse(token: &'a str, rules: HeaderRules) -> Result<Self, JwsError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(JwsError::Parts)?;
        if claims.contains('.') || header.is_empty() || claims.is_empty() {
            return Err(JwsError::Parts);
        }
        let header = read_header(&decode(header)?, rules)?;
        let signature = decode(signature)?;
        if signature.is_empty() || signature.len() > SIGNATURE_BYTES_MAX {
            return Err(JwsError::Signature);
        }
        Ok(Self { signed, claims, signature, header })
    }

    /// The claims, if the algorithm is the key's and the signature fits.
    pub(crate) fn verify(self, key: &VerificationKey) -> Result<Map<String, Value>, JwsError> {
        if self.header.algorithm != key.algorithm() {
            return Err(JwsError::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature)?;
        json::parse_object(&decode(self.claims)?).map_err(|_| JwsError::Claims)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Encoding)
}

fn read_header(header: &[u8], rules: HeaderRules) -> Result<Header, JwsError> {
    let mut members = json::parse_object(header).map_err(|_| JwsError::Header)?;
    let algorithm = match members.remove("alg") {
        Some(Value::String(name)) => Algorithm::from_name(&name).ok_or(JwsError::Algorithm)?,
        _ => return Err(JwsError::Algorithm),
    };
    match members.remove("typ") {
        Some(Value::String(typ)) if is_type(&typ, rules.types) => {}
        None if rules.may_omit_type => {}
        _ => return Err(JwsError::Type),
    }
    let is_kid = |kid: &String| !kid.is_empty() && kid.len() <= KID_BYTES_MAX;
    let kid = match members.remove("kid") {
        Some(Value::String(kid)) if is_kid(&kid) => Some(kid),
        None if rules.key != KeyRule::Kid => None,
        _ => return Err(JwsError::KeyId),
    };
    let jwk = match rules.key {
        KeyRule::Kid | KeyRule::Known => None,
        KeyRule::Embedded => match members.remove("jwk") {
            Some(Value::Object(jwk)) => {
                Some(PublicJwk::from_members(jwk).map_err(|_| JwsError::EmbeddedKey)?)
            }
            _ => return Err(JwsError::EmbeddedKey),
        },
    };
    if !members.is_empty() {
        return Err(JwsError::HeaderMember);
    }
    Ok(Header { algorithm, kid, jwk })
}

/// RFC 7515 section 4.1.9: compared as media types, that is without case and without `application/`.
fn is_type(typ: &str, types: &[&str]) -> bool {
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    types.iter().any(|wanted| wanted.eq_ignore_ascii_case(typ))
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
