//! The tables in a schema of a PostgreSQL database.
//!
//! Rows arrive by `COPY`; those of tables that change go through a temporary table. Tables that are built beside are in a
//! schema of their own, which takes the other's name at the end: that waits for no reader, and a query that has begun
//! reads on in the tables that it began with.

use std::{io::Write as _, net::IpAddr, path::PathBuf, str::FromStr, time::SystemTime};

use lombard_ledger_core::Balance;
use lombard_types::{Scale, Timestamp};
use postgres::{
    Client, NoTls, SimpleQueryMessage, Transaction,
    config::{Host, SslMode},
};

use crate::{
    books::Books,
    config::Secret,
    decimal::{push_decimal, push_integer, push_uuid},
    layout,
    restore::{self, Ask},
    rows::Rows,
    schema::{Cells, Fill, Kind, Sink, TABLES, Table, VIEWS},
    target::{Found, Place, Target, TargetError},
    tls::Tls,
};

/// Rows are handed to the connection in pieces of about this size.
const PIECE_BYTES: usize = 256 << 10;
/// How long old tables are waited for before they are left for the next time.
const DROP_WITHIN: &str = "2s";

/// Where the database is.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) url: Secret,
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// The server may be on another machine without TLS.
    pub(crate) clear_text: bool,
    pub(crate) schema: String,
    /// Who may read the tables.
    pub(crate) readers: Vec<String>,
}

/// The tables in a database.
pub(crate) struct Postgres {
    client: Client,
    schema: String,
    readers: Vec<String>,
}

impl Database {
    /// Reads the address without connecting.
    pub(crate) fn config(&self) -> Result<postgres::Config, TargetError> {
        let mut config = postgres::Config::from_str(&readable(self.url.expose()))
            .map_err(|error| TargetError::Address(error.to_string()))?;
        if config.get_application_name().is_none() {
            config.application_name("lombard");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(10));
        }
        if self.tls_ca_file.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        Ok(config)
    }

    /// Whether it could be connected to as the configuration says, without doing it.
    pub(crate) fn check(&self) -> Result<(), TargetError> {
        let config = self.config()?;
        let refused = |why: &str| Err(TargetError::Address(why.to_owned()));
        match &self.tls_ca_file {
            Some(_) if config.get_hosts().iter().any(is_socket) => {
                refused("tls_ca_file: a socket of this machine has no TLS")
            }
            Some(path) => Tls::trusting(path).map(drop),
            None if config.get_ssl_mode() == SslMode::Require => {
                refused("TLS takes tls_ca_file, the authorities that are trusted")
            }
            None if self.clear_text || is_on_this_machine(&config) => Ok(()),
            None => refused(
                "the connection would be in clear text: say tls_ca_file, or clear_text = true",
            ),
        }
    }

    fn connect(&self) -> Result<Client, TargetError> {
        let config = self.config()?;
        Ok(match &self.tls_ca_file {
            Some(path) => config.connect(Tls::trusting(path)?)?,
            None => config.connect(NoTls)?,
        })
    }

    pub(crate) fn open(&self) -> Result<Postgres, TargetError> {
        let mut client = self.connect()?;
        // The log has everything: what a crash of the server takes from the end is written again.
        client.batch_execute("SET synchronous_commit = off; SET client_min_messages = warning")?;
        Ok(Postgres { client, schema: self.schema.clone(), readers: self.readers.clone() })
    }
}

/// An address as the client library reads it, which does not know `sslmode=verify-full`. All of TLS is that here.
fn readable(address: &str) -> String {
    let is_url = address.starts_with("postgres://") || address.starts_with("postgresql://");
    let options = if is_url { address.find('?').unwrap_or(address.len()) } else { 0 };
    let (before, options) = address.split_at(options);
    format!("{before}{}", options.replace("sslmode=verify-full", "sslmode=require"))
}

/// Nothing leaves it: neither to a host, nor to an address that is said beside the host's name.
fn is_on_this_machine(config: &postgres::Config) -> bool {
    let is_near = |host: &Host| match host {
        Host::Tcp(name) => {
            let address = name.parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_near) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

fn is_socket(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

/// A name in SQL, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn column_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "BIGINT",
        Kind::Text => "TEXT",
        Kind::Decimal => "NUMERIC",
        Kind::Uuid => "UUID",
        Kind::Boolean => "BOOLEAN",
    }
}

fn create_table(table: &Table, prefix: &str) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let null = if column.is_nullable() { "" } else { " NOT NULL" };
            format!("{} {}{null}", column.name(), column_type(column.kind))
        })
        .collect();
    format!("CREATE TABLE {prefix}{} ({})", table.name, columns.join(", "))
}

