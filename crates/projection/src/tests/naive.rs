//! All rows as text, made from a list of events in the plainest way.

use std::collections::BTreeMap;

use lombard_ledger_core::*;
use lombard_types::{AccountId, Amount, Scale, Timestamp, TransferId};

use super::{ORIGIN, history::History};

#[derive(Clone)]
struct Account {
    number: usize,
    id: String,
    path: String,
    asset: String,
    scale: Scale,
    side: NormalSide,
    limits: [String; 2],
    closed: bool,
    opened: (usize, u64),
    version: u64,
    totals: Totals,
}

struct Held {
    set: TransferId,
    transfer: usize,
    debit: AccountId,
    credit: AccountId,
    amount: u128,
    row: Vec<String>,
    end: Option<Vec<String>>,
}

#[derive(Default)]
struct Naive {
    scales: BTreeMap<String, (Scale, String)>,
    accounts: Vec<(AccountId, Account)>,
    held: Vec<Held>,
    transfer_count: usize,
    lines: Vec<(String, Vec<String>)>,
    entries: BTreeMap<(usize, u64), Vec<String>>,
    /// Account, number, and what it says.
    statements: BTreeMap<(usize, u32), (Statement, Vec<String>)>,
    /// What moved money: account and version, position, when it counts.
    moves: Vec<((usize, u64), usize, u64)>,
}

const NULL: &str = "NULL";

fn or_null<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NULL.to_owned(), |value| value.to_string())
}

fn no_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn units(amount: u128, scale: Scale) -> String {
    Amount::from_minor_units(amount).display(scale).to_string()
}

fn uuid(id: u128) -> String {
    TransferId::from_u128(id).map_or_else(|_| "?".to_owned(), |id| id.to_string())
}

/// The lines of every table, in the order of the tables and of their keys.
pub(super) fn dump(history: &History) -> Vec<String> {
    learn(history).lines(history)
}

/// Which entries are in which statements: account, number, version, and whether it is late.
pub(super) fn statement_entries(history: &History) -> Vec<(i64, i64, i64, bool)> {
    let naive = learn(history);
    let number = |number: usize| i64::try_from(number).unwrap();
    let mut found = Vec::new();
    for ((account, version), position, counts_at) in &naive.moves {
        // The first one that knew it, and whose period or one before has it.
        let takes = |of: &&((usize, u32), &Statement)| {
            let statement = of.1;
            of.0.0 == *account
                && *position < usize::try_from(statement.end.get()).unwrap()
                && *counts_at < statement.until.unix_nanos()
        };
        let all = naive.statements.iter().map(|(key, (statement, _))| (*key, statement));
        let all: Vec<_> = all.collect();
        let Some(((_, of), statement)) = all.iter().find(takes) else { continue };
        let is_late = *counts_at < statement.from.unix_nanos();
        // What is before the first one is in none.
        if *of > 1 || !is_late {
            let version = i64::try_from(*version).unwrap();
            found.push((number(*account), i64::from(*of), version, is_late));
        }
    }
    found.sort_unstable();
    found
}

fn learn(history: &History) -> Naive {
    let mut naive = Naive::default();
    for Asset { code, scale } in built_in() {
        naive.scales.insert(code.to_string(), (scale, NULL.to_owned()));
    }
    for (position, (event, time)) in history.events.iter().enumerate() {
        naive.record(position, event, *time);
    }
    naive
}

impl Naive {
    fn lines(self, history: &History) -> Vec<String> {
        let last = history.events.last().map_or(0, |(_, time)| time.unix_nanos());
        let progress = ["2", ORIGIN, &history.events.len().to_string(), &last.to_string()];
        let progress = progress.map(str::to_owned).into_iter();
        let mut lines = vec![(
            "projection".to_owned(),
            progress.chain([self.transfer_count.to_string()]).collect::<Vec<_>>(),
        )];
        for (code, (scale, created)) in &self.scales {
            let cells = vec![code.clone(), scale.digits().to_string(), created.clone()];
            lines.push(("assets".to_owned(), cells));
        }
        lines.extend(self.accounts.iter().map(|(_, account)| account.row()));
        lines.extend(self.accounts.iter().map(|(_, account)| account.balance()));
        let of = |table: &str| {
            let found = self.lines.iter().filter(|(of, _)| of == table);
            found.cloned().collect::<Vec<_>>()
        };
        lines.extend(of("records"));
        lines.extend(of("transfers"));
        lines.extend(self.entries.values().map(|cells| ("entries".to_owned(), cells.clone())));
        lines.extend(of("notes"));
        for held in &self.held {
            let open = ["open", NULL, NULL, NULL].map(str::to_owned).to_vec();
            let end = held.end.clone().unwrap_or(open);
            lines.push(("reservations".to_owned(), [held.row.clone(), end].concat()));
        }
        let statements = self.statements.values();
        lines.extend(statements.map(|(_, cells)| ("statements".to_owned(), cells.clone())));
        lines.into_iter().map(|(table, cells)| format!("{table}: {}", cells.join(" | "))).collect()
    }

