//! The tables in a SQLite file.
//!
//! Both sets of tables are in the same file: those that are being built have `rebuild_` before their names, and replace
//! the others in one transaction. Readers see one or the other, never both and never neither, and no file is replaced
//! under their feet. SQLite has one writer at a time; the two that may be at work here take turns.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::PathBuf, sync::Arc};

use lombard_ledger_core::Balance;
use lombard_types::Scale;
use parking_lot::FairMutex;
use rusqlite::{Connection, OpenFlags, Statement};

use crate::{
    books::Books,
    decimal::{push_decimal, push_uuid},
    layout,
    restore::{self, Ask},
    rows::Rows,
    schema::{Cells, Fill, Kind, Sink, TABLES, Table, VIEWS},
    target::{Found, Place, Target, TargetError},
};

/// How long another program's lock on the file is waited for.
const BUSY_MS: u64 = 5000;

/// A file, and whose turn it is to write it.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) cache_bytes: u64,
    turn: Arc<FairMutex<()>>,
}

/// The tables in a file.
pub(crate) struct Sqlite {
    connection: Connection,
    turn: Arc<FairMutex<()>>,
}

impl File {
    pub(crate) fn new(path: PathBuf, cache_bytes: u64) -> Self {
        Self { path, cache_bytes, turn: Arc::default() }
    }

    /// Opens the file, and makes it if it is not there, for its owner only.
    pub(crate) fn open(&self) -> Result<Sqlite, TargetError> {
        let failed = |error: std::io::Error| {
            TargetError::Address(format!("{}: {error}", self.path.display()))
        };
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.open(&self.path).map_err(failed)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
        // The log has everything: what a loss of power takes from the end of this file is written again.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let cache = i64::try_from(self.cache_bytes / 1024).unwrap_or(i64::MAX);
        connection.pragma_update(None, "cache_size", -cache)?;
        Ok(Sqlite { connection, turn: Arc::clone(&self.turn) })
    }
}

const fn prefix(place: Place) -> &'static str {
    match place {
        Place::Live => "",
        Place::Beside => "rebuild_",
    }
}

fn column_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer | Kind::Boolean => "INTEGER",
        Kind::Text | Kind::Decimal | Kind::Uuid => "TEXT",
    }
}

/// A key of one integer is the row's own number, which takes no index.
fn has_row_key(table: &Table) -> bool {
    let is_integer = |name: &str| {
        table.columns.iter().any(|column| column.name() == name && column.kind == Kind::Integer)
    };
    matches!(table.key, [name] if is_integer(name))
}

fn create_table(table: &Table, place: Place) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let null = if column.is_nullable() { "" } else { " NOT NULL" };
            let is_key = has_row_key(table) && table.key == [column.name()];
            let key = if is_key { " PRIMARY KEY" } else { "" };
            format!("{} {}{null}{key}", column.name(), column_type(column.kind))
        })
        .collect();
    format!("CREATE TABLE {}{} ({}) STRICT", prefix(place), table.name, columns.join(", "))
}

fn create_key(table: &Table, place: Place, generation: &str) -> Option<String> {
    let (prefix, name) = (prefix(place), table.name);
    let key = table.key.join(", ");
    (!has_row_key(table))
        .then(|| format!("CREATE UNIQUE INDEX {name}_key_{generation} ON {prefix}{name} ({key})"))
}

fn create_indexes(table: &Table, place: Place, generation: &str) -> Vec<String> {
    let (prefix, name) = (prefix(place), table.name);
    let create = |(what, index, rest): &(&str, &str, &str)| {
        format!("CREATE {what} {index}_{generation} ON {prefix}{name} {rest}")
    };
    table.indexes.iter().map(create).collect()
}

fn insert(table: &Table, place: Place) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name()).collect();
    let (prefix, name, columns) = (prefix(place), table.name, names.join(", "));
    let values = vec!["?"; names.len()].join(", ");
    let verb = if table.is_updated { "INSERT OR REPLACE" } else { "INSERT" };
    format!("{verb} INTO {prefix}{name} ({columns}) VALUES ({values})")
}

impl Sqlite {
    fn has_tables(&self, place: Place) -> Result<bool, TargetError> {
        let statement = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
        let name = format!("{}projection", prefix(place));
        let count: i64 = self.connection.query_row(statement, [name], |row| row.get(0))?;
        Ok(count > 0)
    }

