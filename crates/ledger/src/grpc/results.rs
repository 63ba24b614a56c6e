//! What became of a frame: 24 bytes for each transfer, as drawn in `proto/ledger/v1`.

use bytes::{BufMut as _, Bytes, BytesMut};
use lombard_chassis::Problem;
use lombard_engine::Committed;
use lombard_ledger_core::{
    NewNote, Outcome, RecordedTransfer, Reply, SetResult, Spent, TransferFlags, TransferRefusal,
    TransferRejection, TransfersReply,
};
use lombard_proto::ledger::v1::TransferResult;
use lombard_types::{Position, Timestamp};

use super::{packed, replays::Replays};
use crate::{
    codec::transfer::{BYTES as TRANSFER_BYTES, refusal_code},
    rest::{Api, sets, unexpected_reply},
};

const BYTES: usize = 24;
const CREATED: u16 = 0;

/// What was asked for, as it is needed for the answer.
pub(super) struct Asked {
    /// The frame.
    pub(super) packed: Bytes,
    /// What its sets carry besides.
    pub(super) notes: Vec<(u32, NewNote)>,
}

impl Asked {
    /// The records of each set.
    fn sets(&self) -> impl Iterator<Item = &[[u8; TRANSFER_BYTES]]> {
        const FLAGS: usize = 122;
        let (records, _) = self.packed.as_chunks::<TRANSFER_BYTES>();
        records.split_inclusive(|record| record.get(FLAGS).is_some_and(|flags| flags & 1 == 0))
    }
}

/// The results of all transfers, in order.
pub(super) async fn pack(
    api: &Api,
    asked: &Asked,
    committed: Committed<Reply>,
) -> Result<Bytes, Problem> {
    let Reply::Transfers(TransfersReply { results, recorded }) = committed.reply else {
        return Err(unexpected_reply());
    };
    let recorded = recorded.as_ref().map_or(&[][..], |transfers| &transfers.recorded);
    let here = At { position: committed.position, time: committed.time };
    let mut out = Packing {
        out: BytesMut::with_capacity(asked.packed.len() / TRANSFER_BYTES * BYTES),
        created: 0,
    };
    let mut replays = Replays::new(api);
    for (number, (set, result)) in (0u32..).zip(asked.sets().zip(results)) {
        match result {
            SetResult::Created { .. } => out.created(set.len(), here),
            SetResult::Refused { transfer, refusal, .. } => {
                api.metrics.transfer(Outcome::Refused(refusal), false);
                out.refused(set.len(), transfer, refusal, here);
            }
            SetResult::Rejected { transfer, rejection } => {
                out.rejected(api, set.len(), transfer, rejection)?;
            }
            SetResult::Again { first } => {
                let first = recorded.get(first..).unwrap_or_default();
                out.again(api, set.len(), first, here);
            }
            SetResult::Spent(spent) => {
                let note = asked.notes.iter().find(|(of, _)| *of == number).map(|(_, note)| note);
                out.spent(api, &mut replays, set, note, spent).await?;
            }
        }
    }
    api.metrics.transfers_created(out.created);
    Ok(out.out.freeze())
}

/// Where and when something was recorded.
#[derive(Clone, Copy)]
struct At {
    position: Position,
    time: Timestamp,
}

struct Packing {
    out: BytesMut,
    /// Sets that happened now.
    created: u64,
}

impl Packing {
    fn created(&mut self, transfers: usize, at: At) {
        self.created += 1;
        (0..transfers).for_each(|_| put(&mut self.out, CREATED, false, Some(at)));
    }

    fn refused(&mut self, transfers: usize, number: u16, refusal: TransferRefusal, at: At) {
        for transfer in 0..transfers {
            let is_it = transfer == usize::from(number);
            let refusal = if is_it { refusal } else { TransferRefusal::LinkedEventFailed };
            put(&mut self.out, refusal_code(refusal).into(), false, Some(at));
        }
    }

    fn rejected(
        &mut self,
        api: &Api,
        transfers: usize,
        number: u16,
        rejection: TransferRejection,
    ) -> Result<(), Problem> {
        api.metrics.transfer_rejected(rejection);
        for transfer in 0..transfers {
            let result = match transfer == usize::from(number) {
                true => number_of(rejection.name()).ok_or_else(unexpected_reply)?,
                false => refusal_code(TransferRefusal::LinkedEventFailed).into(),
            };
            put(&mut self.out, result, false, None);
        }
        Ok(())
    }

    /// The first answer again. `recorded` begins with the set.
    fn again(&mut self, api: &Api, transfers: usize, recorded: &[RecordedTransfer], at: At) {
        let end = recorded.iter().position(|one| !one.transfer.flags.has(TransferFlags::LINKED));
        let set = recorded.get(..=end.unwrap_or(0)).unwrap_or_default();
        let outcome = sets::outcome_of(set);
        api.metrics.transfer(outcome, true);
        for transfer in 0..transfers {
            // One record may have been about all transfers of another set.
            let of_transfer = match set.get(transfer) {
                Some(recorded) if set.len() == transfers => recorded.outcome,
                _ => outcome,
            };
            let result = match of_transfer {
                Outcome::Created => CREATED,
                Outcome::Refused(refusal) => refusal_code(refusal).into(),
            };
            put(&mut self.out, result, true, Some(at));
        }
    }

    async fn spent(
        &mut self,
        api: &Api,
        replays: &mut Replays<'_>,
        set: &[[u8; TRANSFER_BYTES]],
        note: Option<&NewNote>,
        spent: Spent,
    ) -> Result<(), Problem> {
        let asked = packed::transfers(set.as_flattened(), set.len())?;
        let (recorded, compared) = replays.compare(&asked, note, spent).await?;
        match compared {
            Err((transfer, rejection)) => self.rejected(api, set.len(), transfer, rejection),
            Ok(first) => {
                let at = At { position: recorded.position, time: recorded.time };
                self.again(api, set.len(), first, at);
                Ok(())
            }
        }
    }
}

fn put(out: &mut BytesMut, result: u16, is_replay: bool, at: Option<At>) {
    let (position, time) = at.map_or((0, 0), |at| (at.position.get(), at.time.unix_nanos()));
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
