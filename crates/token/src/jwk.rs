//! Public keys (RFC 7517): EC P-256 for ES256, OKP Ed25519 for EdDSA, RSA for PS256.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Algorithm, json, verification_key::VerificationKey};

/// A public key that verifies signatures of one algorithm.
#[derive(Clone)]
pub struct PublicJwk {
    material: Material,
    kid: Box<str>,
    /// Made for the first signature: finding out that a point is one of the curve costs about as much as half a signature, and most
    /// clients that are registered are not there. Clones share it.
    parsed: Arc<OnceLock<VerificationKey>>,
}

impl PartialEq for PublicJwk {
    fn eq(&self, other: &Self) -> bool {
        self.material == other.material && self.kid == other.kid
    }
}

impl Eq for PublicJwk {}

/// What a key consists of.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// The uncompressed point: 4, x, y.
    P256([u8; 65]),
    /// The compressed point.
    Ed25519([u8; 32]),
    /// Modulus and exponent, big endian without leading zeros.
    Rsa { n: Box<[u8]>, e: Box<[u8]> },
}

impl std::fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicJwk").field("kid", &self.kid).finish()
    }
}

/// A document is not a key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseJwkError {
    /// Not JSON, members said twice, or not of the form of RFC 7517.
    #[error("not a JSON Web Key")]
    Malformed,
    /// Another kind of key, or a key for another use.
    #[error(
        "only signature keys of kty EC with crv P-256 (ES256), OKP with Ed25519 (EdDSA) and RSA of 2048 to 4096 bits with \
         exponent 65537 (PS256) are supported"
    )]
    Unsupported,
    /// The key has private members.
    #[error("the key has private members: register the public key only")]
    Private,
    /// More keys than a set may have.
    #[error("a key set has at most {} keys", Jwks::COUNT_MAX)]
    TooMany,
    /// Two keys of a set have one id, so that an id does not say which key, and with which algorithm.
    #[error("two keys of a set have one kid")]
    KeyIdTwice,
}

/// Members of private and symmetric keys (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// RSA moduli that are accepted, in bytes: below is weak, above is slow.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// The one public exponent that is accepted: 65537.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

impl PublicJwk {
    /// A P-256 key from its uncompressed point; its `kid` is its thumbprint.
    pub(crate) fn from_point(point: [u8; 65]) -> Self {
        Self::from_material(Material::P256(point))
    }

    /// A key whose `kid` is its thumbprint.
    pub(crate) fn from_material(material: Material) -> Self {
        let mut key = Self { material, kid: "".into(), parsed: Arc::default() };
        key.kid = key.thumbprint().into();
        key
    }

    /// Reads one JWK.
    pub fn parse(text: &[u8]) -> Result<Self, ParseJwkError> {
        let members = json::parse_object(text).map_err(|_| ParseJwkError::Malformed)?;
        let key = Self::from_members(members)?;
        // It is kept for longer than it is used.
        Ok(Self { parsed: Arc::default(), ..key })
    }

    /// Reads one JWK whose members are known to be said once. Members that are not known are passed over, as RFC 7517
    /// section 4 asks.
    pub(crate) fn from_members(members: Map<String, Value>) -> Result<Self, ParseJwkError> {
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err(ParseJwkError::Private);
        }
        let material = match text(&members, "kty")?.ok_or(ParseJwkError::Malformed)? {
            "EC" => p256(&members)?,
            "OKP" => ed25519(&members)?,
            "RSA" => rsa(&members)?,
            _ => return Err(ParseJwkError::Unsupported),
        };
        let mut key = Self::from_material(material);
        check_use(&members, key.algorithm())?;
        if let Some(kid) = text(&members, "kid")? {
            if kid.is_empty() || kid.len() > 128 {
                return Err(ParseJwkError::Malformed);
            }
            key.kid = kid.into();
        }
        // A point that is not on the curve is refused here, not at the first signature.
        key.verification_key()?;
        Ok(key)
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that the key is used with.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
            Material::Rsa { .. } => Algorithm::Ps256,
        }
    }

    /// The key in the form that verifies.
    pub(crate) fn verification_key(&self) -> Result<&VerificationKey, ParseJwkError> {
        match self.parsed.get() {
            Some(parsed) => Ok(parsed),
            None => {
                let parsed = VerificationKey::new(&self.material)?;
                Ok(self.parsed.get_or_init(|| parsed))
            }
        }
    }

    /// The members that make the key, as RFC 7638 section 3.2 names them. `serde_json` keeps them in the order that
    /// section 3.3 wants.
    pub(crate) fn required_members(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.material {
            Material::P256(point) => {
                let (x, y) = point.split_at(33);
                let x = encode(x.get(1..).unwrap_or_default());
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": encode(y) })
            }
            Material::Ed25519(point) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(point) })
            }
            Material::Rsa { n, e } => json!({ "kty": "RSA", "n": encode(n), "e": encode(e) }),
        }
    }

    /// The key's SHA-256 thumbprint (RFC 7638), in base64url.
    pub fn thumbprint(&self) -> String {
        let canonical = self.required_members().to_string();
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }
}