fn create_key(table: &Table, prefix: &str) -> String {
    format!("ALTER TABLE {prefix}{} ADD PRIMARY KEY ({})", table.name, table.key.join(", "))
}

fn create_indexes(table: &Table, prefix: &str) -> Vec<String> {
    let create = |(what, index, rest): &(&str, &str, &str)| {
        format!("CREATE {what} {index} ON {prefix}{} {rest}", table.name)
    };
    table.indexes.iter().map(create).collect()
}

/// Moves the rows of a temporary table into the one that it stands for.
fn merge(table: &Table, prefix: &str) -> String {
    let name = table.name;
    let assign = |column: &crate::schema::Column| {
        let name = column.name();
        format!("{name} = excluded.{name}")
    };
    let changes: Vec<String> = table.columns.iter().map(assign).collect();
    format!(
        "INSERT INTO {prefix}{name} SELECT * FROM pg_temp.lombard_{name} ON CONFLICT ({}) DO UPDATE SET {}",
        table.key.join(", "),
        changes.join(", ")
    )
}

impl Postgres {
    fn schema(&self, place: Place) -> String {
        match place {
            Place::Live => quoted(&self.schema),
            Place::Beside => quoted(&format!("{}_rebuild", self.schema)),
        }
    }

    fn prefix(&self, place: Place) -> String {
        format!("{}.", self.schema(place))
    }

    fn has_tables(&mut self, place: Place) -> Result<bool, TargetError> {
        let name = format!("{}projection", self.prefix(place));
        let row = self.client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])?;
        Ok(row.try_get(0)?)
    }

    fn grant(&self, place: Place) -> Vec<String> {
        let schema = self.schema(place);
        let grant = |reader: &String| {
            let reader = quoted(reader);
            format!(
                "GRANT USAGE ON SCHEMA {schema} TO {reader}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}"
            )
        };
        self.readers.iter().map(grant).collect()
    }

    /// Removes tables that were replaced, as soon as nobody reads them. What depends on them and is not ours keeps them.
    fn drop_replaced(&mut self) -> Result<(), TargetError> {
        let pattern = format!("{}\\_old\\_%", self.schema.replace('_', "\\_"));
        let found = self
            .client
            .query("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE $1", &[&pattern])?;
        for row in found {
            let name: String = row.try_get(0)?;
            let schema = quoted(&name);
            let views =
                VIEWS.iter().map(|(view, _)| format!("DROP VIEW IF EXISTS {schema}.{view}"));
            let tables =
                TABLES.iter().map(|table| format!("DROP TABLE IF EXISTS {schema}.{}", table.name));
            let statements: Vec<String> = [format!("SET LOCAL lock_timeout = '{DROP_WITHIN}'")]
                .into_iter()
                .chain(views)
                .chain(tables)
                .chain([format!("DROP SCHEMA {schema}")])
                .collect();
            let mut transaction = self.client.transaction()?;
            match transaction.batch_execute(&statements.join(";\n")) {
                Ok(()) => transaction.commit()?,
                Err(error) if error.as_db_error().is_some() => {
                    let error = TargetError::from(error);
                    tracing::warn!(schema = name, %error, "replaced tables are still in use, and stay");
                    transaction.rollback()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Target for Postgres {
    fn load(&mut self, place: Place) -> Result<Option<Found>, TargetError> {
        if !self.has_tables(place)? {
            return Ok(None);
        }
        let prefix = self.prefix(place);
        restore::restore(self, &prefix)
    }

    fn create(&mut self, place: Place, source: &str, keys: bool) -> Result<(), TargetError> {
        let (schema, prefix, grants) = (self.schema(place), self.prefix(place), self.grant(place));
        let mut transaction = self.client.transaction()?;
        if place == Place::Beside {
            transaction.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))?;
        }
        transaction.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
        for table in &TABLES {
            let mut statements = vec![create_table(table, &prefix)];
            if keys || table.is_updated {
                statements.push(create_key(table, &prefix));
            }
            if keys {
                statements.extend(create_indexes(table, &prefix));
            }
            transaction.batch_execute(&statements.join(";\n"))?;
        }
        for (name, select) in &VIEWS {
            let select = select.replace("{}", &prefix);
            transaction.batch_execute(&format!("CREATE VIEW {prefix}{name} AS {select}"))?;
        }
        transaction.batch_execute(&grants.join(";\n"))?;
        let mut sink = Copies { transaction: &mut transaction, prefix: &prefix };
        let (books, mut rows) = (Books::new(), Rows::default());
        rows.assets.extend((0..).zip(&books.assets).map(|(number, _)| number));
        layout::put_rows(&books, &rows, &mut sink)?;
        layout::put_progress(&books, source, &mut sink)?;
        Ok(transaction.commit()?)
    }

    fn write(
        &mut self,
        place: Place,
        before: i64,
        books: &Books,
        rows: &Rows,
    ) -> Result<(), TargetError> {
        let prefix = self.prefix(place);
        let mut transaction = self.client.transaction()?;
        let statement = format!("SELECT position, source FROM {prefix}projection FOR UPDATE");
        let row = transaction.query_one(&statement, &[])?;
        if row.try_get::<_, i64>(0)? != before {
            return Err(TargetError::Contended);
        }
        let source: String = row.try_get(1)?;
        let mut sink = Copies { transaction: &mut transaction, prefix: &prefix };
        layout::put_rows(books, rows, &mut sink)?;
        layout::put_progress(books, &source, &mut sink)?;
        Ok(transaction.commit()?)
    }

    fn add_keys(&mut self, place: Place) -> Result<(), TargetError> {
        let prefix = self.prefix(place);
        for table in &TABLES {
            let key = (!table.is_updated).then(|| create_key(table, &prefix));
            for statement in key.into_iter().chain(create_indexes(table, &prefix)) {
                self.client.batch_execute(&statement)?;
            }
            self.client.batch_execute(&format!("ANALYZE {prefix}{}", table.name))?;
        }
        Ok(())
    }

    fn swap(&mut self) -> Result<(), TargetError> {
        let (live, beside) = (self.schema(Place::Live), self.schema(Place::Beside));
        let now = Timestamp::from_system_time(SystemTime::now()).unix_nanos();
        let old = quoted(&format!("{}_old_{now}", self.schema));
        let mut transaction = self.client.transaction()?;
        transaction.batch_execute(&format!(
            "ALTER SCHEMA {live} RENAME TO {old}; ALTER SCHEMA {beside} RENAME TO {live}"
        ))?;
        transaction.commit()?;
        self.drop_replaced()
    }

    fn clean(&mut self) -> Result<(), TargetError> {
        let schema = self.schema(Place::Beside);
        self.client.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))?;
        self.drop_replaced()
    }
}

