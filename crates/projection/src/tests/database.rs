//! Databases to write to: a file, and a server that is started for the test.

use std::{
    fs::Permissions,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Secret,
    postgres::Database as PostgresDatabase,
    restore::Ask as _,
    schema::{Kind, TABLES},
    sqlite::File,
    target::{Target, TargetError},
    worker::Opener,
};

/// Somewhere to put tables.
pub(super) struct Database {
    opener: Opener,
    /// The file's directory, until it is not needed any more.
    _place: Option<TempDir>,
}

impl Database {
    pub(super) fn sqlite() -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = File::new(place.path().join("books.sqlite"), 1 << 20);
        Self { opener: Opener::Sqlite(file), _place: Some(place) }
    }

    pub(super) fn open(&self) -> Box<dyn Target> {
        self.try_open().unwrap()
    }

    pub(super) fn try_open(&self) -> Result<Box<dyn Target>, TargetError> {
        self.opener.open()
    }

    pub(super) fn path(&self) -> &Path {
        match &self.opener {
            Opener::Sqlite(file) => &file.path,
            Opener::Postgres(_) => panic!("not in a file"),
        }
    }

    fn prefix(&self) -> String {
        match &self.opener {
            Opener::Sqlite(_) => String::new(),
            Opener::Postgres(database) => format!("{}.", database.schema),
        }
    }

    /// A statement with the tables' full names in place of `{}`.
    pub(super) fn named(&self, statement: &str) -> String {
        statement.replace("{}", &self.prefix())
    }

    pub(super) fn client(&self) -> postgres::Client {
        match &self.opener {
            Opener::Sqlite(_) => panic!("not in a server"),
            Opener::Postgres(database) => {
                database.config().unwrap().connect(postgres::NoTls).unwrap()
            }
        }
    }

    pub(super) fn execute(&self, statement: &str) {
        let statement = self.named(statement);
        match &self.opener {
            Opener::Sqlite(file) => {
                let connection = rusqlite::Connection::open(&file.path).unwrap();
                connection.execute_batch(&statement).unwrap();
            }
            Opener::Postgres(_) => self.client().batch_execute(&statement).unwrap(),
        }
    }

    /// Every row of every table, in the order of their keys.
    pub(super) fn dump(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in &TABLES {
            let cell = |column: &crate::schema::Column| {
                let name = column.name();
                match column.kind {
                    Kind::Boolean => format!("CASE WHEN {name} THEN 'true' ELSE 'false' END"),
                    Kind::Text => name.to_owned(),
                    _ => format!("CAST({name} AS TEXT)"),
                }
            };
            let cells: Vec<String> = table.columns.iter().map(cell).collect();
            // In the order of the bytes, as the model has them.
            let collate = match (&self.opener, table.name) {
                (Opener::Postgres(_), "assets") => " COLLATE \"C\"",
                _ => "",
            };
            let key: Vec<String> = table.key.iter().map(|name| format!("t.{name}")).collect();
            let statement = format!(
                "SELECT {} FROM {}{} AS t ORDER BY {}{collate}",
                cells.join(", "),
                self.prefix(),
                table.name,
                key.join(", ")
            );
            let rows = match &self.opener {
                Opener::Sqlite(file) => file.open().unwrap().ask(&statement),
                Opener::Postgres(database) => database.open().unwrap().ask(&statement),
            };
            for row in rows.unwrap() {
                let or_null = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                let cells: Vec<String> = row.into_iter().map(or_null).collect();
                lines.push(format!("{}: {}", table.name, cells.join(" | ")));
            }
        }
        lines
    }

    /// What the view says: account, number, version, and whether it is late.
    pub(super) fn statement_entries(&self) -> Vec<(i64, i64, i64, bool)> {
        let statement = self.named(
            "SELECT CAST(account AS TEXT), CAST(number AS TEXT), CAST(version AS TEXT), \
             CASE WHEN is_late THEN '1' ELSE '0' END \
             FROM {}statement_entries AS s ORDER BY s.account, s.number, s.version",
        );
        let rows = match &self.opener {
            Opener::Sqlite(file) => file.open().unwrap().ask(&statement),
            Opener::Postgres(database) => database.open().unwrap().ask(&statement),
        };
        let number = |cell: &Option<String>| cell.as_ref().unwrap().parse::<i64>().unwrap();
        let of = |row: Vec<Option<String>>| {
            (number(&row[0]), number(&row[1]), number(&row[2]), number(&row[3]) == 1)
        };
        rows.unwrap().into_iter().map(of).collect()
    }

    pub(super) fn end_other_connections(&self) {
        let statement = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        self.client().query(statement, &[]).unwrap();
    }

    /// How many schemas with replaced tables are left.
    pub(super) fn replaced_schemas(&self) -> i64 {
        let pattern = format!("{}old%", self.prefix().replace('.', "_"));
        let statement = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE $1";
        self.client().query_one(statement, &[&pattern]).unwrap().get(0)
    }
}