/// What the key says that it is for must be what it is used for (RFC 7517 sections 4.2 to 4.4).
fn check_use(members: &Map<String, Value>, algorithm: Algorithm) -> Result<(), ParseJwkError> {
    let is_for_signatures = text(members, "use")?.is_none_or(|usage| usage == "sig");
    let has_algorithm = text(members, "alg")?.is_none_or(|alg| alg == algorithm.name());
    let verifies = match members.get("key_ops") {
        None => true,
        Some(Value::Array(list)) => list.iter().any(|operation| operation == "verify"),
        Some(_) => return Err(ParseJwkError::Malformed),
    };
    if is_for_signatures && has_algorithm && verifies {
        Ok(())
    } else {
        Err(ParseJwkError::Unsupported)
    }
}

fn p256(members: &Map<String, Value>) -> Result<Material, ParseJwkError> {
    expect_curve(members, "P-256")?;
    let mut point = [4u8; 65];
    let (_, coordinates) = point.split_at_mut(1);
    for (coordinate, name) in coordinates.chunks_exact_mut(32).zip(["x", "y"]) {
        let bytes = bytes(members, name)?;
        if bytes.len() != 32 {
            return Err(ParseJwkError::Malformed);
        }
        coordinate.copy_from_slice(&bytes);
    }
    Ok(Material::P256(point))
}

fn ed25519(members: &Map<String, Value>) -> Result<Material, ParseJwkError> {
    expect_curve(members, "Ed25519")?;
    let point = bytes(members, "x")?.try_into().map_err(|_| ParseJwkError::Malformed)?;
    Ok(Material::Ed25519(point))
}

fn rsa(members: &Map<String, Value>) -> Result<Material, ParseJwkError> {
    let (n, e) = (bytes(members, "n")?, bytes(members, "e")?);
    if n.first().is_none_or(|&first| first == 0) {
        return Err(ParseJwkError::Malformed);
    }
    // A modulus of 2041 bits has as many bytes as one of 2048.
    let has_full_length = n.first().is_some_and(|first| first & 0x80 != 0);
    if !RSA_BYTES.contains(&n.len()) || !has_full_length || e != RSA_EXPONENT {
        return Err(ParseJwkError::Unsupported);
    }
    Ok(Material::Rsa { n: n.into(), e: e.into() })
}

/// The modulus and the exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1), if they are such as are accepted. Lengths have
/// two bytes in all of these.
pub(crate) fn rsa_of_der(der: &[u8]) -> Option<Material> {
    let (_, members) = der.strip_prefix(&[0x30, 0x82])?.split_first_chunk::<2>()?;
    let (length, rest) = members.strip_prefix(&[0x02, 0x82])?.split_first_chunk::<2>()?;
    let (n, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    // The sign of a number whose first bit is set.
    let n = n.strip_prefix(&[0])?;
    let e = rest.strip_prefix(&[0x02, 0x03])?;
    let is_accepted = RSA_BYTES.contains(&n.len()) && e == RSA_EXPONENT;
    is_accepted.then(|| Material::Rsa { n: n.into(), e: e.into() })
}

fn expect_curve(members: &Map<String, Value>, curve: &str) -> Result<(), ParseJwkError> {
    match text(members, "crv")? {
        Some(name) if name == curve => Ok(()),
        Some(_) => Err(ParseJwkError::Unsupported),
        None => Err(ParseJwkError::Malformed),
    }
}

/// A member, which must be a text where it is there.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, ParseJwkError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ParseJwkError::Malformed),
    }
}

fn bytes(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, ParseJwkError> {
    let text = text(members, name)?.ok_or(ParseJwkError::Malformed)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseJwkError::Malformed)
}

impl Serialize for PublicJwk {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wire = self.required_members();
        if let Value::Object(members) = &mut wire {
            members.insert("alg".to_owned(), self.algorithm().name().into());
            members.insert("use".to_owned(), "sig".into());
            members.insert("kid".to_owned(), (*self.kid).into());
        }
        wire.serialize(serializer)
    }
}

/// A set of public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<PublicJwk>,
}

impl Jwks {
    /// Most keys in a set.
    pub const COUNT_MAX: usize = 32;

    /// Reads a key set. Keys of kinds that are not supported are passed over, as RFC 7517 section 5 asks; one that is
    /// malformed or private spoils the set, and so do two with one id.
    pub fn parse(text: &[u8]) -> Result<Self, ParseJwkError> {
        let mut members = json::parse_object(text).map_err(|_| ParseJwkError::Malformed)?;
        let Some(Value::Array(values)) = members.remove("keys") else {
            return Err(ParseJwkError::Malformed);
        };
        if values.len() > Self::COUNT_MAX {
            return Err(ParseJwkError::TooMany);
        }
        let mut keys: Vec<PublicJwk> = Vec::new();
        for value in values {
            let Value::Object(members) = value else { return Err(ParseJwkError::Malformed) };
            match PublicJwk::from_members(members) {
                Ok(key) if keys.iter().any(|other| other.kid == key.kid) => {
                    return Err(ParseJwkError::KeyIdTwice);
                }
                Ok(key) => keys.push(key),
                Err(ParseJwkError::Unsupported) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { keys })
    }
}
