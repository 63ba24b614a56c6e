//! An asset as JSON.

use lombard_ledger_core::Asset;
use serde::Serialize;

/// An asset.
#[derive(Debug, Serialize)]
pub struct AssetBody {
    code: String,
    scale: u8,
    /// Whether it is a currency that every book knows.
    built_in: bool,
}

impl From<&Asset> for AssetBody {
    fn from(asset: &Asset) -> Self {
        Self {
            code: asset.code.to_string(),
            scale: asset.scale.digits(),
            built_in: lombard_ledger_core::built_in().any(|known| known == *asset),
        }
    }
}
