//! What became of transfers of a session: 24 bytes each, as `proto/ledger/v1` draws them.

use bytes::Bytes;
use lombard_proto::ledger::v1::TransferResult;
use lombard_types::Timestamp;

/// Size of a packed outcome.
pub(super) const BYTES: usize = 24;
const CREATED: u16 = 0;

/// What became of one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferOutcome {
    /// The number of its result.
    pub result_code: u16,
    /// Whether this is the answer to a retry.
    pub is_replayed: bool,
    /// The record of the log that holds it; `None` where it left no trace.
    pub position: Option<u64>,
    /// When it was recorded.
    pub recorded_at: Option<Timestamp>,
}

impl TransferOutcome {
    /// Whether it happened.
    pub const fn is_created(&self) -> bool {
        self.result_code == CREATED
    }

    /// Its result; `None` where it is of a newer server.
    pub fn result(&self) -> Option<TransferResult> {
        TransferResult::try_from(i32::from(self.result_code)).ok()
    }
}

/// What became of the transfers that were submitted together, in order. Refused or not, they are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes(pub(super) Bytes);

impl Outcomes {
    /// Each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TransferOutcome> + '_ {
        let (outcomes, _) = self.0.as_chunks::<BYTES>();
        outcomes.iter().map(outcome)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() / BYTES
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that did not happen, and its place.
    pub fn first_refused(&self) -> Option<(usize, TransferOutcome)> {
        self.iter().enumerate().find(|(_, outcome)| !outcome.is_created())
    }
}

fn outcome(bytes: &[u8; BYTES]) -> TransferOutcome {
    let number = |from: usize, len: usize| {
        let field = bytes.get(from..from + len).unwrap_or_default();
        field.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (position, time) = (number(8, 8), number(16, 8));
    let is_recorded = time != 0;
    TransferOutcome {
        result_code: u16::try_from(number(0, 2)).unwrap_or(u16::MAX),
        is_replayed: number(2, 2) & 1 != 0,
        position: is_recorded.then_some(position),
        recorded_at: is_recorded.then_some(Timestamp::from_unix_nanos(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read() {
        let mut bytes = vec![0; 2 * BYTES];
        (bytes[8], bytes[17]) = (5, 1);
        (bytes[24], bytes[25], bytes[26]) = (0x2e, 0x01, 1);
        let outcomes = Outcomes(bytes.into());
        let read: Vec<_> = outcomes.iter().collect();
        assert!(read[0].is_created() && !read[0].is_replayed);
        assert_eq!(read[0].position, Some(5));
        assert_eq!(read[0].recorded_at, Some(Timestamp::from_unix_nanos(256)));
        assert_eq!(read[1].result(), Some(TransferResult::PendingTransferNotPending));
        assert_eq!((read[1].is_replayed, read[1].position), (true, None));
        assert_eq!(outcomes.first_refused(), Some((1, read[1])));
    }
}
