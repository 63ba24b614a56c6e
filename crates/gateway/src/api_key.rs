//! API keys of partners that cannot do OAuth yet: what a key stands for is what a token would say. The key ends here; the upstream
//! hears who it is, by headers or by a token of the gateway's own.

use std::{sync::Arc, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, header};
use lombard_chassis::{Problem, authenticate::unauthenticated, extract::single_header};
use lombard_token::Claims;
use lombard_types::Timestamp;

/// Where a key stands.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static(NAME);
const NAME: &str = "x-api-key";

/// A key that some routes take. Known is only what it hashes to, so nobody who reads the configuration has it.
#[derive(Debug)]
pub(crate) struct ApiKey {
    /// SHA-256. Keys are long and random, so a slow hash would protect nothing.
    pub(crate) digest: [u8; 32],
    /// What it stands for.
    pub(crate) claims: Arc<Claims>,
}

/// Who asks, where the request has a key and not a token.
pub(crate) fn authenticate(
    keys: &[Arc<ApiKey>],
    headers: &HeaderMap,
) -> Result<Option<Arc<Claims>>, Problem> {
    let Some(key) = single_header(headers, NAME)? else { return Ok(None) };
    if headers.contains_key(header::AUTHORIZATION) {
        return Err(unauthenticated("send a token or an API key, not both", true));
    }
    let digest = digest(key);
    // Comparing digests tells nothing of keys, however long it takes.
    let known = keys.iter().find(|known| known.digest == digest);
    let now = Timestamp::from_system_time(SystemTime::now());
    match known.filter(|known| now < known.claims.expires_at) {
        Some(known) => Ok(Some(Arc::clone(&known.claims))),
        None => Err(unauthenticated("the API key is not one of this route", true)),
    }
}

/// A new key, and what the configuration has of it: its SHA-256 in hexadecimal digits.
pub fn new_api_key() -> Result<(String, String), aws_lc_rs::error::Unspecified> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random)?;
    let key = format!("lombard_{}", URL_SAFE_NO_PAD.encode(random));
    let digits = digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((key, digits))
}

/// The SHA-256 of a key.
pub(crate) fn digest(key: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    digest.as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(text: &str, expires_at: Timestamp) -> Arc<ApiKey> {
        let claims = Claims { client_id: text.into(), expires_at, ..Claims::default() };
        Arc::new(ApiKey { digest: digest(text), claims: Arc::new(claims) })
    }

    #[test]
    fn a_new_key_is_known_by_its_digest() {
        let (key, digits) = new_api_key().unwrap();
        let again: String = digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((digits.len(), digits), (64, again));
        assert_ne!(new_api_key().unwrap().0, key);
    }

    #[test]
    fn a_key_is_taken_alone_while_it_is_good() {
        let late = Timestamp::from_unix_seconds(4_000_000_000);
        let keys = [key("good", late), key("old", Timestamp::from_unix_seconds(1))];
        let asked = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            authenticate(&keys, &headers)
                .map(|claims| claims.map(|claims| claims.client_id.clone()))
        };
        assert_eq!(asked(&[("x-api-key", "good")]).unwrap().as_deref(), Some("good"));
        assert_eq!(asked(&[("authorization", "Bearer x")]).unwrap(), None);
        for refused in [
            &[("x-api-key", "old")][..],
            &[("x-api-key", "")],
            &[("x-api-key", "Good")],
            &[("x-api-key", "good"), ("x-api-key", "good")],
            &[("x-api-key", "good"), ("authorization", "Bearer x")],
        ] {
            assert!(asked(refused).is_err(), "{refused:?}");
        }
    }
}
