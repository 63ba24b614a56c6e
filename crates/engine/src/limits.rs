//! How much an engine takes on at once.

use std::time::Duration;

/// The engine's limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Commands that may wait; one more is refused as overloaded.
    pub queue_commands_max: usize,
    /// Commands decided before their records are handed to the log together.
    pub group_commands_max: usize,
    /// Groups handed to the log and not yet durable; beyond it the engine stops deciding.
    pub groups_in_flight_max: usize,
    /// Bytes of one record; a command whose events need more is refused.
    pub record_bytes_max: usize,
    /// How long a caller waits before the outcome is reported as unknown.
    pub submit_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_commands_max: 8192,
            group_commands_max: 1024,
            groups_in_flight_max: 16,
            record_bytes_max: 4 << 20,
            submit_timeout: Duration::from_secs(10),
        }
    }
}
