//! Statements: what an account was told for a period, numbered and sealed.
//!
//! A statement takes what counts in its period and was recorded before it was drawn up, and what counts earlier and came too
//! late for the statement before. So every entry is in exactly one statement, and none changes after it was sealed. The
//! book keeps of each account only what its next statement has to go on from; which entries a statement has follows from
//! the log, and the digest of them says so.

use lombard_types::{AccountId, Position, Timestamp};

use crate::{Balance, Book, Event, Evidence, Reply, StatementRejection, decide::Decision};

/// A statement's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// Whose it is.
    pub account: AccountId,
    /// The account's statements are numbered from 1.
    pub number: u32,
    /// The first instant of the period.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// Only what was recorded before this position is in it.
    pub end: Position,
    /// What was posted before it, on the account's normal side: the closing balance of the statement before.
    pub opening: Balance,
    /// What is posted after it.
    pub closing: Balance,
    /// How many entries it has.
    pub line_count: u64,
    /// SHA-256 over them.
    pub lines_sha256: [u8; 32],
}

/// What an account's next statement goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LastStatement {
    /// The account.
    pub account: AccountId,
    /// How many there are.
    pub number: u32,
    /// Where the period of the last one ends.
    pub until: Timestamp,
    /// What was recorded before this position and counts before `until` is in statements.
    pub end: Position,
    /// The balance that it closed with.
    pub closing: Balance,
}

impl LastStatement {
    pub(crate) const fn of(statement: &Statement) -> Self {
        let Statement { account, number, until, end, closing, .. } = *statement;
        Self { account, number, until, end, closing }
    }

    /// Whether a statement goes on from here.
    fn is_followed_by(&self, next: &Statement) -> bool {
        self.number.checked_add(1) == Some(next.number)
            && self.until == next.from
            && self.end <= next.end
            && self.closing == next.opening
    }
}

impl Book {
    /// Records a statement that was drawn up outside, if it goes on from the one before.
    pub(crate) fn seal_statement(
        &self,
        statement: Statement,
        evidence: std::sync::Arc<Evidence>,
        now: Timestamp,
    ) -> Result<Decision, StatementRejection> {
        if self.find_id(statement.account).is_none() {
            return Err(StatementRejection::AccountNotFound);
        }
        if statement.from >= statement.until {
            return Err(StatementRejection::PeriodMustNotBeEmpty);
        }
        if statement.until > now {
            return Err(StatementRejection::PeriodMustHaveEnded);
        }
        let goes_on = match self.statements.get(&statement.account) {
            Some(last) => last.is_followed_by(&statement),
            None => statement.number == 1,
        };
        if !goes_on {
            return Err(StatementRejection::MustFollowTheLastStatement);
        }
        let event = Event::StatementSealed { statement: Box::new(statement), evidence };
        Ok(Decision::Commit(event, Reply::Statement(statement)))
    }
}
