//! The chart of accounts: what may be opened where.

use lombard_types::{AccountPath, AssetCode};

use crate::{Balance, NormalSide};

/// What an account that is opened below a path must be like. Of several rules that a path is below of, the one with the
/// longest prefix counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChartRule {
    /// Accounts at this path and below.
    pub prefix: AccountPath,
    /// Whether any may be opened.
    pub is_open: bool,
    /// The side that they grow on.
    pub normal_side: Option<NormalSide>,
    /// What they hold: any of these, or anything where there is none.
    pub assets: Box<[AssetCode]>,
    /// They must have a floor, of at least this.
    pub floor_min: Option<Balance>,
}

impl ChartRule {
    /// Whether an account at `path` is this rule's business.
    pub fn covers(&self, path: &AccountPath) -> bool {
        let rest = path.as_str().strip_prefix(self.prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether an account like this may be opened.
    pub fn allows(
        &self,
        asset: &AssetCode,
        normal_side: NormalSide,
        floor: Option<Balance>,
    ) -> bool {
        let has_floor = match self.floor_min {
            Some(least) => floor.is_some_and(|floor| floor >= least),
            None => true,
        };
        self.is_open
            && self.normal_side.is_none_or(|side| side == normal_side)
            && (self.assets.is_empty() || self.assets.contains(asset))
            && has_floor
    }
}
