//! Statements: which entries one has, and what the next would say.

use aws_lc_rs::digest;
use lombard_index::ReadError;
use lombard_ledger_core::{Balance, EntrySide, NormalSide, Statement};
use lombard_types::{Position, Timestamp};

use super::{LedgerIndex, read::TooMany};
use crate::{Cut, EntryRow, Page, books::AccountRow, place::Place, store::StatementRow};

/// One entry of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The entry. Its totals are those of when it was recorded.
    pub entry: EntryRow,
    /// When it counts, where that is not when it was recorded.
    pub dated: Option<Timestamp>,
    /// Whether it counts in a period before, and came too late for its statement.
    pub is_late: bool,
}

/// Which entries a statement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    /// Up to where the statement before took entries; `None` for the first.
    before: Option<Position>,
    end: Position,
}

/// Why the next statement cannot be drawn up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// A period was said to begin elsewhere than where the last statement ends.
    #[error("the next statement begins at {from}, where the last one ends")]
    Gap {
        /// Where it begins.
        from: Timestamp,
    },
    /// It would end before it begins.
    #[error("the next statement begins at {from} and must end later")]
    Empty {
        /// Where it begins.
        from: Timestamp,
    },
    /// It would have more entries than is allowed.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// Entries are ordered by when they count, then by where they were recorded. An entry that does not say when it counts
/// does so when it was recorded: it stands after every record up to then.
type Order = (u64, u64, Place);

impl LedgerIndex {
    /// A page of an account's statements, latest first, before a number.
    pub fn statements(
        &self,
        account: &AccountRow,
        before: Option<u32>,
        cut: Cut,
        limit: usize,
    ) -> Result<Page<StatementRow, u32>, ReadError> {
        let end = match before {
            Some(before) => before.checked_sub(1),
            None => Some(u32::MAX),
        };
        let Some(end) = end else { return Ok(Page { items: Vec::new(), next: None }) };
        let mut items = Vec::new();
        for row in self.store.statements_back((account.number, account.id), 1, end) {
            let row = row?;
            if row.sealed.position >= cut.end {
                continue;
            }
            if items.len() == limit {
                let next = items.last().map(|row: &StatementRow| row.statement.number);
                return Ok(Page { items, next });
            }
            items.push(row);
        }
        Ok(Page { items, next: None })
    }

    /// The statement with a number.
    pub fn statement(
        &self,
        account: &AccountRow,
        number: u32,
        cut: Cut,
    ) -> Result<Option<StatementRow>, ReadError> {
        let mut found = self.store.statements_back((account.number, account.id), number, number);
        let row = found.next().transpose()?;
        Ok(row.filter(|row| row.sealed.position < cut.end))
    }

    /// The statement whose period ends at a time. Looks at those after it.
    pub fn statement_until(
        &self,
        account: &AccountRow,
        until: Timestamp,
        cut: Cut,
        examined_max: usize,
    ) -> Result<Result<Option<StatementRow>, TooMany>, ReadError> {
        let all = self.store.statements_back((account.number, account.id), 1, u32::MAX);
        for (examined, row) in all.enumerate() {
            if examined == examined_max {
                return Ok(Err(TooMany { examined_max }));
            }
            let row = row?;
            if row.statement.until < until {
                break;
            }
            if row.statement.until == until && row.sealed.position < cut.end {
                return Ok(Ok(Some(row)));
            }
        }
        Ok(Ok(None))
    }

    /// What the account's next statement would say, of all that the cut knows: from where the last one ends, or from `from`
    /// where there is none.
    pub fn draw_up(
        &self,
        account: &AccountRow,
        from: Option<Timestamp>,
        until: Timestamp,
        cut: Cut,
        lines_max: usize,
    ) -> Result<Result<Statement, DrawError>, ReadError> {
        let last = self.statements(account, None, cut, 1)?.items.pop();
        let begins = last.map(|row| row.statement.until);
        if let (Some(begins), Some(from)) = (begins, from)
            && begins != from
        {
            return Ok(Err(DrawError::Gap { from: begins }));
        }
        let span = Span {
            from: begins.or(from).unwrap_or(Timestamp::EPOCH),
            until,
            before: last.map(|row| row.statement.end),
            end: cut.end,
        };
        if span.until <= span.from {
            return Ok(Err(DrawError::Empty { from: span.from }));
        }
        let opening = match last {
            Some(row) => row.statement.closing,
            None => match self.balance_before(account, span.from, cut, lines_max)? {
                Ok(opening) => opening,
                Err(error) => return Ok(Err(error.into())),
            },
        };
        let lines = match self.lines(account, span, lines_max)? {
            Ok(lines) => lines,
            Err(error) => return Ok(Err(error.into())),
        };
        let closing = lines.iter().fold(opening, |balance, line| line.after(account, balance));
        Ok(Ok(Statement {
            account: account.id,
            number: last.map_or(1, |row| row.statement.number.saturating_add(1)),
            from: span.from,
            until,
            end: cut.end,
            opening,
            closing,
            line_count: u64::try_from(lines.len()).unwrap_or(u64::MAX),
            lines_sha256: sha256(&lines),
        }))
    }

    /// What had been posted by all that counts before a time.
    fn balance_before(
        &self,
        account: &AccountRow,
        time: Timestamp,
        cut: Cut,
        examined_max: usize,
    ) -> Result<Result<Balance, TooMany>, ReadError> {
        let Some(last) = time.unix_nanos().checked_sub(1) else {
            return Ok(Ok(Balance::ZERO));
        };
        let last = Timestamp::from_unix_nanos(last);
        let totals = self.effective(account.number, last, cut, examined_max)?;
        Ok(totals.map(|totals| totals.posted(account.normal_side)))
    }