impl Ask for Postgres {
    fn ask(&mut self, statement: &str) -> Result<Vec<restore::Cells>, TargetError> {
        let mut rows = Vec::new();
        for message in self.client.simple_query(statement)? {
            if let SimpleQueryMessage::Row(row) = message {
                let cell = |column| row.try_get(column).map(|cell| cell.map(str::to_owned));
                rows.push((0..row.len()).map(cell).collect::<Result<_, _>>()?);
            }
        }
        Ok(rows)
    }
}

/// Copies rows into tables.
struct Copies<'a, 't> {
    transaction: &'a mut Transaction<'t>,
    prefix: &'a str,
}

impl Sink for Copies<'_, '_> {
    type Error = TargetError;

    fn put(&mut self, table: &Table, count: usize, fill: &Fill<'_>) -> Result<(), TargetError> {
        let name = table.name;
        if !table.is_updated {
            let into = format!("{}{name}", self.prefix);
            return copy(self.transaction, &into, count, fill);
        }
        // What the table says of nulls counts when its rows are moved.
        self.transaction.batch_execute(&format!(
            "CREATE TEMP TABLE IF NOT EXISTS lombard_{name} (LIKE {}{name}) ON COMMIT DELETE ROWS",
            self.prefix
        ))?;
        copy(self.transaction, &format!("pg_temp.lombard_{name}"), count, fill)?;
        self.transaction.batch_execute(&merge(table, self.prefix))?;
        Ok(())
    }
}

fn copy(
    transaction: &mut Transaction<'_>,
    into: &str,
    count: usize,
    fill: &Fill<'_>,
) -> Result<(), TargetError> {
    let mut writer = transaction.copy_in(&format!("COPY {into} FROM STDIN"))?;
    let mut lines = Lines(Vec::with_capacity(PIECE_BYTES + (64 << 10)));
    let failed = |error: std::io::Error| match error.downcast::<postgres::Error>() {
        Ok(error) => TargetError::Postgres(error),
        Err(_) => TargetError::Contended,
    };
    for number in 0..count {
        fill(number, &mut lines);
        lines.end_row();
        if lines.0.len() >= PIECE_BYTES {
            writer.write_all(&lines.0).map_err(failed)?;
            lines.0.clear();
        }
    }
    writer.write_all(&lines.0).map_err(failed)?;
    writer.finish()?;
    Ok(())
}