    fn account(&mut self, id: AccountId) -> &mut Account {
        &mut self.accounts.iter_mut().find(|(of, _)| *of == id).unwrap().1
    }

    fn record(&mut self, position: usize, event: &Event, time: Timestamp) {
        let mut cells = vec![position.to_string(), time.unix_nanos().to_string()];
        cells.extend(match event.evidence() {
            None => vec![NULL.to_owned(); 7],
            Some(evidence) => vec![
                uuid(evidence.command_id),
                evidence.client_id.to_string(),
                no_nul(&evidence.subject),
                no_nul(&evidence.token_id),
                evidence.request_id.as_str().to_owned(),
                or_null(evidence.traceparent.as_deref().map(no_nul)),
                or_null(evidence.idempotency_key.as_deref().map(no_nul)),
            ],
        });
        self.lines.push(("records".to_owned(), cells));
        match event {
            Event::AssetCreated { code, scale, .. } => {
                self.scales.insert(code.to_string(), (*scale, position.to_string()));
            }
            Event::AccountOpened { id, path, asset, normal_side, floor, ceiling, .. } => {
                let scale = self.scales[asset.as_str()].0;
                let limit =
                    |limit: Option<Balance>| or_null(limit.map(|limit| limit.display(scale)));
                let account = Account {
                    number: self.accounts.len(),
                    id: id.to_string(),
                    path: path.to_string(),
                    asset: asset.to_string(),
                    scale,
                    side: *normal_side,
                    limits: [limit(*floor), limit(*ceiling)],
                    closed: false,
                    opened: (position, time.unix_nanos()),
                    version: 0,
                    totals: Totals::default(),
                };
                self.accounts.push((*id, account));
            }
            Event::AccountClosed { id, .. } => self.account(*id).closed = true,
            Event::AccountReopened { id, .. } => self.account(*id).closed = false,
            Event::Transfers(transfers) => self.transfers(position, transfers, time),
            Event::StatementSealed { statement, .. } => self.seal(position, statement, time),
            Event::PendingsEnded(ended) => {
                for Ended { id, at, ending } in ended {
                    self.time_ends(position, time, *id, *at, *ending);
                }
            }
            _ => {}
        }
    }

    fn seal(&mut self, position: usize, statement: &Statement, time: Timestamp) {
        let account = self.account(statement.account);
        let (number, scale) = (account.number, account.scale);
        let digest: String =
            statement.lines_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let cells = vec![
            number.to_string(),
            statement.number.to_string(),
            statement.from.unix_nanos().to_string(),
            statement.until.unix_nanos().to_string(),
            statement.end.get().to_string(),
            statement.opening.display(scale).to_string(),
            statement.closing.display(scale).to_string(),
            statement.line_count.to_string(),
            digest,
            position.to_string(),
            time.unix_nanos().to_string(),
        ];
        self.statements.insert((number, statement.number), (*statement, cells));
    }

    fn transfers(&mut self, position: usize, transfers: &Transfers, time: Timestamp) {
        let mut ordinal = 0;
        for set in transfers.sets() {
            let first = self.transfer_count + 1;
            if let Some(note) = set.note {
                let metadata = Some(note.metadata.as_str()).filter(|text| !text.is_empty());
                self.lines.push((
                    "notes".to_owned(),
                    vec![
                        first.to_string(),
                        or_null(note.external_id.as_ref().map(|id| id.as_str().to_owned())),
                        or_null(metadata.map(no_nul)),
                        or_null(note.authority.map(|used| uuid(used.id))),
                        or_null(note.authority.map(|used| used.number)),
                    ],
                ));
            }
            for RecordedTransfer { transfer, outcome } in set.recorded {
                self.transfer_count += 1;
                self.list(first, position, ordinal, transfer, *outcome, time);
                ordinal += 1;
                if *outcome == Outcome::Created {
                    let effective = set.recorded[0].transfer.effective_at;
                    self.happen(position, transfer, effective, time);
                }
            }
        }
    }

