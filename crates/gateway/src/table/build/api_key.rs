//! Keys that stand for tokens.

use std::sync::Arc;

use lombard_token::{Claims, ScopeSet};
use lombard_types::Timestamp;

use super::{Builder, Surroundings, is_name};
use crate::{api_key::ApiKey, settings::ApiKeySettings};

impl<S: Surroundings> Builder<'_, S> {
    pub(super) fn api_key(&mut self, settings: &ApiKeySettings) {
        self.place = format!("api_key {}", settings.name);
        self.check(is_name(&settings.name), "a name is small letters, digits and '-'");
        let key = self.read_key(settings).map(Arc::new);
        let is_new = self.api_keys.insert(settings.name.clone(), key).is_none();
        self.check(is_new, "there is another one with this name");
    }

    fn read_key(&mut self, settings: &ApiKeySettings) -> Option<ApiKey> {
        let digest = digest(&settings.sha256);
        self.check(digest.is_some(), "sha256: it is not 64 hexadecimal digits");
        let scope = self.expect("scopes", settings.scopes.join(" ").parse::<ScopeSet>());
        let expires_at = match &settings.expires {
            Some(text) => self.expect("expires", text.parse::<Timestamp>()),
            None => Some(Timestamp::MAX),
        };
        let client = settings.client.as_ref().unwrap_or(&settings.name);
        self.check(
            !client.is_empty() && client.len() <= 128,
            "client: it is not 1 to 128 bytes long",
        );
        let claims = Claims {
            issuer: self.surroundings.issuer().into(),
            subject: client.as_str().into(),
            client_id: client.as_str().into(),
            token_id: format!("api-key-{}", settings.name).into(),
            scope: scope?,
            expires_at: expires_at?,
            ..Claims::default()
        };
        Some(ApiKey { digest: digest?, claims: Arc::new(claims) })
    }

    /// The keys that a route takes.
    pub(super) fn keys_of_route(&mut self, names: &[String]) -> Vec<Arc<ApiKey>> {
        let mut keys = Vec::new();
        for name in names {
            match self.api_keys.get(name) {
                Some(key) => keys.extend(key.clone()),
                None => self.mistake(format_args!("api_keys: there is no api_key {name}")),
            }
        }
        keys
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_in_hexadecimal_digits() {
        let digits = "00ff".repeat(16);
        assert_eq!(digest(&digits).unwrap()[..4], [0, 255, 0, 255]);
        for text in [
            "",
            &digits[1..],
            &digits.replace('f', "g"),
            &digits.replace("ff", "+f"),
            &"é".repeat(32),
        ] {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
