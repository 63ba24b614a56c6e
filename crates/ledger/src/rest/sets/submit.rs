//! One posting set, from the request to its answer: also when the answer was given before.

use std::sync::Arc;

use lombard_chassis::{Problem, problems};
use lombard_engine::{Committed, SubmitError, decode_record};
use lombard_ledger_core::{
    AccountRef, Command, CreateTransfers, Event, Evidence, ExternalId, NewNote, NewTransfer,
    Outcome, Past, Recorded, RecordedSet, RecordedTransfer, Rejection, Reply, SetResult, Spent,
    TransferRejection, Transfers, TransfersReply, Unreadable, compare_retry,
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
        asked: Asked,
        evidence: Arc<Evidence>,
        is_dry_run: bool,
    ) -> Result<Ended, Problem> {
        let id = asked.id;
        let ended = self.submit_sets(&[asked], evidence, is_dry_run).await;
        let ended = ended.map_err(|error| say_the_id(error, id))?;
        ended.into_iter().next().unwrap_or_else(|| Err(unexpected_reply()))
    }

    /// Has the writer decide sets with one command: each happens or not by itself, in order. An outcome that is unknown is
    /// unknown of all.
    pub(crate) async fn submit_sets(
        &self,
        asked: &[Asked],
        evidence: Arc<Evidence>,
        is_dry_run: bool,
    ) -> Result<Vec<Result<Ended, Problem>>, SubmitError<Rejection>> {
        let transfers = asked.iter().flat_map(|set| &set.transfers).copied().collect();
        let notes = (0..).zip(asked).filter(|(_, set)| set.note != NewNote::default());
        let notes = notes.map(|(number, set)| (number, set.note.clone())).collect();
        let command = Command::CreateTransfers(CreateTransfers { transfers, notes, evidence });
        let command = if is_dry_run { Command::DryRun(Box::new(command)) } else { command };
        let committed =
            self.writer.submit(command).await.inspect_err(|_| self.metrics.transfer_failed())?;
        let Committed { position, time, written, reply } = committed;
        let Reply::Transfers(TransfersReply { results, recorded }) = reply else {
            return Ok(vec![Err(unexpected_reply())]);
        };
        let mut ended = Vec::with_capacity(results.len());
        for (result, set) in results.into_iter().zip(asked) {
            ended.push(match (result, &recorded) {
                (SetResult::Spent(spent), _) => self.again(set, spent, position).await,
                (SetResult::Rejected { transfer, rejection }, _) => {
                    self.metrics.transfer_rejected(rejection);
                    Ok(Ended::Rejected { transfer, rejection, position: Some(position) })
                }
                (result, Some(transfers)) => self.counted(Stored {
                    id: set.id,
                    transfers: Arc::clone(transfers),
                    recorded: Recorded { position, time },
                    position,
                    is_replay: matches!(result, SetResult::Again { .. }),
                    is_dry_run: !written,
                }),
                (_, None) => Err(unexpected_reply()),
            });
        }
        Ok(ended)
    }

    /// The first answer, where this is a retry.
    async fn again(
        &self,
        asked: &Asked,
        spent: Spent,
        position: Position,
    ) -> Result<Ended, Problem> {
        let mut stored = self.stored(asked.id, spent.position).await?;
        if let Err((transfer, rejection)) =
            self.compare(stored.set()?, &asked.transfers, Some(&asked.note))
        {
            self.metrics.transfer_rejected(rejection);
            return Ok(Ended::Rejected { transfer, rejection, position: Some(position) });
        }
        (stored.position, stored.is_replay) = (position, true);
        self.counted(stored)
    }

    /// Whether a set is asked for again, or else what differs from the one that is stored, and in which transfer.
    pub(crate) fn compare(
        &self,
        first: RecordedSet<'_>,
        again: &[NewTransfer],
        note: Option<&NewNote>,
    ) -> Result<(), (u16, TransferRejection)> {
        let asset_of = |id| self.named(&AccountRef::Id(id)).map(|account| account.asset.code);
        compare_retry(first, again, note, asset_of)
    }

    /// The set with an id, as the writer knows it: linearizable. `None` where the id is unspent.
    pub(crate) async fn find_stored(&self, id: TransferId) -> Result<Option<Stored>, Problem> {
        let asked = self.writer.query(move |machine| machine.past().spent(id)).await;
        let (spent, _) = asked.map_err(problem::from_query_error)?;
        match spent.map_err(unreadable)? {
            Some(spent) => self.stored(id, spent.position).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn stored(
        &self,
        id: TransferId,
        position: Position,
    ) -> Result<Stored, Problem> {
        let is_it = |set: RecordedSet<'_>| {
            set.recorded.first().is_some_and(|recorded| recorded.transfer.id == id)
        };
        self.stored_where(position, is_it).await
    }

    /// Reads the record that a set is in.
    async fn stored_where(
        &self,
        position: Position,
        is_it: impl Fn(RecordedSet<'_>) -> bool,
    ) -> Result<Stored, Problem> {
        let broken = |cause: &dyn std::fmt::Display| {
            tracing::error!(%position, %cause, "the record of a spent id cannot be read");
            Problem::new(&problems::INTERNAL)
        };
        let read = self.writer.log().read(position, 1).await;
        let records = read.map_err(|error| broken(&error))?;
        let record = records.first().ok_or_else(|| broken(&"the log ends before it"))?;
        let mut found = None;
        let time = decode_record(&EventCodec, record, |event, _| {
            if let Event::Transfers(transfers) = event {
                let set = transfers.sets().find(|set| is_it(*set));
                let id = set.and_then(|set| set.recorded.first()).map(|first| first.transfer.id);
                found = found.take().or(id.map(|id| (id, transfers)));
            }
        })
        .map_err(|error| broken(&error))?;
        let (id, transfers) = found.ok_or_else(|| broken(&"the set is not in it"))?;
        let recorded = Recorded { position, time };
        Ok(Stored { id, transfers, recorded, position, is_replay: false, is_dry_run: false })
    }

    fn counted(&self, stored: Stored) -> Result<Ended, Problem> {
        if !stored.is_dry_run {
            self.metrics.transfer(outcome(stored.set()?), stored.is_replay);
        }
        Ok(Ended::Stored(stored))
    }

    /// The set with an external id, as the writer knows it: linearizable.
    pub(crate) async fn find_external(
        &self,
        external_id: ExternalId,
    ) -> Result<Option<Stored>, Problem> {
        let wanted = external_id.clone();
        let asked = self.writer.query(move |machine| machine.past().external(&wanted)).await;
        let (found, _) = asked.map_err(problem::from_query_error)?;
        let Some(position) = found.map_err(unreadable)? else { return Ok(None) };
        let is_it = |set: RecordedSet<'_>| {
            set.note.is_some_and(|note| note.external_id.as_ref() == Some(&external_id))
        };
        self.stored_where(position, is_it).await.map(Some)
    }
}

fn unreadable(cause: Unreadable) -> Problem {
    tracing::error!(%cause, "the writer could not look at the past");
    Problem::new(&problems::INTERNAL)
}

/// How a set ended: of a refused one, the reason.
pub(crate) fn outcome(set: RecordedSet<'_>) -> Outcome {
    outcome_of(set.recorded)
}

/// [`outcome`] of the transfers of a set.
pub(crate) fn outcome_of(recorded: &[RecordedTransfer]) -> Outcome {
    use lombard_ledger_core::TransferRefusal::LinkedEventFailed;
    let mut outcomes = recorded.iter().map(|recorded| recorded.outcome);
    let reason = outcomes.find(|outcome| *outcome != Outcome::Refused(LinkedEventFailed));
    reason.unwrap_or(Outcome::Created)
}

/// Where the outcome is unknown, the caller needs the id to ask by.
pub(super) fn say_the_id(error: SubmitError<Rejection>, id: TransferId) -> Problem {
    let is_unknown = matches!(error, SubmitError::OutcomeUnknown);
    let problem = problem::from_submit_error(error);
    if is_unknown { problem.with("transfer_id", id.to_string()) } else { problem }
}
