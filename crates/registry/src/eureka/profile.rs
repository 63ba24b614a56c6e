//! What an instance says of itself that only Eureka's clients ask for: kept with it, as one entry of its metadata.

use lombard_registry_core::Instance;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The metadata in which it is kept. Not shown as metadata here.
pub(crate) const PROFILE: &str = "eureka-profile";

/// Answered as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secure_vip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_page_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_page_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_url: Option<String>,
}

impl Profile {
    /// From the body of a registration. What is no text is left out.
    pub(super) fn read(instance: &serde_json::Map<String, Value>) -> Self {
        let text = |name: &str| instance.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Self {
            host_name: text("hostName"),
            vip_address: text("vipAddress"),
            secure_vip_address: text("secureVipAddress"),
            home_page_url: text("homePageUrl"),
            status_page_url: text("statusPageUrl"),
            health_check_url: text("healthCheckUrl"),
        }
    }

    /// As metadata; nothing where nothing was said.
    pub(super) fn to_text(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// Of an instance. One that was registered otherwise has none.
    pub(crate) fn of(instance: &Instance) -> Self {
        let mut metadata = instance.attributes.metadata();
        let kept = metadata.find(|(key, _)| *key == PROFILE);
        kept.and_then(|(_, text)| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}
