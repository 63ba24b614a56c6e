//! What the event store answers, as far as the page shows it.

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stream {
    pub(crate) stream: String,
    pub(crate) last_revision: String,
    pub(crate) last_position: String,
}
