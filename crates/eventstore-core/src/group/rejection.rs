//! Why a command has no effect.

use lombard_types::GroupName;

/// A command was rejected; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such group.
    #[error("there is no group {group}")]
    NotFound {
        /// The name.
        group: GroupName,
    },
    /// There is a group of this name with other settings.
    #[error("the group {group} exists with other settings, which are fixed")]
    OtherSettings {
        /// The name.
        group: GroupName,
    },
    /// As many groups as there may be.
    #[error("there are {count_max} groups, as many as the limit allows")]
    TooManyGroups {
        /// The limit.
        count_max: usize,
    },
    /// As many consumers have deliveries of the group as may.
    #[error("{count_max} consumers have deliveries of the group, as many as the limit allows")]
    TooManyConsumers {
        /// The limit.
        count_max: usize,
    },
    /// Somebody else has read on meanwhile.
    #[error("the group has moved on")]
    Stale,
}