    fn list(
        &mut self,
        first: usize,
        position: usize,
        ordinal: usize,
        transfer: &Transfer,
        outcome: Outcome,
        time: Timestamp,
    ) {
        let (kind, about) = match transfer.kind {
            TransferKind::Single => ("single", None),
            TransferKind::Pending(_) => ("pending", None),
            TransferKind::Post { pending } => ("post", Some(pending)),
            TransferKind::Void { pending } => ("void", Some(pending)),
            TransferKind::Reversal { of } => ("reversal", Some(of)),
        };
        let refusal = match outcome {
            Outcome::Created => NULL.to_owned(),
            Outcome::Refused(refusal) => refusal.name().to_owned(),
        };
        let scale = self.account(transfer.debit_account).scale;
        let data = transfer.user_data;
        let cells = vec![
            self.transfer_count.to_string(),
            transfer.id.to_string(),
            first.to_string(),
            position.to_string(),
            ordinal.to_string(),
            time.unix_nanos().to_string(),
            or_null(transfer.effective_at.map(Timestamp::unix_nanos)),
            kind.to_owned(),
            refusal,
            self.account(transfer.debit_account).number.to_string(),
            self.account(transfer.credit_account).number.to_string(),
            units(transfer.amount.minor_units(), scale),
            transfer.code.to_string(),
            or_null(about),
            transfer.flags.bits().to_string(),
            or_null(Some(data.data_128).filter(|number| *number != 0)),
            or_null(Some(data.data_64).filter(|number| *number != 0)),
            or_null(Some(data.data_32).filter(|number| *number != 0)),
        ];
        self.lines.push(("transfers".to_owned(), cells));
    }

    fn happen(
        &mut self,
        position: usize,
        transfer: &Transfer,
        set_effective: Option<Timestamp>,
        time: Timestamp,
    ) {
        let (debit, credit) = (transfer.debit_account, transfer.credit_account);
        let (number, amount) = (self.transfer_count, transfer.amount.minor_units());
        let (kind, moved, reserved) = match transfer.kind {
            TransferKind::Single => ("single", amount, (false, 0)),
            TransferKind::Reversal { .. } => ("reversal", amount, (false, 0)),
            TransferKind::Pending(reservation) => {
                self.hold(transfer, reservation, set_effective, time);
                ("pending", 0, (false, amount))
            }
            TransferKind::Post { pending } => {
                let reserved = self.settle(pending, position, time, "posted", amount);
                ("post", amount, (true, reserved))
            }
            TransferKind::Void { pending } => {
                let reserved = self.settle(pending, position, time, "voided", 0);
                ("void", 0, (true, reserved))
            }
        };
        let at = (position, time, transfer.effective_at);
        self.enter(debit, EntrySide::Debit, number, at, kind, moved, reserved);
        self.enter(credit, EntrySide::Credit, number, at, kind, moved, reserved);
    }

    fn hold(
        &mut self,
        transfer: &Transfer,
        reservation: Reservation,
        set_effective: Option<Timestamp>,
        time: Timestamp,
    ) {
        let scale = self.account(transfer.debit_account).scale;
        let ends = if reservation.is_scheduled {
            (or_null(set_effective.map(Timestamp::unix_nanos)), "posted")
        } else if reservation.timeout_seconds == 0 {
            (NULL.to_owned(), NULL)
        } else {
            let nanos = u64::from(reservation.timeout_seconds) * 1_000_000_000;
            ((time.unix_nanos() + nanos).to_string(), "expired")
        };
        let row = vec![
            self.transfer_count.to_string(),
            self.account(transfer.debit_account).number.to_string(),
            self.account(transfer.credit_account).number.to_string(),
            units(transfer.amount.minor_units(), scale),
            units(reservation.allowance.minor_units(), scale),
            ends.0,
            ends.1.to_owned(),
        ];
        self.held.push(Held {
            set: transfer.id,
            transfer: self.transfer_count,
            debit: transfer.debit_account,
            credit: transfer.credit_account,
            amount: transfer.amount.minor_units(),
            row,
            end: None,
        });
    }

