//! What became of a frame: 24 bytes for each transfer, as drawn in `proto/ledger/v1`.

use bytes::{BufMut as _, Bytes, BytesMut};
use lombard_chassis::Problem;
use lombard_ledger_core::{Outcome, TransferRefusal};
use lombard_proto::ledger::v1::TransferResult;

use crate::{
    codec::transfer::refusal_code,
    rest::{
        sets::{Asked, Ended},
        unexpected_reply,
    },
};

const BYTES: usize = 24;
const CREATED: u16 = 0;

/// The results of all transfers, in order.
pub(super) fn pack(asked: &[Asked], ended: Vec<Result<Ended, Problem>>) -> Result<Bytes, Problem> {
    let count: usize = asked.iter().map(|set| set.transfers.len()).sum();
    let mut out = BytesMut::with_capacity(count * BYTES);
    for (asked, ended) in asked.iter().zip(ended) {
        match ended? {
            Ended::Stored(stored) => {
                for recorded in stored.set()?.recorded {
                    let result = match recorded.outcome {
                        Outcome::Created => CREATED,
                        Outcome::Refused(refusal) => u16::from(refusal_code(refusal)),
                    };
                    let at = (stored.recorded.position.get(), stored.recorded.time.unix_nanos());
                    put(&mut out, result, stored.is_replay, at);
                }
            }
            Ended::Rejected { transfer, rejection, .. } => {
                for number in 0..asked.transfers.len() {
                    let result = match number == usize::from(transfer) {
                        true => number_of(rejection.name()).ok_or_else(unexpected_reply)?,
                        false => u16::from(refusal_code(TransferRefusal::LinkedEventFailed)),
                    };
                    put(&mut out, result, false, (0, 0));
                }
            }
        }
    }
    Ok(out.freeze())
}

fn put(out: &mut BytesMut, result: u16, is_replay: bool, (position, time): (u64, u64)) {
    out.put_u16_le(result);
    out.put_u16_le(is_replay.into());
    out.put_u32_le(0);
    out.put_u64_le(position);
    out.put_u64_le(time);
}

/// The number of a result of the rules, by its name.
fn number_of(name: &str) -> Option<u16> {
    let name = format!("TRANSFER_RESULT_{}", name.to_ascii_uppercase());
    u16::try_from(i32::from(TransferResult::from_str_name(&name)?)).ok()
}

#[cfg(test)]
mod tests {
    use lombard_ledger_core::TransferRejection;

    use super::*;

    #[test]
    fn every_result_has_a_number() {
        for rejection in TransferRejection::ALL {
            assert!(number_of(rejection.name()).is_some_and(|number| number > 255), "{rejection}");
        }
        for refusal in TransferRefusal::ALL {
            assert_eq!(number_of(refusal.name()), Some(refusal_code(*refusal).into()));
        }
        assert_eq!(number_of("created"), Some(CREATED));
    }
}