/// A server of its own, on a socket in a directory that goes with it.
pub(super) struct PostgresServer {
    server: Child,
    place: TempDir,
    port: u16,
    schemas: AtomicU32,
}

/// Where Debian and others put the programs; they are not on everybody's path.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = debian.flatten().map(|version| version.path().join("bin"));
    std::env::split_paths(&on_path).chain(versions).find(|place| place.join("initdb").is_file())
}

impl PostgresServer {
    /// `None` where there are no programs: CI installs them.
    pub(super) fn start() -> Option<Self> {
        /// Debian's `nobody`: the server does not run as root.
        const NOBODY: u32 = 65534;
        let Some(programs) = programs() else {
            assert!(std::env::var_os("LOMBARD_TEST_POSTGRES").is_none(), "initdb is not there");
            println!("skipped: no PostgreSQL on this machine");
            return None;
        };
        let place = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.current_dir(place.path()).env("LC_ALL", "C").stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let data = place.path().join("data");
        let made = command("initdb")
            .args(["--auth=trust", "--username=lombard", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = [
            ("server.crt", certificate.cert.pem()),
            ("server.key", certificate.signing_key.serialize_pem()),
        ];
        for (name, text) in files {
            let path = data.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            if is_root {
                chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        // The server does not choose a free port itself; its socket has the port in its name.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = command("postgres")
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", "fsync=off"])
            .args(["-c", &format!("port={port}"), "-k"])
            .arg(place.path())
            .arg("-D")
            .arg(&data)
            .spawn()
            .unwrap();
        let server = Self { server, place, port, schemas: AtomicU32::new(0) };
        let (database, started) = (server.database(), Instant::now());
        let Opener::Postgres(postgres) = &database.opener else { panic!() };
        while let Err(error) = postgres.config().unwrap().connect(postgres::NoTls) {
            assert!(started.elapsed() < Duration::from_secs(60), "{error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// A schema that nothing is in.
    pub(super) fn database(&self) -> Database {
        let (host, port) = (self.place.path().display(), self.port);
        self.database_at(format!("host={host} port={port} user=lombard dbname=postgres"), None)
    }

    /// The same over TLS; `authority` is the file with the one that is trusted.
    pub(super) fn database_over_tls(&self, host: &str, authority: &Path) -> Database {
        let url = format!("postgres://lombard@{host}:{}/postgres", self.port);
        self.database_at(url, Some(authority.to_owned()))
    }

    /// The certificate that the server shows, which nobody but itself has signed.
    pub(super) fn certificate(&self) -> PathBuf {
        self.place.path().join("data/server.crt")
    }

    fn database_at(&self, url: String, tls_ca_file: Option<PathBuf>) -> Database {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        let opener = Opener::Postgres(PostgresDatabase {
            url: Secret::new(url),
            tls_ca_file,
            clear_text: false,
            schema: format!("books_{number}"),
            readers: vec!["lombard".to_owned()],
        });
        Database { opener, _place: None }
    }
}

impl Drop for PostgresServer {
    /// As Ctrl-C does, which lets the server give back what it has of the system.
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        }
        drop(self.server.wait());
    }
}
