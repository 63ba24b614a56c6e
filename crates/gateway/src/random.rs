//! Random numbers and ids of one worker. Asking the system for each would be a system call each, several for a request.

use std::{
    cell::Cell,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;
use lombard_types::RequestId;
use uuid::{Builder, Uuid};

use crate::values::Values;

/// SplitMix64 (Steele, Lea, Flood 2014) from a seed of the system's. Choices between instances depend on it and ids that must
/// be unique; nothing that must be secret.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new() -> Self {
        Self(Cell::new(Uuid::new_v4().as_u64_pair().0))
    }

    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A UUIDv7 (RFC 9562 section 5.7).
    pub(crate) fn uuid(&self) -> Uuid {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = [0; 10];
        let random = self.next().to_be_bytes().into_iter().chain(self.next().to_be_bytes());
        for (byte, random) in bytes.iter_mut().zip(random) {
            *byte = random;
        }
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// The id of a request that came without one.
    #[expect(clippy::expect_used, reason = "a UUID's text always fits the grammar of request ids")]
    pub(crate) fn request_id(&self) -> RequestId {
        let mut text = Uuid::encode_buffer();
        let text = self.uuid().hyphenated().encode_lower(&mut text);
        text.parse().expect("a UUID is a request id")
    }

    /// The `traceparent` of a trace that begins here (W3C Trace Context).
    pub(crate) fn traceparent(&self, values: &Values) -> Option<HeaderValue> {
        // Neither id is zero: the one says its version, of the other one bit is set.
        let (trace, span) = (self.uuid(), self.next() | 1);
        values.write(format_args!("00-{}-{span:016x}-01", trace.simple()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_of_their_form_and_unique() {
        let (one, other) = (Random::new(), Random::new());
        let ids: HashSet<String> = (0..1000)
            .flat_map(|_| [one.request_id(), other.request_id()])
            .map(|id| id.as_str().to_owned())
            .collect();
        assert_eq!(ids.len(), 2000);
        let id: Uuid = ids.iter().next().unwrap().parse().unwrap();
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        for _ in 0..1000 {
            let traceparent = one.traceparent(&Values::new()).unwrap();
            assert!(lombard_chassis::context::is_traceparent(traceparent.to_str().unwrap()));
        }
    }
}