    /// Names of indexes are the whole file's, and cannot be changed: those of the tables that are built beside end
    /// otherwise than those of the live ones.
    fn generation(&self, place: Place) -> Result<&'static str, TargetError> {
        let statement = "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = 'assets_key_a' AND tbl_name = 'assets'";
        let live_is_a: i64 = self.connection.query_row(statement, [], |row| row.get(0))?;
        Ok(match place {
            Place::Live if self.has_tables(Place::Live)? && live_is_a == 0 => "b",
            Place::Live => "a",
            Place::Beside if live_is_a > 0 => "b",
            Place::Beside if self.has_tables(Place::Live)? => "a",
            Place::Beside => "b",
        })
    }

    fn in_turn<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock();
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        match work(self) {
            Ok(done) => {
                self.connection.execute_batch("COMMIT")?;
                Ok(done)
            }
            Err(error) => {
                // It may have been rolled back by the failure itself.
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    fn execute_all(&self, statements: impl IntoIterator<Item = String>) -> Result<(), TargetError> {
        for statement in statements {
            self.connection.execute_batch(&statement)?;
        }
        Ok(())
    }

    fn drop_tables(&self, place: Place) -> Result<(), TargetError> {
        if place == Place::Live {
            self.drop_views()?;
        }
        let drop = |table: &Table| format!("DROP TABLE IF EXISTS {}{}", prefix(place), table.name);
        self.execute_all(TABLES.iter().map(drop))
    }

    fn drop_views(&self) -> Result<(), TargetError> {
        self.execute_all(VIEWS.iter().map(|(name, _)| format!("DROP VIEW IF EXISTS {name}")))
    }

    fn create_views(&self) -> Result<(), TargetError> {
        let create = |(name, select): &(&str, &str)| {
            format!("CREATE VIEW {name} AS {}", select.replace("{}", ""))
        };
        self.execute_all(VIEWS.iter().map(create))
    }
}

impl Target for Sqlite {
    fn load(&mut self, place: Place) -> Result<Option<Found>, TargetError> {
        if !self.has_tables(place)? {
            return Ok(None);
        }
        restore::restore(self, prefix(place))
    }

    fn create(&mut self, place: Place, source: &str, keys: bool) -> Result<(), TargetError> {
        self.in_turn(|this| {
            if place == Place::Beside {
                this.drop_tables(place)?;
            }
            let generation = this.generation(place)?;
            for table in &TABLES {
                this.execute_all([create_table(table, place)])?;
                if keys || table.is_updated {
                    this.execute_all(create_key(table, place, generation))?;
                }
                if keys {
                    this.execute_all(create_indexes(table, place, generation))?;
                }
            }
            if place == Place::Live {
                this.create_views()?;
            }
            let mut sink = Inserts { connection: &this.connection, place };
            let (books, mut rows) = (Books::new(), Rows::default());
            rows.assets.extend((0..).zip(&books.assets).map(|(number, _)| number));
            layout::put_rows(&books, &rows, &mut sink)?;
            layout::put_progress(&books, source, &mut sink)
        })
    }

    fn write(
        &mut self,
        place: Place,
        before: i64,
        books: &Books,
        rows: &Rows,
    ) -> Result<(), TargetError> {
        self.in_turn(|this| {
            let statement = format!("SELECT position, source FROM {}projection", prefix(place));
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let (position, source): (i64, String) =
                this.connection.query_row(&statement, [], row)?;
            if position != before {
                return Err(TargetError::Contended);
            }
            let mut sink = Inserts { connection: &this.connection, place };
            layout::put_rows(books, rows, &mut sink)?;
            layout::put_progress(books, &source, &mut sink)
        })
    }

    fn add_keys(&mut self, place: Place) -> Result<(), TargetError> {
        let generation = self.generation(place)?;
        for table in &TABLES {
            let key = create_key(table, place, generation).filter(|_| !table.is_updated);
            // One transaction for each: live rows are written in between.
            for statement in key.into_iter().chain(create_indexes(table, place, generation)) {
                self.in_turn(|this| this.execute_all([statement]))?;
            }
        }
        Ok(())
    }

    fn swap(&mut self) -> Result<(), TargetError> {
        self.in_turn(|this| {
            this.drop_tables(Place::Live)?;
            let beside = prefix(Place::Beside);
            let rename =
                |table: &Table| format!("ALTER TABLE {beside}{0} RENAME TO {0}", table.name);
            this.execute_all(TABLES.iter().map(rename))?;
            this.create_views()
        })
    }

    fn clean(&mut self) -> Result<(), TargetError> {
        if !self.has_tables(Place::Beside)? {
            return Ok(());
        }
        self.in_turn(|this| this.drop_tables(Place::Beside))
    }
}

impl Ask for Sqlite {
    fn ask(&mut self, statement: &str) -> Result<Vec<restore::Cells>, TargetError> {
        let mut statement = self.connection.prepare(statement)?;
        let count = statement.column_count();
        let cells = |row: &rusqlite::Row<'_>| (0..count).map(|column| row.get(column)).collect();
        let rows = statement.query_map([], cells)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Inserts rows, each with one step of a prepared statement.
struct Inserts<'a> {
    connection: &'a Connection,
    place: Place,
}

impl Sink for Inserts<'_> {
    type Error = TargetError;

    fn put(&mut self, table: &Table, count: usize, fill: &Fill<'_>) -> Result<(), TargetError> {
        let mut statement = self.connection.prepare(&insert(table, self.place))?;
        let mut binder =
            Binder { statement: &mut statement, at: 0, text: Vec::new(), failed: None };
        for number in 0..count {
            binder.at = 0;
            fill(number, &mut binder);
            if let Some(error) = binder.failed.take() {
                return Err(error.into());
            }
            binder.statement.raw_execute()?;
        }
        Ok(())
    }
}

/// Binds the cells of a row to a statement.
struct Binder<'a, 'c> {
    statement: &'a mut Statement<'c>,
    at: usize,
    text: Vec<u8>,
    failed: Option<rusqlite::Error>,
}

impl Binder<'_, '_> {
    fn bind(&mut self, value: impl rusqlite::ToSql) {
        self.at += 1;
        if let Err(error) = self.statement.raw_bind_parameter(self.at, value) {
            self.failed.get_or_insert(error);
        }
    }

    fn bind_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        write(&mut text);
        self.bind(std::str::from_utf8(&text).unwrap_or_default());
        self.text = text;
    }
}

impl Cells for Binder<'_, '_> {
    fn integer(&mut self, number: i64) {
        self.bind(number);
    }

    fn text(&mut self, text: &str) {
        self.bind(text);
    }

    fn decimal(&mut self, number: Balance, scale: Scale) {
        self.bind_written(|out| push_decimal(out, number, scale));
    }

    fn uuid(&mut self, id: u128) {
        self.bind_written(|out| push_uuid(out, id));
    }

    fn boolean(&mut self, is_so: bool) {
        self.bind(is_so);
    }

    fn null(&mut self) {
        self.bind(rusqlite::types::Null);
    }
}
