//! What was decided about security, for whoever audits it. Part of the log and of no state: nothing is decided on it.

use lombard_types::Timestamp;

/// A decision.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What was asked for, such as `token` or `client.remove`.
    pub action: Box<str>,
    /// Why it was refused; none where it was not.
    pub refused: Option<Box<str>>,
    /// The client that asked; empty where it is not known.
    pub client: Box<str>,
    /// Whom it is about; empty where that is nobody.
    pub subject: Box<str>,
    /// Where the request came from, as the gateway says.
    pub address: Box<str>,
    /// The request's id.
    pub request_id: Box<str>,
    /// What exactly.
    pub detail: Box<str>,
}

impl std::fmt::Debug for AuditEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditEntry")
            .field("action", &self.action)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}
