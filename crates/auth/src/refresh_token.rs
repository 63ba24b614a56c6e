//! Refresh tokens: which grant, which number, and a tag that only the server can make.
//!
//! A successor follows from its grant and number alone. So nothing of it is stored, and whoever asks twice gets the same.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::GrantId;
use zeroize::Zeroizing;

use crate::server_secret::{Purpose, ServerKeys};

/// Begins every refresh token, so that scanners for leaked secrets can find it.
const PREFIX: &str = "lombard_rt_";

/// What a refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) grant: GrantId,
    pub(crate) generation: u32,
}

impl RefreshToken {
    fn tag(self, keys: &ServerKeys) -> [u8; 32] {
        keys.tag(Purpose::Refresh, &[&self.grant.0, &self.generation.to_be_bytes()])
    }

    /// The token as text: a secret.
    pub(crate) fn encode(self, keys: &ServerKeys) -> Zeroizing<String> {
        let bytes = [&self.grant.0[..], &self.generation.to_be_bytes(), &self.tag(keys)].concat();
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(Zeroizing::new(bytes))))
    }

    /// The token, if the server made it.
    pub(crate) fn decode(text: &str, keys: &ServerKeys) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, tag) = rest.split_first_chunk::<4>()?;
        let token = Self { grant: GrantId(*grant), generation: u32::from_be_bytes(*generation) };
        let parts: [&[u8]; 2] = [grant, generation];
        keys.fits(Purpose::Refresh, &parts, tag).then_some(token)
    }

    /// Whether a text looks like one.
    pub(crate) fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_servers_and_always_the_same() {
        let place = tempfile::tempdir().unwrap();
        let keys = ServerKeys::read_or_create(&place.path().join("a")).unwrap();
        let token = RefreshToken { grant: GrantId([7; 16]), generation: 3 };
        let text = token.encode(&keys);
        assert_eq!(*text, *token.encode(&keys));
        assert_eq!(RefreshToken::decode(&text, &keys), Some(token));
        let other = ServerKeys::read_or_create(&place.path().join("b")).unwrap();
        assert_eq!(RefreshToken::decode(&text, &other), None);
        for index in PREFIX.len()..text.len() - 1 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(RefreshToken::decode(&changed, &keys), None, "{index}");
        }
        for text in ["", PREFIX, &text[1..], &text[..text.len() - 4]] {
            assert_eq!(RefreshToken::decode(text, &keys), None);
        }
    }
}
