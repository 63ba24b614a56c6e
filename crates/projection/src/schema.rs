//! The tables, which are the same in every database, and what stands in their columns. `docs/reference/projection-schema.md`
//! explains them to those who read them.

use lombard_ledger_core::Balance;
use lombard_types::Scale;

use Kind::{Boolean, Decimal, Integer, Text, Uuid};

/// Tables of another format are refused. Raised with every change of what stands in them.
pub(crate) const FORMAT: i64 = 2;

/// What a column holds; each database has its type for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    /// A decimal number, exact to the last digit.
    Decimal,
    Uuid,
    Boolean,
}

/// A column; one whose name ends in `?` may be null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    pub(crate) kind: Kind,
}

impl Column {
    pub(crate) fn name(&self) -> &'static str {
        self.name.strip_suffix('?').unwrap_or(self.name)
    }

    pub(crate) fn is_nullable(&self) -> bool {
        self.name.ends_with('?')
    }
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    /// The columns that tell its rows apart, and by which they are ordered.
    pub(crate) key: &'static [&'static str],
    /// Further indexes: what goes behind `CREATE`, the name, and what goes behind the table's name.
    pub(crate) indexes: &'static [(&'static str, &'static str, &'static str)],
    /// Its rows change; those of the others are only added.
    pub(crate) is_updated: bool,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

pub(crate) const ASSETS: Table = Table {
    name: "assets",
    columns: &[column("code", Text), column("scale", Integer), column("position?", Integer)],
    key: &["code"],
    indexes: &[],
    is_updated: true,
};

pub(crate) const ACCOUNTS: Table = Table {
    name: "accounts",
    columns: &[
        column("number", Integer),
        column("id", Uuid),
        column("path", Text),
        column("asset", Text),
        column("normal_side", Text),
        column("floor?", Decimal),
        column("ceiling?", Decimal),
        column("is_closed", Boolean),
        column("position", Integer),
        column("opened_at", Integer),
    ],
    key: &["number"],
    indexes: &[
        ("UNIQUE INDEX", "accounts_id", "(id)"),
        ("UNIQUE INDEX", "accounts_path", "(path)"),
    ],
    is_updated: true,
};

pub(crate) const BALANCES: Table = Table {
    name: "balances",
    columns: &[
        column("account", Integer),
        column("version", Integer),
        column("debits_pending", Decimal),
        column("debits_posted", Decimal),
        column("credits_pending", Decimal),
        column("credits_posted", Decimal),
        column("posted", Decimal),
        column("pending", Decimal),
        column("available", Decimal),
    ],
    key: &["account"],
    indexes: &[],
    is_updated: true,
};

pub(crate) const RECORDS: Table = Table {
    name: "records",
    columns: &[
        column("position", Integer),
        column("recorded_at", Integer),
        column("command_id?", Uuid),
        column("client_id?", Text),
        column("subject?", Text),
        column("token_id?", Text),
        column("request_id?", Text),
        column("traceparent?", Text),
        column("idempotency_key?", Text),
    ],
    key: &["position"],
    indexes: &[],
    is_updated: false,
};

pub(crate) const TRANSFERS: Table = Table {
    name: "transfers",
    columns: &[
        column("number", Integer),
        column("id", Uuid),
        column("first", Integer),
        column("position", Integer),
        column("ordinal", Integer),
        column("recorded_at", Integer),
        column("effective_at?", Integer),
        column("kind", Text),
        column("refusal?", Text),
        column("debit_account", Integer),
        column("credit_account", Integer),
        column("amount", Decimal),
        column("code", Integer),
        column("about?", Uuid),
        column("flags", Integer),
        column("user_data_128?", Decimal),
        column("user_data_64?", Decimal),
        column("user_data_32?", Integer),
    ],
    key: &["number"],
    indexes: &[("INDEX", "transfers_id", "(id)")],
    is_updated: false,
};

pub(crate) const ENTRIES: Table = Table {
    name: "entries",
    columns: &[
        column("account", Integer),
        column("version", Integer),
        column("transfer", Integer),
        column("position", Integer),
        column("recorded_at", Integer),
        column("effective_at?", Integer),
        column("side", Text),
        column("kind", Text),
        column("amount", Decimal),
        column("reserved", Decimal),
        column("posted", Decimal),
        column("available", Decimal),
    ],
    key: &["account", "version"],
    indexes: &[],
    is_updated: false,
};

pub(crate) const NOTES: Table = Table {
    name: "notes",
    columns: &[
        column("transfer", Integer),
        column("external_id?", Text),
        column("metadata?", Text),
        column("authority?", Uuid),
        column("authority_use?", Integer),
    ],
    key: &["transfer"],
    indexes: &[("INDEX", "notes_external_id", "(external_id) WHERE external_id IS NOT NULL")],
    is_updated: false,
};

