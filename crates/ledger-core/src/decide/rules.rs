//! The chart of accounts and locked periods.

use std::sync::Arc;

use lombard_types::AccountPath;

use crate::{
    Book, ChartRejection, ChartRule, Event, Evidence, LockName, PeriodLock, PeriodRejection,
};

use super::{Decision, Reply};

/// Rules of a book's chart of accounts, at most: opening an account looks at each.
pub const CHART_RULES_MAX: usize = 1000;

/// Locked periods of a book, at most: a transfer looks at each. Several months can be locked as one.
pub const PERIOD_LOCKS_MAX: usize = 100;

impl Book {
    pub(super) fn set_chart_rule(
        &self,
        rule: ChartRule,
        evidence: Arc<Evidence>,
    ) -> Result<Decision, ChartRejection> {
        if rule.assets.iter().any(|code| self.asset(code).is_none()) {
            return Err(ChartRejection::AssetNotFound);
        }
        let reply = Reply::ChartRule(rule.clone());
        match self.chart.get(&rule.prefix) {
            Some(known) if *known == rule => return Ok(Decision::Answer(reply)),
            None if self.chart.len() >= CHART_RULES_MAX => {
                return Err(ChartRejection::TooManyChartRules);
            }
            _ => {}
        }
        Ok(Decision::Commit(Event::ChartRuleSet { rule, evidence }, reply))
    }

    pub(super) fn remove_chart_rule(
        &self,
        prefix: AccountPath,
        evidence: Arc<Evidence>,
    ) -> Result<Decision, ChartRejection> {
        let rule = self.chart.get(&prefix).ok_or(ChartRejection::ChartRuleNotFound)?;
        let reply = Reply::ChartRule(rule.clone());
        Ok(Decision::Commit(Event::ChartRuleRemoved { prefix, evidence }, reply))
    }

    pub(super) fn lock_period(
        &self,
        lock: PeriodLock,
        evidence: Arc<Evidence>,
    ) -> Result<Decision, PeriodRejection> {
        let reply = Reply::PeriodLock(lock.clone());
        match self.locks.get(&lock.name) {
            Some(known) if *known == lock => return Ok(Decision::Answer(reply)),
            Some(_) => return Err(PeriodRejection::ExistsWithDifferentPeriod),
            None => {}
        }
        if lock.from >= lock.until {
            return Err(PeriodRejection::PeriodMustNotBeEmpty);
        }
        if self.locks.len() >= PERIOD_LOCKS_MAX {
            return Err(PeriodRejection::TooManyPeriodLocks);
        }
        Ok(Decision::Commit(Event::PeriodLocked { lock, evidence }, reply))
    }

    pub(super) fn unlock_period(
        &self,
        name: LockName,
        evidence: Arc<Evidence>,
    ) -> Result<Decision, PeriodRejection> {
        let lock = self.locks.get(&name).ok_or(PeriodRejection::PeriodLockNotFound)?;
        let reply = Reply::PeriodLock(lock.clone());
        Ok(Decision::Commit(Event::PeriodUnlocked { name, evidence }, reply))
    }
}
