//! Configuration: flag over environment over file over default.

use std::path::Path;

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Serialize, de::DeserializeOwned};

/// The configuration cannot be used; says every mistake that was found, each with where it came from.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration has {} mistake(s):\n{}", mistakes.len(), mistakes.join("\n"))]
pub struct ConfigError {
    /// One line each.
    pub mistakes: Vec<String>,
}

/// Reads the table `[section]` of a TOML file and the environment (`LOMBARD_<SECTION>__<KEY>`, nested keys also
/// joined by `__`) over the defaults of `T`, then `overrides` (flags) over all.
///
/// A file that is named must exist. Unknown keys are refused where `T` denies unknown fields.
pub fn load<T>(
    section: &str,
    file: Option<&Path>,
    overrides: impl Serialize,
) -> Result<T, ConfigError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut figment = Figment::from(Serialized::defaults(T::default()));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(ConfigError {
                mistakes: vec![format!("{} does not exist", file.display())],
            });
        }
        figment = figment.merge(Figment::from(Toml::file_exact(file)).focus(section));
    }
    let prefix = format!("LOMBARD_{}__", section.to_ascii_uppercase());
    figment
        .merge(Env::prefixed(&prefix).split("__"))
        .merge(Serialized::defaults(overrides))
        .extract()
        .map_err(|errors| ConfigError {
            mistakes: errors.into_iter().map(|e| e.to_string()).collect(),
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        limit: u32,
        name: String,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { limit: 7, name: "default".to_owned() }
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn files_override_defaults_and_flags_override_files() {
        let file = file("[chassistest]\nlimit = 8\nname = \"file\"\n[other]\nlimit = 1\n");
        let settings: Settings =
            load("chassistest", Some(file.path()), serde_json::json!({ "name": "flag" })).unwrap();
        assert_eq!(settings, Settings { limit: 8, name: "flag".to_owned() });
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_named() {
        for (text, named) in [("limt = 8", "limt"), ("limit = \"x\"", "limit")] {
            let file = file(&format!("[chassistest]\n{text}\n"));
            let error = load::<Settings>("chassistest", Some(file.path()), serde_json::json!({}))
                .unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
