//! What the browser sends: an OAuth client's id and secret, by HTTP Basic (RFC 7617).

use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

/// An OAuth client's id and secret. `Debug` shows the id only.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) secret: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.client_id).finish()
    }
}

/// Longest value of the header.
const HEADER_BYTES_MAX: usize = 2048;

impl Credentials {
    /// Reads the `Authorization` header; `None` where it is absent or not HTTP Basic.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok().filter(|value| value.len() <= HEADER_BYTES_MAX)?;
        if values.next().is_some() {
            return None;
        }
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let (client_id, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
        if client_id.is_empty() || secret.is_empty() {
            return None;
        }
        Some(Self { client_id: client_id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// Finds the tokens of these credentials without keeping the credentials themselves.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.client_id.len().to_le_bytes());
        hash.update(self.client_id.as_bytes());
        hash.update(self.secret.as_bytes());
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &str) -> Option<Credentials> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Credentials::from_headers(&headers)
    }

    #[test]
    fn basic_and_nothing_else() {
        let credentials = read(&format!("basic {}", STANDARD.encode("shop:s:cret é"))).unwrap();
        assert_eq!(credentials.client_id, "shop");
        assert_eq!(*credentials.secret, "s:cret é");
        assert!(!format!("{credentials:?}").contains("cret"));
        for value in ["", "Basic", "Basic ", "Basic %%", "Bearer x", "Basic c2hvcA==", "Basic Og=="]
        {
            assert!(read(value).is_none(), "{value:?}");
        }
        assert!(read(&format!("Basic {}", STANDARD.encode([b'a'; 3000]))).is_none());
        assert!(Credentials::from_headers(&HeaderMap::new()).is_none());
    }

    #[test]
    fn digests_tell_credentials_apart() {
        let of = |text: &str| read(&format!("Basic {}", STANDARD.encode(text))).unwrap().digest();
        assert_eq!(of("a:bc"), of("a:bc"));
        assert_ne!(of("a:bc"), of("ab:c"));
        assert_ne!(of("a:bc"), of("a:bd"));
    }
}
