//! Who asked, by what authority, and in which request: kept with every event.

use lombard_types::{ClientId, RequestId};

/// The chain from an event back to the HTTP request that caused it. The rules never look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Names the command, once per time it was asked for.
    pub command_id: u128,
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
    /// The request's `Idempotency-Key`, where it had one.
    pub idempotency_key: Option<Box<str>>,
}

/// What the caller wants kept with a transfer: a JSON object as text, opaque to the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Box<str>);

impl Metadata {
    /// Longest, in bytes.
    pub const BYTES_MAX: usize = 2048;

    /// Keeps a text. Empty means that there is no metadata.
    pub fn new(json: impl Into<Box<str>>) -> Result<Self, MetadataTooLong> {
        let json = json.into();
        if json.len() > Self::BYTES_MAX {
            return Err(MetadataTooLong { bytes: json.len() });
        }
        Ok(Self(json))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Metadata over [`Metadata::BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata of {bytes} bytes is over the limit of {max}", max = Metadata::BYTES_MAX)]
pub struct MetadataTooLong {
    /// How long it is.
    pub bytes: usize,
}
