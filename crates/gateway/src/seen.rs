//! What is told of requests once they are answered: a line for each in the access log, an event for each that may change
//! something. Neither is waited for; where the queue is full, what is lost is counted.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
};

use lombard_types::Timestamp;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use tokio::sync::mpsc;

/// Lines that wait to be written.
const LINES_MAX: usize = 8192;
/// Events that wait to be appended.
pub(crate) const EVENTS_MAX: usize = 8192;

/// A request that was answered. Neither bodies, queries nor tokens are in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Seen<'a> {
    pub(crate) time: TimeText,
    pub(crate) request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) address: IpAddr,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) route: &'a str,
    /// `forwarded`, `answered` by the gateway itself, or the problem that it was refused with.
    pub(crate) decision: &'a str,
    pub(crate) status: u16,
    pub(crate) duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
    /// The position that the response names: what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<&'a str>,
}

/// A time as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeText(pub(crate) Timestamp);

impl Serialize for TimeText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Writes lines, on a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    lines: SyncSender<Message>,
    lost: Counter,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// The file may have been moved away.
    Reopen,
}

impl AccessLog {
    /// To a file, or to standard output for `-`. What cannot be opened is said now.
    pub(crate) fn start(path: PathBuf, lost: Counter) -> io::Result<Self> {
        let first = Output::open(&path)?;
        let (lines, receiver) = sync_channel(LINES_MAX);
        std::thread::Builder::new()
            .name("gateway-log".to_owned())
            .spawn(move || write_all(&receiver, first, &path))?;
        Ok(Self { lines, lost })
    }

    pub(crate) fn write(&self, seen: &Seen<'_>) {
        let Ok(line) = serde_json::to_string(seen) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.lines.try_send(Message::Line(line))
        {
            self.lost.inc();
        }
    }

    /// Opens the file again, as after a rotation.
    pub(crate) fn reopen(&self) {
        if self.lines.try_send(Message::Reopen).is_err() {
            tracing::warn!("the access log is too busy to be opened again");
        }
    }
}

enum Output {
    File(BufWriter<File>),
    Standard(io::Stdout),
}

impl Output {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard(io::stdout()));
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::File(BufWriter::with_capacity(64 << 10, file)))
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::File(file) => {
                file.write_all(line.as_bytes())?;
                file.write_all(b"\n")
            }
            Self::Standard(output) => output.lock().write_all(format!("{line}\n").as_bytes()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Standard(output) => output.flush(),
        }
    }
}

/// Ends with the last sender.
fn write_all(receiver: &Receiver<Message>, mut output: Output, path: &Path) {
    let mut is_broken = false;
    let mut note = |result: io::Result<()>| match result {
        Ok(()) => is_broken = false,
        // Once, not for each line.
        Err(error) if !is_broken => {
            is_broken = true;
            tracing::error!(%error, path = %path.display(), "failed to write the access log");
        }
        Err(_) => {}
    };
    loop {
        // What is there is written together; then nothing is left behind while nothing happens.
        let message = match receiver.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => {
                note(output.flush());
                match receiver.recv() {
                    Ok(message) => message,
                    Err(_) => return,
                }
            }
            Err(TryRecvError::Disconnected) => {
                note(output.flush());
                return;
            }
        };
        match message {
            Message::Line(line) => note(output.line(&line)),
            Message::Reopen => {
                note(output.flush());
                match Output::open(path) {
                    Ok(new) => output = new,
                    Err(error) => note(Err(error)),
                }
            }
        }
    }
}

/// Hands over what the audit is told.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) events: mpsc::Sender<String>,
    pub(crate) lost: Counter,
}

impl Audit {
    pub(crate) fn tell(&self, seen: &Seen<'_>) {
        let event = serde_json::json!({
            "specversion": "1.0",
            "id": uuid::Uuid::now_v7(),
            "source": "/v1/gateway",
            "type": "lombard.gateway.request",
            "datacontenttype": "application/json",
            "data": seen,
        });
        if self.events.try_send(event.to_string()).is_err() {
            self.lost.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str) -> Seen<'_> {
        Seen {
            time: TimeText(Timestamp::from_unix_seconds(0)),
            request_id: "r-1",
            traceparent: None,
            address: [127, 0, 0, 1].into(),
            method: "POST",
            path,
            route: "orders",
            decision: "forwarded",
            status: 201,
            duration_us: 7,
            upstream: Some("orders"),
            client: Some("shop"),
            subject: None,
            token: None,
            position: Some("12"),
        }
    }

    #[test]
    fn lines_go_to_the_file_that_is_there_now() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("access.log"), directory.path().join("old.log"));
        let log = AccessLog::start(path.clone(), Counter::default()).unwrap();
        log.write(&seen("/a\"b"));
        while std::fs::read_to_string(&path).unwrap_or_default().is_empty() {
            std::thread::yield_now();
        }
        std::fs::rename(&path, &old).unwrap();
        log.reopen();
        log.write(&seen("/c"));
        while std::fs::read_to_string(&path).unwrap_or_default().is_empty() {
            std::thread::yield_now();
        }
        let line: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&old).unwrap()).unwrap();
        assert_eq!(
            (&line["path"], &line["status"], &line["position"]),
            (&"/a\"b".into(), &201.into(), &"12".into())
        );
        assert!(line.get("subject").is_none());
        AccessLog::start(directory.path().join("no/such/folder"), Counter::default()).unwrap_err();
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (events, _receiver) = mpsc::channel(1);
        let audit = Audit { events, lost: Counter::default() };
        audit.tell(&seen("/a"));
        audit.tell(&seen("/b"));
        assert_eq!(audit.lost.get(), 1);
    }
}
