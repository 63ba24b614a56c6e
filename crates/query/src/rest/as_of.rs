//! `at_least` and `as_of`: which moment an answer is of.

use std::time::SystemTime;

use lombard_chassis::{Problem, problems};
use lombard_engine::decode_record_time;
use lombard_ledger_api::parameter;
use lombard_types::{Position, Timestamp};

use super::Api;
use crate::{Cut, problem};

impl Api {
    /// The moment that a request is about: a position, a time that has passed, or now. Waits, for a bounded time, until
    /// the record at `at_least`, or at the position, is applied.
    pub(super) async fn cut(
        &self,
        at_least: Option<&str>,
        as_of: Option<&str>,
    ) -> Result<Cut, Problem> {
        if let Some(at_least) = parameter::<Position>("at_least", at_least)? {
            self.reach(at_least).await?;
        }
        let now = Timestamp::from_system_time(SystemTime::now());
        match as_of {
            None => {
                let (time, end) = self.follower.read_at(|index| index.last_time().max(now));
                Ok(Cut { end, time })
            }
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                let position = parameter("as_of", Some(text))?.unwrap_or(Position::START);
                self.reach(position).await?;
                Ok(Cut { end: position.next(), time: self.time_of(position).await? })
            }
            Some(text) => {
                let time = text.parse::<Timestamp>().map_err(|_| {
                    let expected = "must be a position, or a time such as 2026-03-31T23:59:59Z";
                    problem::invalid_parameter("as_of", expected)
                })?;
                if time > now {
                    return Err(problem::invalid_parameter("as_of", "is in the future"));
                }
                let cut = self.follower.read(|index| index.cut_at(time));
                cut.map_err(|error| problem::internal(&error))
            }
        }
    }

    /// The same; without `as_of`, a moment after everything that was answered to anybody before now. The ledger answers
    /// nothing before it is durable in the log, and that is what is waited for.
    pub(super) async fn newest_cut(
        &self,
        at_least: Option<&str>,
        as_of: Option<&str>,
    ) -> Result<Cut, Problem> {
        if as_of.is_none() {
            let durable = match &self.latest {
                Some(latest) => {
                    let asked = tokio::time::timeout(self.wait(), latest.durable()).await;
                    asked.ok().flatten().ok_or_else(problem::ledger_away)?
                }
                None => *self.log.durable().borrow(),
            };
            let reached = self.follower.wait_for(durable, self.wait()).await;
            reached.map_err(problem::lagging)?;
        }
        self.cut(at_least, as_of).await
    }

    async fn reach(&self, position: Position) -> Result<(), Problem> {
        let reached = self.follower.wait_for(position.next(), self.wait()).await;
        reached.map_err(problem::lagging)
    }

    /// When a record was decided that has been applied.
    async fn time_of(&self, position: Position) -> Result<Timestamp, Problem> {
        let read = self.log.read(position, 1).await;
        let record = read.map_err(|error| problem::internal(&error))?.into_iter().next();
        let Some(record) = record.filter(|record| record.position == position) else {
            return Err(Problem::new(&problems::INTERNAL));
        };
        decode_record_time(&record).map_err(|error| problem::internal(&error))
    }
}
