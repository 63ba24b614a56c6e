//! Public keys (RFC 7517): EC P-256 for ES256, and no others yet.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::json;

/// A public key that verifies ES256 signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicJwk {
    /// The uncompressed point: 4, x, y.
    point: [u8; 65],
    kid: Box<str>,
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
    /// Another kind of key.
    #[error(
        "only keys with kty EC, crv P-256 and, where said, alg ES256 and use sig are supported"
    )]
    Unsupported,
    /// The key has private members.
    #[error("the key has private members: register the public key only")]
    Private,
    /// More keys than a set may have.
    #[error("a key set has at most {} keys", Jwks::COUNT_MAX)]
    TooMany,
}

#[derive(Deserialize)]
struct WireJwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    kid: Option<String>,
    d: Option<serde_json::Value>,
}

impl PublicJwk {
    /// A key from its uncompressed point (65 bytes); its `kid` is its thumbprint.
    pub(crate) fn from_point(point: [u8; 65]) -> Self {
        let mut key = Self { point, kid: "".into() };
        key.kid = key.thumbprint().into();
        key
    }

    /// Reads one JWK.
    pub fn parse(text: &[u8]) -> Result<Self, ParseJwkError> {
        let members = json::parse_object(text).map_err(|_| ParseJwkError::Malformed)?;
        Self::from_value(members.into())
    }

    fn from_value(value: serde_json::Value) -> Result<Self, ParseJwkError> {
        let wire: WireJwk = serde_json::from_value(value).map_err(|_| ParseJwkError::Malformed)?;
        if wire.d.is_some() {
            return Err(ParseJwkError::Private);
        }
        let fits = wire.kty == "EC"
            && wire.crv.as_deref() == Some("P-256")
            && wire.alg.as_deref().is_none_or(|alg| alg == "ES256")
            && wire.usage.as_deref().is_none_or(|usage| usage == "sig");
        if !fits {
            return Err(ParseJwkError::Unsupported);
        }
        let mut point = [4u8; 65];
        let (_, coordinates) = point.split_at_mut(1);
        for (coordinate, text) in coordinates.chunks_exact_mut(32).zip([wire.x, wire.y]) {
            let bytes = URL_SAFE_NO_PAD
                .decode(text.ok_or(ParseJwkError::Malformed)?)
                .map_err(|_| ParseJwkError::Malformed)?;
            if bytes.len() != 32 {
                return Err(ParseJwkError::Malformed);
            }
            coordinate.copy_from_slice(&bytes);
        }
        let mut key = Self::from_point(point);
        if let Some(kid) = wire.kid {
            if kid.is_empty() || kid.len() > 128 {
                return Err(ParseJwkError::Malformed);
            }
            key.kid = kid.into();
        }
        // A point that is not on the curve is refused here, not at the first signature.
        aws_lc_rs::signature::ParsedPublicKey::new(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
            key.point.as_slice(),
        )
        .map_err(|_| ParseJwkError::Malformed)?;
        Ok(key)
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> &[u8] {
        &self.point
    }

    fn coordinates(&self) -> (String, String) {
        let (x, y) = self.point.split_at(33);
        (URL_SAFE_NO_PAD.encode(x.get(1..).unwrap_or_default()), URL_SAFE_NO_PAD.encode(y))
    }

    /// The key's SHA-256 thumbprint (RFC 7638), in base64url.
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.coordinates();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }
}

impl Serialize for PublicJwk {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (x, y) = self.coordinates();
        let wire = serde_json::json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": &*self.kid, "x": x, "y": y,
        });
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

    /// Reads a key set. Keys of kinds that are not supported are passed over, as RFC 7517 section 5 asks.
    pub fn parse(text: &[u8]) -> Result<Self, ParseJwkError> {
        let mut members = json::parse_object(text).map_err(|_| ParseJwkError::Malformed)?;
        let Some(serde_json::Value::Array(values)) = members.remove("keys") else {
            return Err(ParseJwkError::Malformed);
        };
        if values.len() > Self::COUNT_MAX {
            return Err(ParseJwkError::TooMany);
        }
        let mut keys = Vec::new();
        for value in values {
            match PublicJwk::from_value(value) {
                Ok(key) => keys.push(key),
                Err(ParseJwkError::Unsupported) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { keys })
    }
}