/// Rows in the text format of `COPY`: cells end in a tab, rows in a newline in place of the last one.
struct Lines(Vec<u8>);

impl Lines {
    fn end_cell(&mut self) {
        self.0.push(b'\t');
    }

    fn end_row(&mut self) {
        if let Some(last) = self.0.last_mut() {
            *last = b'\n';
        }
    }
}

impl Cells for Lines {
    fn integer(&mut self, number: i64) {
        push_integer(&mut self.0, number);
        self.end_cell();
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'\\' => self.0.extend_from_slice(b"\\\\"),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\r' => self.0.extend_from_slice(b"\\r"),
                b'\t' => self.0.extend_from_slice(b"\\t"),
                byte => self.0.push(byte),
            }
        }
        self.end_cell();
    }

    fn decimal(&mut self, number: Balance, scale: Scale) {
        push_decimal(&mut self.0, number, scale);
        self.end_cell();
    }

    fn uuid(&mut self, id: u128) {
        push_uuid(&mut self.0, id);
        self.end_cell();
    }

    fn boolean(&mut self, is_so: bool) {
        self.0.push(if is_so { b't' } else { b'f' });
        self.end_cell();
    }

    fn null(&mut self) {
        self.0.extend_from_slice(b"\\N");
        self.end_cell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_escaped() {
        let mut lines = Lines(Vec::new());
        lines.text("a\tb\\c\nd\re");
        lines.null();
        lines.integer(-7);
        lines.end_row();
        assert_eq!(lines.0, b"a\\tb\\\\c\\nd\\re\t\\N\t-7\n");
    }

    fn database(url: &str, tls_ca_file: Option<PathBuf>, clear_text: bool) -> Database {
        Database {
            url: Secret::new(url),
            tls_ca_file,
            clear_text,
            schema: "lombard".to_owned(),
            readers: Vec::new(),
        }
    }

    #[test]
    fn clear_text_stays_on_this_machine() {
        for (url, clear_text, is_taken) in [
            ("postgres://a@127.0.0.1/b", false, true),
            ("postgres://a@[::1]/b", false, true),
            ("postgres://a@localhost/b", false, true),
            ("host=/run/postgresql user=a", false, true),
            ("postgres://a@db.example/b", false, false),
            ("postgres://a@localhost,db.example/b", false, false),
            ("host=localhost hostaddr=192.0.2.1 user=a", false, false),
            ("hostaddr=192.0.2.1 user=a", false, false),
            ("postgres://a@db.example/b?sslmode=disable", false, false),
            ("postgres://a@db.example/b?sslmode=prefer", false, false),
            ("postgres://a@db.example/b", true, true),
            ("postgres://a@db.example/b?sslmode=verify-full", true, false),
            ("postgres://a@localhost/b?sslmode=require", false, false),
            ("nonsense", true, false),
        ] {
            assert_eq!(database(url, None, clear_text).check().is_ok(), is_taken, "{url}");
        }
    }

    #[test]
    fn an_authority_means_tls() {
        let place = tempfile::tempdir().unwrap();
        let [good, empty, absent] =
            ["ca.pem", "empty.pem", "absent.pem"].map(|name| place.path().join(name));
        let signed = rcgen::generate_simple_self_signed(["db.example".to_owned()]).unwrap();
        std::fs::write(&good, signed.cert.pem()).unwrap();
        std::fs::write(&empty, "no certificate").unwrap();
        for (url, authority, is_taken) in [
            ("postgres://a@db.example/b", &good, true),
            ("postgres://a@db.example/b?sslmode=verify-full", &good, true),
            ("host=db.example user=a sslmode=verify-full", &good, true),
            // What does not verify does not become possible by saying so.
            ("postgres://a@db.example/b?sslmode=disable", &good, true),
            ("postgres://a@db.example/b?sslmode=verify-ca", &good, false),
            ("host=/run/postgresql user=a", &good, false),
            ("postgres://a@db.example/b", &empty, false),
            ("postgres://a@db.example/b", &absent, false),
        ] {
            let database = database(url, Some(authority.clone()), false);
            assert_eq!(database.check().is_ok(), is_taken, "{url} {}", authority.display());
            if is_taken {
                assert_eq!(database.config().unwrap().get_ssl_mode(), SslMode::Require, "{url}");
            }
        }
    }

    #[test]
    fn a_password_is_not_an_option() {
        let url = "postgres://a:sslmode=verify-full@h/b?sslmode=verify-full";
        assert_eq!(readable(url), "postgres://a:sslmode=verify-full@h/b?sslmode=require");
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
