//! One posting set, from the request to its answer: also when the answer was given before.

use std::sync::Arc;

use lombard_chassis::{Problem, problems};
use lombard_engine::{Committed, SubmitError, decode_record};
use lombard_ledger_core::{
    AccountRef, Command, CreateTransfers, Event, Evidence, Outcome, Past, Recorded, RecordedSet,
    Reply, SetResult, Spent, TransferRejection, Transfers, TransfersReply, compare_retry,
};
use lombard_types::{Position, TransferId};

use super::super::{Api, unexpected_reply};
use super::request::Asked;
use crate::{codec::EventCodec, problem};

/// A set that spent its id.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: TransferId,
    /// The record that holds it.
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) recorded: Recorded,
    /// The last record that the answer depends on.
    pub(crate) position: Position,
    pub(crate) is_replay: bool,
    /// It was only tried: nothing is recorded.
    pub(crate) is_dry_run: bool,
}

impl Stored {
    pub(crate) fn set(&self) -> Result<RecordedSet<'_>, Problem> {
        self.transfers.set(self.id).ok_or_else(unexpected_reply)
    }
}

/// How a set ended.
pub(crate) enum Ended {
    Stored(Stored),
    Rejected { transfer: u16, rejection: TransferRejection, position: Option<Position> },
}

impl Api {
    /// Has the writer decide one set.
    pub(crate) async fn submit_set(
        &self,
        id: TransferId,
        asked: &Asked,
        evidence: Arc<Evidence>,
        is_dry_run: bool,
    ) -> Result<Ended, Problem> {
        let transfers = asked.transfers.clone();
        let notes = vec![(0, asked.note.clone())];
        let command = Command::CreateTransfers(CreateTransfers { transfers, notes, evidence });
        let command = if is_dry_run { Command::DryRun(Box::new(command)) } else { command };
        let committed = match self.writer.submit(command).await {
            Ok(committed) => committed,
            Err(error) => {
                self.metrics.transfer_failed();
                return Err(say_the_id(error, id));
            }
        };
        let Committed { position, time, written, reply: Reply::Transfers(reply) } = committed
        else {
            return Err(unexpected_reply());
        };
        let TransfersReply { results, recorded } = reply;
        match (results.into_iter().next(), recorded) {
            (Some(SetResult::Created { .. } | SetResult::Refused { .. }), Some(transfers)) => {
                let stored = Stored {
                    id,
                    transfers,
                    recorded: Recorded { position, time },
                    position,
                    is_replay: false,
                    is_dry_run: !written,
                };
                self.count(&stored)?;
                Ok(Ended::Stored(stored))
            }
            (Some(SetResult::Rejected { transfer, rejection }), _) => {
                self.metrics.transfer_rejected(rejection);
                Ok(Ended::Rejected { transfer, rejection, position: Some(position) })
            }
            (Some(SetResult::Spent(spent)), _) => self.again(id, asked, spent, position).await,
            _ => Err(unexpected_reply()),
        }
    }

    /// The first answer, where this is a retry.
    async fn again(
        &self,
        id: TransferId,
        asked: &Asked,
        spent: Spent,
        position: Position,
    ) -> Result<Ended, Problem> {
        let mut stored = self.stored(id, spent.position).await?;
        self.reach(Some(spent.position)).await?;
        let compared = self.view.read(|view| {
            let asset_of =
                |id| view.account(&AccountRef::Id(id)).map(|account| account.asset.code.clone());
            compare_retry(stored.set()?, &asked.transfers, Some(&asked.note), asset_of)
                .map_or_else(|differs| Ok(Some(differs)), |()| Ok(None))
        });
        if let Some((transfer, rejection)) = compared? {
            self.metrics.transfer_rejected(rejection);
            return Ok(Ended::Rejected { transfer, rejection, position: Some(position) });
        }
        (stored.position, stored.is_replay) = (position, true);
        self.count(&stored)?;
        Ok(Ended::Stored(stored))
    }

    /// The set with an id, as the writer knows it: linearizable. `None` where the id is unspent.
    pub(crate) async fn find_stored(&self, id: TransferId) -> Result<Option<Stored>, Problem> {
        let asked = self.writer.query(move |machine| machine.past().spent(id)).await;
        let (spent, _) = asked.map_err(problem::from_query_error)?;
        let spent = spent.map_err(|cause| {
            tracing::error!(%cause, "the writer could not look at the past");
            Problem::new(&problems::INTERNAL)
        })?;
        match spent {
            Some(spent) => self.stored(id, spent.position).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the record that a set is in.
    async fn stored(&self, id: TransferId, position: Position) -> Result<Stored, Problem> {
        let broken = |cause: &dyn std::fmt::Display| {
            tracing::error!(%position, %cause, "the record of a spent id cannot be read");
            Problem::new(&problems::INTERNAL)
        };
        let read = self.writer.log().read(position, 1).await;
        let records = read.map_err(|error| broken(&error))?;
        let record = records.first().ok_or_else(|| broken(&"the log ends before it"))?;
        let mut found = None;
        let time = decode_record(&EventCodec, record, |event, _| {
            if let Event::Transfers(transfers) = event
                && transfers.set(id).is_some()
            {
                found = Some(transfers);
            }
        })
        .map_err(|error| broken(&error))?;
        let transfers = found.ok_or_else(|| broken(&"the set is not in it"))?;
        let recorded = Recorded { position, time };
        Ok(Stored { id, transfers, recorded, position, is_replay: false, is_dry_run: false })
    }

    fn count(&self, stored: &Stored) -> Result<(), Problem> {
        if !stored.is_dry_run {
            self.metrics.transfer(outcome(stored.set()?), stored.is_replay);
        }
        Ok(())
    }
}

/// How a set ended: of a refused one, the reason.
pub(crate) fn outcome(set: RecordedSet<'_>) -> Outcome {
    use lombard_ledger_core::TransferRefusal::LinkedEventFailed;
    let mut outcomes = set.recorded.iter().map(|recorded| recorded.outcome);
    let reason = outcomes.find(|outcome| *outcome != Outcome::Refused(LinkedEventFailed));
    reason.unwrap_or(Outcome::Created)
}

/// Where the outcome is unknown, the caller needs the id to ask by.
fn say_the_id(error: SubmitError<lombard_ledger_core::Rejection>, id: TransferId) -> Problem {
    let is_unknown = matches!(error, SubmitError::OutcomeUnknown);
    let problem = problem::from_submit_error(error);
    if is_unknown { problem.with("transfer_id", id.to_string()) } else { problem }
}
