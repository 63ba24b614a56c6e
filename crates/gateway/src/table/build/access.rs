//! What a request on a route must show.

use std::time::Duration;

use lombard_gateway_core::{PathText, Pattern, RequiredScope};
use lombard_token::Algorithm;

use super::{Builder, Surroundings};
use crate::{
    settings::{AuthSettings, RouteSettings},
    table::{Access, DetailRule, RequiredLogin},
};

/// The name of the issuer that needs no entry.
pub(in crate::table) const PLATFORM: &str = "platform";

impl<S: Surroundings> Builder<'_, S> {
    pub(super) fn access(&mut self, settings: &RouteSettings, pattern: &Pattern) -> Option<Access> {
        let mut scopes = Vec::new();
        for text in &settings.scopes {
            scopes.extend(
                self.expect(&format!("scopes: {text}"), RequiredScope::parse(text, pattern)),
            );
        }
        let mut details = Vec::new();
        for detail in &settings.authorization_details {
            let detail_type = self.expect("authorization_details", detail.detail_type.parse());
            let mut members = Vec::new();
            for (name, text) in &detail.members {
                let text = self.expect(
                    &format!("authorization_details: {name}"),
                    PathText::parse(text, pattern),
                );
                members.extend(text.map(|text| (name.as_str().into(), text)));
            }
            details.extend(detail_type.map(|detail_type| DetailRule { detail_type, members }));
        }
        let login = self.login(settings);
        let mut algorithms = Vec::new();
        for name in &settings.algorithms {
            match Algorithm::from_name(name) {
                Some(algorithm) => algorithms.push(algorithm),
                None => {
                    self.mistake(format_args!("algorithms: {name} is not ES256, EdDSA or PS256"))
                }
            }
        }
        if settings.auth == AuthSettings::None {
            let asks = !settings.scopes.is_empty()
                || !settings.authorization_details.is_empty()
                || !settings.issuers.is_empty()
                || !settings.algorithms.is_empty()
                || !settings.api_keys.is_empty()
                || !settings.acr_values.is_empty()
                || settings.max_age_seconds.is_some()
                || settings.audience.is_some();
            self.check(!asks, "auth is none, but something is said of tokens");
            return Some(Access::Public);
        }
        let audience = match settings.audience.as_deref() {
            Some(path) if path.starts_with('/') => format!("{}{path}", self.surroundings.issuer()),
            Some(url) if url.contains("://") => url.to_owned(),
            Some(other) => {
                self.mistake(format_args!("audience: {other} is neither a path nor a URL"));
                return None;
            }
            None => {
                match default_audience(pattern) {
                    Some(path) => format!("{}{path}", self.surroundings.issuer()),
                    None => {
                        self.mistake("audience: it is needed where the path does not begin with a fixed segment");
                        return None;
                    }
                }
            }
        };
        let platform = [PLATFORM.to_owned()];
        let names = if settings.issuers.is_empty() { &platform[..] } else { &settings.issuers };
        let mut verifiers = Vec::new();
        for name in names {
            let issuer = self.issuers.get(name).cloned();
            if issuer.is_none() && name != PLATFORM {
                self.mistake(format_args!("issuers: there is no issuer {name}"));
                continue;
            }
            let verifier = self.surroundings.verifier(issuer.as_ref(), &audience);
            verifiers.extend(self.expect(&format!("issuers: {name}"), verifier));
        }
        let api_keys = self.keys_of_route(&settings.api_keys);
        Some(Access::Token { verifiers, algorithms, scopes, details, login, api_keys })
    }

    fn login(&mut self, settings: &RouteSettings) -> RequiredLogin {
        for value in &settings.acr_values {
            // As it must stand between quotes in a header, with others.
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
            let is_value = !value.is_empty() && value.bytes().all(is_plain);
            self.check(
                is_value,
                &format!("acr_values: {value} is not printable ASCII without quotes"),
            );
        }
        let acr_values = settings.acr_values.iter().map(|value| value.as_str().into()).collect();
        RequiredLogin { acr_values, max_age: settings.max_age_seconds.map(Duration::from_secs) }
    }
}

/// `/ledger` of `/ledger/{id}`; `/v1/ledger` below `/v1`, as the platform's own resources are.
fn default_audience(pattern: &Pattern) -> Option<String> {
    let text = pattern.to_string();
    let mut segments = text
        .split('/')
        .skip(1)
        .take_while(|segment| !segment.is_empty() && !segment.contains('{') && *segment != "*");
    match segments.next()? {
        "v1" => Some(format!("/v1/{}", segments.next()?)),
        first => Some(format!("/{first}")),
    }
}

#[cfg(test)]
mod tests {
    use lombard_gateway_core::End;

    use super::*;

    #[test]
    fn audiences_follow_the_path() {
        for (path, audience) in [
            ("/payments/{id}", Some("/payments")),
            ("/v1/ledger/x", Some("/v1/ledger")),
            ("/v1", None),
            ("/{id}", None),
            ("/", None),
        ] {
            let pattern = Pattern::parse(path, End::Prefix).unwrap();
            assert_eq!(default_audience(&pattern).as_deref(), audience, "{path}");
        }
    }
}