pub(crate) const RESERVATIONS: Table = Table {
    name: "reservations",
    columns: &[
        column("transfer", Integer),
        column("debit_account", Integer),
        column("credit_account", Integer),
        column("amount", Decimal),
        column("allowance", Decimal),
        column("ends_at?", Integer),
        column("ends_by?", Text),
        column("state", Text),
        column("posted?", Decimal),
        column("ended_position?", Integer),
        column("ended_at?", Integer),
    ],
    key: &["transfer"],
    indexes: &[("INDEX", "reservations_open", "(transfer) WHERE state = 'open'")],
    is_updated: true,
};

pub(crate) const STATEMENTS: Table = Table {
    name: "statements",
    columns: &[
        column("account", Integer),
        column("number", Integer),
        column("starts_at", Integer),
        column("ends_at", Integer),
        column("end_position", Integer),
        column("opening", Decimal),
        column("closing", Decimal),
        column("lines", Integer),
        column("lines_sha256", Text),
        column("position", Integer),
        column("sealed_at", Integer),
    ],
    key: &["account", "number"],
    indexes: &[],
    is_updated: false,
};

/// How far the tables are, in one row.
pub(crate) const PROJECTION: Table = Table {
    name: "projection",
    columns: &[
        column("format", Integer),
        column("source", Text),
        column("position", Integer),
        column("recorded_at", Integer),
        column("transfers", Integer),
    ],
    key: &["format"],
    indexes: &[],
    is_updated: true,
};

/// All of them.
pub(crate) const TABLES: [Table; 10] = [
    PROJECTION,
    ASSETS,
    ACCOUNTS,
    BALANCES,
    RECORDS,
    TRANSFERS,
    ENTRIES,
    NOTES,
    RESERVATIONS,
    STATEMENTS,
];

/// Views over them: the name, and what they select. `{}` goes before the name of a table.
pub(crate) const VIEWS: [(&str, &str); 3] = [
    (
        "account_balances",
        "SELECT accounts.number, accounts.id, accounts.path, accounts.asset, accounts.normal_side, accounts.is_closed, \
         balances.posted, balances.pending, balances.available, balances.version \
         FROM {}accounts AS accounts JOIN {}balances AS balances ON balances.account = accounts.number",
    ),
    (
        "account_entries",
        "SELECT accounts.path, accounts.asset, entries.version, entries.recorded_at, \
         COALESCE(entries.effective_at, entries.recorded_at) AS effective_at, entries.side, entries.kind, \
         entries.amount, entries.reserved, entries.posted, entries.available, transfers.id AS transfer_id, \
         transfers.code, notes.external_id, notes.metadata, entries.position \
         FROM {}entries AS entries JOIN {}accounts AS accounts ON accounts.number = entries.account \
         JOIN {}transfers AS transfers ON transfers.number = entries.transfer \
         LEFT JOIN {}notes AS notes ON notes.transfer = transfers.first",
    ),
    // What counts in the period and was known, and what counts before it and came too late for the statement before. No
    // amount is so small or so large that its being more than nothing were lost in a floating-point number.
    (
        "statement_entries",
        "SELECT statements.account, statements.number, entries.version, entries.transfer, entries.recorded_at, \
         COALESCE(entries.effective_at, entries.recorded_at) AS effective_at, entries.side, entries.kind, entries.amount, \
         COALESCE(entries.effective_at, entries.recorded_at) < statements.starts_at AS is_late \
         FROM {}statements AS statements \
         LEFT JOIN {}statements AS earlier \
         ON earlier.account = statements.account AND earlier.number = statements.number - 1 \
         JOIN {}entries AS entries ON entries.account = statements.account \
         AND entries.position < statements.end_position \
         AND COALESCE(entries.effective_at, entries.recorded_at) < statements.ends_at \
         AND (COALESCE(entries.effective_at, entries.recorded_at) >= statements.starts_at \
         OR entries.position >= earlier.end_position) \
         WHERE CAST(entries.amount AS DOUBLE PRECISION) > 0",
    ),
];

/// Takes the cells of a row, from left to right.
pub(crate) trait Cells {
    fn integer(&mut self, number: i64);
    fn text(&mut self, text: &str);
    fn decimal(&mut self, number: Balance, scale: Scale);
    fn uuid(&mut self, id: u128);
    fn boolean(&mut self, is_so: bool);
    fn null(&mut self);
}

/// Fills the row with a number.
pub(crate) type Fill<'a> = dyn Fn(usize, &mut dyn Cells) + 'a;

/// Takes the rows of tables.
pub(crate) trait Sink {
    /// Why it could not.
    type Error;

    /// Takes `count` rows of one table: each is what `fill` says of its number.
    fn put(&mut self, table: &Table, count: usize, fill: &Fill<'_>) -> Result<(), Self::Error>;
}
