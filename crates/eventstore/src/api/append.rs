//! Appending.

use lombard_chassis::{Problem, problems};
use lombard_engine::{Committed, SubmitError};
use lombard_eventstore_core::{
    Append, Command, Condition, Event, Evidence, Expected, Past as _, StreamAppend, StreamRange,
};
use lombard_types::{Position, StreamName};

use super::Api;
use crate::{
    cloud_event::CloudEvent,
    codec::Recorded,
    machine::Reply,
    metrics::AppendResult,
    prepare::{Prepared, Refused},
    problem,
};

/// What a client wants appended, as its edge has read it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// Each stream once.
    pub(crate) streams: Vec<StreamDraft<'a>>,
    /// What must not have happened.
    pub(crate) condition: Option<Condition>,
    /// Who asks.
    pub(crate) evidence: Evidence,
}

/// What a client wants appended to one stream.
#[derive(Debug)]
pub(crate) struct StreamDraft<'a> {
    pub(crate) stream: StreamName,
    pub(crate) expected: Expected,
    pub(crate) events: Vec<CloudEvent<'a>>,
}

/// What can be handed to the writer.
#[derive(Debug)]
pub(crate) struct Ready {
    append: Append,
    /// Why it may only be a retry.
    refused: Option<Refused>,
}

/// Where the events of an append stand, now or since the first time it was asked for.
pub(crate) struct Outcome {
    pub(crate) streams: Vec<StreamRange>,
    pub(crate) recorded: Recorded,
    /// Whether this is the answer to a retry.
    pub(crate) is_replayed: bool,
}

impl Api {
    /// Appends what a client has sent: all of it or nothing. The same again is answered as the first time.
    pub(crate) async fn append(&self, draft: Draft<'_>) -> Result<Outcome, Problem> {
        let ready = self.prepare(draft).await?;
        self.submit(ready).await
    }

    /// Appends what was [prepared](Self::prepare).
    pub(crate) async fn submit(&self, ready: Ready) -> Result<Outcome, Problem> {
        let Ready { append, refused } = ready;
        let event_count = append.events().count();
        let outcome = match refused {
            Some(refused) => self.recorded(&append, &refused).await,
            None => match self.writer.submit(Command::Append(append)).await {
                Ok(committed) => self.outcome(committed).await,
                Err(error) => {
                    let result = match error {
                        SubmitError::Rejected { .. } => AppendResult::Rejected,
                        _ => AppendResult::Failed,
                    };
                    Err((result, problem::from_submit_error(error)))
                }
            },
        };
        match outcome {
            Ok(outcome) if outcome.is_replayed => {
                self.metrics.append(AppendResult::Replayed);
                Ok(outcome)
            }
            Ok(outcome) => {
                self.metrics.append(AppendResult::Appended);
                self.metrics.events_appended(event_count);
                Ok(outcome)
            }
            Err((result, problem)) => {
                self.metrics.append(result);
                Err(problem)
            }
        }
    }

    /// Makes of what a client has sent what can be appended. Waits for the disk only where a data subject is new.
    pub(crate) async fn prepare(&self, draft: Draft<'_>) -> Result<Ready, Problem> {
        let Draft { streams, condition, evidence } = draft;
        let refused = |refused| problem::from_refused(&refused);
        let mut checked = Vec::with_capacity(streams.len());
        for StreamDraft { stream, expected, events } in streams {
            let events = self.preparing.check(events).map_err(refused)?;
            checked.push((stream, expected, events));
        }
        let subjects = checked.iter().flat_map(|(_, _, events)| events.subjects());
        let made = self.keys.make(subjects).await;
        made.map_err(|error| problem::from_subject_keys_error(&error))?;
        let mut parts = Vec::with_capacity(checked.len());
        let mut first_refused = None;
        for (stream, expected, events) in checked {
            let prepared = self.preparing.finish(&stream, events);
            let Prepared { events, refused } = prepared.map_err(refused)?;
            first_refused = first_refused.or(refused);
            parts.push(StreamAppend { stream, expected, events });
        }
        let append = Append { streams: parts, condition, evidence };
        Ok(Ready { append, refused: first_refused })
    }

    /// The first answer to an append that is refused now, where it was recorded when it was not.
    async fn recorded(
        &self,
        append: &Append,
        refused: &Refused,
    ) -> Result<Outcome, (AppendResult, Problem)> {
        for event in append.events() {
            let record = self.reader.index.record_of(event.id);
            let record = record.map_err(|error| {
                (AppendResult::Failed, problem::from_rejection(error.into(), None))
            })?;
            if let Some(record) = record {
                // One that is being recorded is waited for.
                let reached = self.reach(Some(record)).await;
                reached.map_err(|problem| (AppendResult::Failed, problem))?;
                return self.earlier(record, append, record).await;
            }
        }
        Err((AppendResult::Rejected, problem::from_refused(refused)))
    }

    async fn outcome(
        &self,
        committed: Committed<Reply>,
    ) -> Result<Outcome, (AppendResult, Problem)> {
        let Committed { position, time, reply, .. } = committed;
        match reply {
            Reply::Appended(streams) => {
                let recorded = Recorded { position, time };
                Ok(Outcome { streams, recorded, is_replayed: false })
            }
            Reply::Recorded(record, append) => self.earlier(record, &append, position).await,
            Reply::Stored(_) => {
                tracing::error!("an append was answered as a document");
                Err((AppendResult::Failed, Problem::new(&problems::INTERNAL)))
            }
        }
    }

    /// The first answer to an append that has been recorded, or what differs from it.
    async fn earlier(
        &self,
        record: Position,
        append: &Append,
        position: Position,
    ) -> Result<Outcome, (AppendResult, Problem)> {
        let stored = self.reader.record(record).await;
        let stored =
            stored.map_err(|error| (AppendResult::Failed, problem::from_query_error(&error)))?;
        let Event::Appended(appended) = &stored.event else {
            return Err((AppendResult::Failed, problem::not_where_indexed(record)));
        };
        let streams =
            appended.repeated_by(append, |recorded, asked| self.showing.is_same(recorded, asked));
        let streams = streams.map_err(|rejection| {
            (AppendResult::Rejected, problem::from_rejection(rejection, Some(position)))
        })?;
        Ok(Outcome { streams, recorded: stored.recorded, is_replayed: true })
    }
}