    /// The entries of a statement that was sealed, in order. `None` where they are not what was sealed.
    pub fn lines_of(
        &self,
        account: &AccountRow,
        row: &StatementRow,
        lines_max: usize,
    ) -> Result<Result<Option<Vec<StatementLine>>, TooMany>, ReadError> {
        let Statement { number, from, until, end, line_count, lines_sha256, .. } = row.statement;
        let before = match number.checked_sub(1).filter(|before| *before > 0) {
            Some(before) => {
                let cut = Cut { end: row.sealed.position, time: row.sealed.time };
                self.statement(account, before, cut)?.map(|row| row.statement.end)
            }
            None => None,
        };
        let lines = self.lines(account, Span { from, until, before, end }, lines_max)?;
        Ok(lines.map(|lines| {
            let is_whole = u64::try_from(lines.len()) == Ok(line_count);
            (is_whole && sha256(&lines) == lines_sha256).then_some(lines)
        }))
    }

    fn lines(
        &self,
        account: &AccountRow,
        span: Span,
        lines_max: usize,
    ) -> Result<Result<Vec<StatementLine>, TooMany>, ReadError> {
        let mut found: Vec<(Order, StatementLine)> = Vec::new();
        let mut examined = 0;
        let too_many = TooMany { examined_max: lines_max };
        // What counts when it was recorded.
        let begin = self.store.position_from(span.from)?;
        let first = span.before.map_or(begin, |before| begin.min(before));
        let end = self.store.position_from(span.until)?.min(span.end);
        let mut after = Place::last_before(first);
        let recorded = Cut { end, time: span.until };
        let mut is_read = end <= first;
        while !is_read {
            let page = self.entries(account.number, after, recorded, CHUNK)?;
            for entry in page.items {
                examined += 1;
                if examined > lines_max {
                    return Ok(Err(too_many));
                }
                if entry.posted > 0 && !self.is_dated(account, entry.place)? {
                    let position = entry.place.position;
                    let slot = position.get().saturating_mul(2).saturating_add(1);
                    let is_late = position < begin;
                    let line = StatementLine { entry, dated: None, is_late };
                    found.push(((slot, 0, entry.place), line));
                }
            }
            after = page.next;
            is_read = after.is_none();
        }
        let Some(dated) = self.dated_of(account, span, lines_max.saturating_sub(examined))? else {
            return Ok(Err(too_many));
        };
        for (time, place) in dated {
            let Some(entry) = self.entry_at(account.number, place)? else { continue };
            let slot = self.store.position_after(time)?.get().saturating_mul(2);
            let is_late = time < span.from;
            let line = StatementLine { entry, dated: Some(time), is_late };
            found.push(((slot, time.unix_nanos(), place), line));
        }
        found.sort_unstable_by_key(|(order, _)| *order);
        Ok(Ok(found.into_iter().map(|(_, line)| line).collect()))
    }

    fn is_dated(&self, account: &AccountRow, place: Place) -> Result<bool, ReadError> {
        let found = self.store.dated_recorded(account.number, place, place).next().transpose()?;
        Ok(found.is_some())
    }

    /// The entries of a statement that say when they count: those of its period, and those of a period before that were
    /// not known to the statement before. `None` where it would have to look at more than allowed.
    fn dated_of(
        &self,
        account: &AccountRow,
        span: Span,
        examined_max: usize,
    ) -> Result<Option<Vec<(Timestamp, Place)>>, ReadError> {
        let within = self.store.dated_within(account.number, span.from, span.until);
        let within = within.map(|found| found.map(|found| (found, true)));
        let last = Place::last_before(span.end);
        let late = span.before.zip(last).map(|(before, last)| {
            self.store.dated_recorded(account.number, Place::first_of(before), last)
        });
        let late = late.into_iter().flatten().map(|found| found.map(|found| (found, false)));
        let mut all = Vec::new();
        for (examined, found) in within.chain(late).enumerate() {
            if examined == examined_max {
                return Ok(None);
            }
            let ((time, place), is_within) = found?;
            let is_of_it = match is_within {
                true => place.position < span.end,
                false => time < span.from,
            };
            if is_of_it {
                all.push((time, place));
            }
        }
        Ok(Some(all))
    }
}

/// Entries read at once.
const CHUNK: usize = 1024;

impl StatementLine {
    /// A balance after it.
    pub fn after(&self, account: &AccountRow, before: Balance) -> Balance {
        let is_increase =
            (self.entry.side == EntrySide::Credit) == (account.normal_side == NormalSide::Credit);
        let (plus, minus) = match before.is_negative() {
            false => (before.magnitude(), 0),
            true => (0, before.magnitude()),
        };
        // Neither overflows: they are parts of the account's totals.
        if is_increase {
            Balance::difference(plus.saturating_add(self.entry.posted), minus)
        } else {
            Balance::difference(plus, minus.saturating_add(self.entry.posted))
        }
    }
}

/// Of each line: its place, when it counts in nanoseconds (zero where that is when it was recorded), its side, its amount.
fn sha256(lines: &[StatementLine]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for StatementLine { entry, dated, .. } in lines {
        context.update(&entry.place.to_bytes());
        context.update(&dated.map_or(0, Timestamp::unix_nanos).to_be_bytes());
        context.update(&[u8::from(entry.side == EntrySide::Credit)]);
        context.update(&entry.posted.to_be_bytes());
    }
    crate::bytes::part(context.finish().as_ref(), 0)
}
