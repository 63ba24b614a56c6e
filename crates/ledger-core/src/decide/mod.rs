//! What would happen: commands against the state.

mod accounts;
mod draft;
mod refuse;
mod reject;
mod resolve;
mod rules;
mod touched;
mod transfers;

use std::sync::Arc;

use lombard_types::Timestamp;

use crate::{
    Account, Asset, Book, ChartRule, Command, Ended, Event, Past, PeriodLock, Rejection, Spent,
    Statement, TransferRefusal, TransferRejection, Transfers,
};

pub use rules::{CHART_RULES_MAX, PERIOD_LOCKS_MAX};

/// Pending sets that are ended by one record, at most.
pub const ENDED_PENDINGS_MAX: usize = 8192;

/// The outcome of a command that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Record this event, then reply.
    Commit(Event, Reply),
    /// Nothing new happens: only reply.
    Answer(Reply),
    /// Record this event first, as a record of its own, and then decide the command again: time has ended something.
    First(Event, Command),
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The asset, now known.
    Asset(Asset),
    /// The account as it is now, and what it holds.
    Account(Account, Asset),
    /// The rule of the chart of accounts that was set or removed.
    ChartRule(ChartRule),
    /// The lock that was set or removed.
    PeriodLock(PeriodLock),
    /// The statement that was sealed.
    Statement(Statement),
    /// How each posting set ended.
    Transfers(TransfersReply),
    /// How many pending sets time ended with this command.
    PendingsEnded(usize),
}

/// How posting sets ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransfersReply {
    /// One for each set that was asked for, in order.
    pub results: Vec<SetResult>,
    /// What is being recorded; nothing where no set spent its id now.
    pub recorded: Option<Arc<Transfers>>,
}

/// How a posting set ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetResult {
    /// It happened. Its transfers are the recorded ones from this place on.
    Created {
        /// The place of its first transfer among the recorded.
        first: usize,
    },
    /// It did not, for a reason of the moment; its id is spent.
    Refused {
        /// The place of its first transfer among the recorded.
        first: usize,
        /// The transfer that was refused, from 0.
        transfer: u16,
        /// Why.
        refusal: TransferRefusal,
    },
    /// It cannot, and left no trace.
    Rejected {
        /// The transfer that is wrong, from 0.
        transfer: u16,
        /// Why.
        rejection: TransferRejection,
    },
    /// Its id was spent before, in this record: whether this is a retry, [`crate::compare_retry`] tells.
    Spent(Spent),
    /// Its id was spent by the same content earlier in the same command.
    Again {
        /// The place of its first transfer among the recorded.
        first: usize,
    },
}

impl Book {
    /// What a command would do to this book. `now` is later than at every event before.
    pub fn decide(
        &self,
        past: &impl Past,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        if let Some(ended) = self.ended(now) {
            return Ok(match command {
                Command::EndPendings => {
                    let count = ended.len();
                    Decision::Commit(Event::PendingsEnded(ended), Reply::PendingsEnded(count))
                }
                command => Decision::First(Event::PendingsEnded(ended), command),
            });
        }
        match command {
            Command::CreateAsset(command) => Ok(self.create_asset(command)?),
            Command::OpenAccount(command) => Ok(self.open(command)?),
            Command::CloseAccount(command) => Ok(self.close(command)?),
            Command::ReopenAccount(command) => Ok(self.reopen(command)?),
            Command::SetChartRule { rule, evidence } => Ok(self.set_chart_rule(rule, evidence)?),
            Command::RemoveChartRule { prefix, evidence } => {
                Ok(self.remove_chart_rule(prefix, evidence)?)
            }
            Command::LockPeriod { lock, evidence } => Ok(self.lock_period(lock, evidence)?),
            Command::UnlockPeriod { name, evidence } => Ok(self.unlock_period(name, evidence)?),
            Command::SealStatement { statement, evidence } => {
                Ok(self.seal_statement(*statement, evidence, now)?)
            }
            Command::CreateTransfers(command) => Ok(self.create_transfers(past, command, now)?),
            Command::EndPendings => Ok(Decision::Answer(Reply::PendingsEnded(0))),
            Command::DryRun(command) => self.dry_run(past, *command, now),
        }
    }

    /// What time has ended and no record says yet.
    fn ended(&self, now: Timestamp) -> Option<Box<[Ended]>> {
        if self.next_ending()? > now {
            return None;
        }
        Some(self.pendings.due(now, ENDED_PENDINGS_MAX).into())
    }

    fn dry_run(
        &self,
        past: &impl Past,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        let command = match command {
            // A dry run of a dry run is one.
            Command::DryRun(inner) => *inner,
            command => command,
        };
        Ok(match self.decide(past, command, now)? {
            Decision::Commit(_, reply) => Decision::Answer(reply),
            Decision::First(event, command) => {
                Decision::First(event, Command::DryRun(Box::new(command)))
            }
            answer @ Decision::Answer(_) => answer,
        })
    }
}
