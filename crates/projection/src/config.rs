//! `[projection.<name>]`: which databases hold the books, and the limits of writing them, each with its unit.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// All projections, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config(pub BTreeMap<String, Settings>);

/// One projection. It has either a `path` or a `url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The SQLite file; a path that is not absolute is below the role's data.
    pub path: Option<PathBuf>,
    /// The PostgreSQL database, such as `postgres://lombard@db.example/books`.
    pub url: Option<Secret>,
    /// Of PostgreSQL: the authorities (PEM) that may have signed the server's certificate; with it, the connection is
    /// under TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// Of PostgreSQL: without TLS, the server may be on another machine nevertheless.
    pub clear_text: bool,
    /// Of PostgreSQL: the schema that the tables are in.
    pub schema: String,
    /// Of PostgreSQL: roles that may read the tables, also after they were rebuilt.
    pub readers: Vec<String>,
    /// Transfers and records of one transaction, at most; a record that has more is one transaction.
    pub batch_transfers: usize,
    /// Bytes of the log that are read at once.
    pub batch_bytes: usize,
    /// Of SQLite: memory for pages of the file.
    pub cache_bytes: u64,
    /// The pause after a failure of the database; doubled with each further one,
    pub retry_ms_min: u64,
    /// up to this.
    pub retry_ms_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: None,
            url: None,
            tls_ca_file: None,
            clear_text: false,
            schema: "lombard".to_owned(),
            readers: Vec::new(),
            batch_transfers: 20_000,
            batch_bytes: 8 << 20,
            cache_bytes: 64 << 20,
            retry_ms_min: 100,
            retry_ms_max: 10_000,
        }
    }
}

/// A text that may hold a password. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(zeroize::Zeroizing::new(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.expose().to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Longest name of a projection or a schema.
const NAME_BYTES_MAX: usize = 32;

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let of = |(name, settings): (&String, &Settings)| -> Vec<String> {
            let mut mistakes = settings.mistakes();
            if !is_name(name) {
                mistakes.push("the name is not 1 to 32 of a-z, 0-9 and _".to_owned());
            }
            mistakes.into_iter().map(|mistake| format!("{name}: {mistake}")).collect()
        };
        self.0.iter().flat_map(of).collect()
    }
}

impl Settings {
    fn mistakes(&self) -> Vec<String> {
        let checks = [
            (self.path.is_some() != self.url.is_some(), "either path or url must be said"),
            (is_name(&self.schema), "schema is not 1 to 32 of a-z, 0-9 and _"),
            (self.batch_transfers > 0, "batch_transfers is 0"),
            (self.batch_bytes > 0, "batch_bytes is 0"),
            (self.batch_bytes <= 64 << 20, "batch_bytes is over 67108864"),
            (self.cache_bytes >= 1 << 20, "cache_bytes is below 1048576"),
            (self.retry_ms_min > 0, "retry_ms_min is 0"),
            (self.retry_ms_min <= self.retry_ms_max, "retry_ms_min is over retry_ms_max"),
        ];
        let wrong = checks.into_iter().filter(|(is_right, _)| !is_right);
        wrong.map(|(_, mistake)| mistake.to_owned()).collect()
    }
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.starts_with("pg_")
        && text.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        let good = Settings { path: Some("a".into()), ..Settings::default() };
        let both = Settings { url: Some(Secret::new("x")), ..good.clone() };
        let config = |name: &str, settings: &Settings| {
            Config(BTreeMap::from([(name.to_owned(), settings.clone())])).mistakes()
        };
        assert_eq!(config("reports", &good), Vec::<String>::new());
        assert_eq!(config("reports", &both).len(), 1);
        assert_eq!(config("Reports!", &good).len(), 1);
        let bad = Settings { batch_transfers: 0, schema: "pg_x".into(), ..Settings::default() };
        assert_eq!(config("reports", &bad).len(), 3);
    }

    #[test]
    fn passwords_are_not_shown() {
        let settings = Settings {
            url: Some(Secret::new("postgres://lombard:hunter2@db/books")),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
