//! Upstreams and routes as they stand in the configuration: `[[gateway.upstream]]`, `[[gateway.route]]`,
//! `[[gateway.issuer]]`. Read one by one, so that one mistake does not hide the others.

pub(crate) mod reference;
mod route;
mod upstream;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) use route::{
    AuthSettings, CorsSettings, IdempotencySettings, IdentitySettings, LimitBy, LimitSettings,
    PeriodSettings, PrioritySettings, RouteSettings,
};
pub use upstream::ClientAuthSettings;
pub(crate) use upstream::{
    AddressSettings, ApiKeySettings, CertificateSettings, IssuerSettings, ProtocolSettings,
    UpstreamSettings, UpstreamTlsSettings,
};

/// Reads each entry of a list, and adds what is wrong to the mistakes.
pub(crate) fn read<T: DeserializeOwned>(
    table: &str,
    entries: &[Value],
    mistakes: &mut Vec<String>,
) -> Vec<T> {
    let mut read = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        match read_one(table, index, entry) {
            Ok(settings) => read.push(settings),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    read
}

/// Reads one entry, the one at this place of its list; else says what is wrong with it.
pub(crate) fn read_one<'a, T: Deserialize<'a>>(
    table: &str,
    index: usize,
    entry: &'a Value,
) -> Result<T, String> {
    T::deserialize(entry).map_err(|error| {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or("without a name");
        format!("{table} {} ({name}): {error}", index + 1)
    })
}
