//! Where the platform is, and the console's limits, each with its unit.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;

/// How the console is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The gateway's public URL, which is also the issuer of tokens. Everything but readiness is read through it.
    pub issuer: String,
    /// The base URL of each role, to ask it whether it is ready.
    pub roles: BTreeMap<String, String>,
    /// How long one call may take.
    pub call_ms_max: u64,
    /// Longest answer of one call.
    pub answer_bytes_max: usize,
    /// Pages that may be put together at once; one more is refused as overloaded.
    pub pages_max: usize,
    /// Access tokens that are kept.
    pub tokens_max: usize,
    /// How often the page loads itself again.
    pub refresh_seconds: u32,
    /// Transfers that are shown, the latest first.
    pub transfers_max: usize,
    /// Accounts that are shown.
    pub accounts_max: usize,
    /// Streams that are shown.
    pub streams_max: usize,
    /// Services whose instances are shown.
    pub services_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        let roles = [
            ("gateway", 8080),
            ("registry", 8081),
            ("auth", 8082),
            ("eventstore", 8083),
            ("ledger", 8084),
        ];
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        Self {
            issuer: url(8080),
            roles: roles.into_iter().map(|(role, port)| (role.to_owned(), url(port))).collect(),
            call_ms_max: 2000,
            answer_bytes_max: 1 << 20,
            pages_max: 16,
            tokens_max: 300,
            refresh_seconds: 5,
            transfers_max: 20,
            accounts_max: 50,
            streams_max: 20,
            services_max: 20,
        }
    }
}

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |is_right: bool, mistake: String| {
            if !is_right {
                mistakes.push(mistake);
            }
        };
        let is_base = |text: &str| {
            let url = Url::parse(text);
            url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) && !text.ends_with('/')
        };
        expect(
            is_base(&self.issuer),
            "issuer is not an http URL without a slash at its end".into(),
        );
        for (role, url) in &self.roles {
            expect(
                is_base(url),
                format!("roles.{role} is not an http URL without a slash at its end"),
            );
        }
        for (name, value) in [
            ("pages_max", self.pages_max),
            ("tokens_max", self.tokens_max),
            ("transfers_max", self.transfers_max),
            ("accounts_max", self.accounts_max),
            ("streams_max", self.streams_max),
            ("services_max", self.services_max),
        ] {
            expect(value > 0, format!("{name} is 0"));
        }
        expect(self.call_ms_max > 0, "call_ms_max is 0".into());
        expect(self.answer_bytes_max >= 1024, "answer_bytes_max is below 1024".into());
        expect(self.refresh_seconds > 0, "refresh_seconds is 0".into());
        mistakes
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Config::default().mistakes(), Vec::<String>::new());
        let mut config =
            Config { issuer: "127.0.0.1:8080".into(), tokens_max: 0, ..Config::default() };
        config.roles.insert("ledger".into(), "http://ledger/".into());
        assert_eq!(config.mistakes().len(), 3);
    }
}
