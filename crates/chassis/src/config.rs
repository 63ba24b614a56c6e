//! Configuration: flag over environment over file over default.

use std::{collections::BTreeMap, path::Path};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Env, Serialized},
    value::{Dict, Map, Value},
};
use serde::{Serialize, de::DeserializeOwned};

/// The configuration cannot be used; says every mistake that was found, each with where it came from.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration has {} mistake(s):\n{}", mistakes.len(), mistakes.join("\n"))]
pub struct ConfigError {
    /// One line each.
    pub mistakes: Vec<String>,
}

impl From<figment::Error> for ConfigError {
    fn from(errors: figment::Error) -> Self {
        Self { mistakes: errors.into_iter().map(|error| error.to_string()).collect() }
    }
}

/// Lists of tables of a section, as they stand in the file.
pub type Lists = BTreeMap<&'static str, Vec<serde_json::Value>>;

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
    load_with_lists(section, file, &[], overrides).map(|(settings, _)| settings)
}

/// As [`load`], but the lists with these names are given apart as the file has them: there may be thousands of tables in
/// them, and whoever reads them one by one says more about their mistakes.
pub fn load_with_lists<T>(
    section: &str,
    file: Option<&Path>,
    lists: &[&'static str],
    overrides: impl Serialize,
) -> Result<(T, Lists), ConfigError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut figment = Figment::from(Serialized::defaults(T::default()));
    let mut apart = Lists::new();
    if let Some(file) = file {
        let mut values = read(section, file).map_err(|mistake| ConfigError {
            mistakes: vec![format!("{}: {mistake}", file.display())],
        })?;
        for name in lists {
            // What is no list is left to `T`, which says so.
            if let Some(serde_json::Value::Array(_)) = values.get(*name)
                && let Some(serde_json::Value::Array(list)) = values.remove(*name)
            {
                apart.insert(name, list);
            }
        }
        let values = Value::serialize(values)?.into_dict().unwrap_or_default();
        figment = figment.merge(Section { values, file });
    }
    let prefix = format!("LOMBARD_{}__", section.to_ascii_uppercase());
    let settings = figment
        .merge(Env::prefixed(&prefix).split("__"))
        .merge(Serialized::defaults(overrides))
        .extract()?;
    Ok((settings, apart))
}

/// One table of a file, for the mistakes in it.
struct Section<'a> {
    values: Dict,
    file: &'a Path,
}

impl Provider for Section<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", self.file)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn read(section: &str, file: &Path) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        _ => error.to_string(),
    })?;
    let mut tables: serde_json::Map<String, serde_json::Value> =
        toml::from_str(&text).map_err(|error| error.to_string())?;
    match tables.remove(section) {
        None => Ok(serde_json::Map::new()),
        Some(mut table) => {
            write_out_times(&mut table);
            match table {
                serde_json::Value::Object(values) => Ok(values),
                _ => Err(format!("{section} is not a table")),
            }
        }
    }
}

/// What the reader of TOML calls a time, as a table of one key, becomes its text.
fn write_out_times(value: &mut serde_json::Value) {
    const TIME: &str = "$__toml_private_datetime";
    match value {
        serde_json::Value::Array(list) => list.iter_mut().for_each(write_out_times),
        serde_json::Value::Object(table) => match table.remove(TIME) {
            Some(text) => *value = text,
            None => table.values_mut().for_each(write_out_times),
        },
        _ => {}
    }
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

    #[test]
    fn lists_are_given_apart() {
        let file = file(
            "[chassistest]\nlimit = 8\nentry = [{ a = 1 }]\nname = \"x\"\n[[chassistest.item]]\nat = 2027-01-01T00:00:00Z\n",
        );
        let (settings, mut lists) = load_with_lists::<Settings>(
            "chassistest",
            Some(file.path()),
            &["entry", "item", "none"],
            serde_json::json!({}),
        )
        .unwrap();
        assert_eq!(settings, Settings { limit: 8, name: "x".to_owned() });
        assert_eq!(lists.remove("entry"), Some(vec![serde_json::json!({ "a": 1 })]));
        let item = serde_json::json!({ "at": "2027-01-01T00:00:00Z" });
        assert_eq!(lists.remove("item"), Some(vec![item]));
        assert_eq!(lists, Lists::new());
    }

    #[test]
    fn what_cannot_be_read_is_said_with_the_file() {
        for (text, word) in [("[chassistest\n", "line 1"), ("chassistest = 7\n", "not a table")] {
            let file = file(text);
            let error = load::<Settings>("chassistest", Some(file.path()), serde_json::json!({}));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        }
        let error = load::<Settings>("x", Some(Path::new("/none/such")), serde_json::json!({}));
        assert!(error.unwrap_err().to_string().contains("/none/such: it does not exist"));
    }
}
