//! PostgreSQL as a peer: a server of its own on an empty directory, run by a user without rights, ended with this.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio_postgres::{Client, NoTls, config::Config};

use crate::Cpu;

/// Where Debian has the programs of a version.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";
/// Who may run it; PostgreSQL refuses root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A server that runs, and ends with this.
pub struct Postgres {
    child: Child,
    /// Its socket is in it.
    place: tempfile::TempDir,
}

/// Whom programs are started as.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Makes an empty cluster below a directory and starts it. What is not said here is as PostgreSQL has it; with that,
    /// a commit is synced before it is answered.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let place = tempfile::tempdir_in(directory)?;
        let user = user()?;
        if let Some(User { uid, gid }) = user {
            chown(place.path(), Some(uid), Some(gid))?;
        }
        let data = place.path().join("data");
        let made = command("initdb", user)
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=bench", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .current_dir(place.path())
            .output()
            .context("failed to run initdb (Debian: postgresql-15)")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut settings = vec!["listen_addresses=".to_owned(), "max_connections=100".to_owned()];
        settings.push(format!("unix_socket_directories={}", place.path().display()));
        // What decides, said although it is the default; and room, so that it does not stop for checkpoints.
        settings.extend(
            ["fsync=on", "synchronous_commit=on", "shared_buffers=256MB", "max_wal_size=4GB"]
                .map(str::to_owned),
        );
        let mut server = command("postgres", user);
        server.arg("-D").arg(&data).current_dir(place.path());
        for setting in &settings {
            server.args(["-c", setting]);
        }
        let child = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, place })
    }

    /// The CPU time of all its processes.
    pub fn cpu(&self) -> Cpu {
        Cpu::Tree(self.child.id())
    }

    /// Its address, as clients of PostgreSQL write it.
    pub fn address(&self) -> String {
        format!("host={} user=bench dbname=postgres", self.place.path().display())
    }

    /// A connection, as soon as it can be had.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        let mut config = Config::new();
        config.host_path(self.place.path()).user("bench").dbname("postgres");
        for _ in 0..1000 {
            if let Ok((client, connection)) = config.connect(NoTls).await {
                tokio::spawn(connection);
                return Ok(client);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("PostgreSQL does not answer")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its children end with it when it is asked; killed at once, they would be left.
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // Where it has ended already, there is nobody to tell.
            let _: Result<(), _> =
                rustix::process::kill_process(id, rustix::process::Signal::QUIT);
        }
        drop(self.child.wait());
    }
}

fn command(program: &str, user: Option<User>) -> Command {
    let mut command = Command::new(PathBuf::from(DEBIAN).join(program));
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Somebody without rights, where this process has all.
fn user() -> anyhow::Result<Option<User>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let all = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let fields = all.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut fields = fields.filter(|fields| fields.first() == Some(&name));
        let fields = fields.next()?;
        Some(User { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    let found = USERS.into_iter().find_map(find);
    found.map(Some).context("no user to run PostgreSQL as")
}
