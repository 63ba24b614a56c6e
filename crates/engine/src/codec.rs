//! How a domain's events become bytes and back.

/// The stored form of a domain's events. Versioned by its implementation: what any released version has written must
/// be read for ever.
pub trait Codec: Send + Sync + 'static {
    /// What is stored.
    type Event;

    /// Appends the event's bytes to `out`.
    fn encode(&self, event: &Self::Event, out: &mut Vec<u8>);

    /// Reads one event from exactly these bytes.
    fn decode(&self, bytes: &[u8]) -> Result<Self::Event, DecodeError>;
}

/// Stored bytes are not an event that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known event: {0}")]
pub struct DecodeError(pub &'static str);