    /// Ends the first open one of a set; answers what it had reserved.
    fn settle(
        &mut self,
        set: TransferId,
        position: usize,
        at: Timestamp,
        state: &str,
        posted: u128,
    ) -> u128 {
        let held = self.held.iter().position(|held| held.set == set && held.end.is_none()).unwrap();
        let scale = self.account(self.held[held].debit).scale;
        let end = [
            state.to_owned(),
            units(posted, scale),
            position.to_string(),
            at.unix_nanos().to_string(),
        ];
        self.held[held].end = Some(end.to_vec());
        self.held[held].amount
    }

    fn time_ends(
        &mut self,
        position: usize,
        time: Timestamp,
        set: TransferId,
        at: Timestamp,
        ending: Ending,
    ) {
        while let Some(held) = self.held.iter().find(|held| held.set == set && held.end.is_none()) {
            let (transfer, debit, credit, amount) =
                (held.transfer, held.debit, held.credit, held.amount);
            let (kind, state, posted, effective) = match ending {
                Ending::Expired => ("expired", "expired", 0, None),
                Ending::Posted => ("posted_on_time", "posted", amount, Some(at)),
            };
            self.settle(set, position, at, state, posted);
            let at = (position, time, effective);
            self.enter(debit, EntrySide::Debit, transfer, at, kind, posted, (true, amount));
            self.enter(credit, EntrySide::Credit, transfer, at, kind, posted, (true, amount));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an entry has as many cells")]
    fn enter(
        &mut self,
        id: AccountId,
        side: EntrySide,
        transfer: usize,
        (position, time, effective): (usize, Timestamp, Option<Timestamp>),
        kind: &str,
        moved: u128,
        (is_released, reserved): (bool, u128),
    ) {
        let account = self.account(id);
        let (pending, posted) = match side {
            EntrySide::Debit => {
                (&mut account.totals.debits_pending, &mut account.totals.debits_posted)
            }
            EntrySide::Credit => {
                (&mut account.totals.credits_pending, &mut account.totals.credits_posted)
            }
        };
        *posted += moved;
        *pending = if is_released { *pending - reserved } else { *pending + reserved };
        account.version += 1;
        let scale = account.scale;
        let reserved = Balance::new(is_released, reserved);
        let cells = vec![
            account.number.to_string(),
            account.version.to_string(),
            transfer.to_string(),
            position.to_string(),
            time.unix_nanos().to_string(),
            or_null(effective.map(Timestamp::unix_nanos)),
            if side == EntrySide::Debit { "debit" } else { "credit" }.to_owned(),
            kind.to_owned(),
            units(moved, scale),
            reserved.display(scale).to_string(),
            account.totals.posted(account.side).display(scale).to_string(),
            account.totals.available(account.side).display(scale).to_string(),
        ];
        let key = (account.number, account.version);
        self.entries.insert(key, cells);
        if moved > 0 {
            self.moves.push((key, position, effective.unwrap_or(time).unix_nanos()));
        }
    }
}

impl Account {
    fn row(&self) -> (String, Vec<String>) {
        let cells = vec![
            self.number.to_string(),
            self.id.clone(),
            self.path.clone(),
            self.asset.clone(),
            if self.side == NormalSide::Debit { "debit" } else { "credit" }.to_owned(),
            self.limits[0].clone(),
            self.limits[1].clone(),
            self.closed.to_string(),
            self.opened.0.to_string(),
            self.opened.1.to_string(),
        ];
        ("accounts".to_owned(), cells)
    }

    fn balance(&self) -> (String, Vec<String>) {
        let Totals { debits_pending, debits_posted, credits_pending, credits_posted } = self.totals;
        let totals = [debits_pending, debits_posted, credits_pending, credits_posted];
        let display = |balance: Balance| balance.display(self.scale).to_string();
        let cells = [self.number.to_string(), self.version.to_string()]
            .into_iter()
            .chain(totals.map(|total| units(total, self.scale)))
            .chain([
                display(self.totals.posted(self.side)),
                display(self.totals.pending(self.side)),
                display(self.totals.available(self.side)),
            ]);
        ("balances".to_owned(), cells.collect())
    }
}
