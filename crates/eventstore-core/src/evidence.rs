//! Who asked, by what authority, and in which request: kept with every append.

use lombard_types::{ClientId, RequestId};

/// The chain from an event back to the HTTP request that caused it. The rules never look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The OAuth client that asked.
    pub client_id: ClientId,
    /// On whose behalf (`sub`); the client itself where there is no user.
    pub subject: Box<str>,
    /// The access token's id (`jti`). Never the token.
    pub token_id: Box<str>,
    /// The HTTP request.
    pub request_id: RequestId,
    /// Its W3C trace, where it had one.
    pub traceparent: Option<Box<str>>,
}
