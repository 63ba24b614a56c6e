//! Every request of the tour as a curl line, with what came back: on the screen, and all of them in a file.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use lombard_client::{Authentication, Exchange};
use parking_lot::Mutex;

use crate::operator::Observe;

/// Longest answer shown on the screen; the file has it whole.
const SHOWN_CHARACTERS_MAX: usize = 600;

#[derive(Debug)]
pub(super) struct Transcript {
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
    is_shown: AtomicBool,
}

impl Transcript {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(BufWriter::new(file)),
            is_shown: AtomicBool::new(true),
        })
    }

    /// Whether requests are shown on the screen too, from now on.
    pub(super) fn show(&self, is_shown: bool) {
        self.is_shown.store(is_shown, Ordering::Relaxed);
    }

    /// Writes out what is buffered, and says where it is.
    pub(super) fn finish(&self) -> anyhow::Result<&Path> {
        self.file.lock().flush()?;
        Ok(&self.path)
    }
}

impl Observe for Transcript {
    fn observe(&self, exchange: &Exchange) {
        let text = render(exchange);
        if self.is_shown.load(Ordering::Relaxed) {
            println!("{}", shorten(&text));
        }
        // A transcript that cannot be written must not stop the tour.
        drop(writeln!(self.file.lock(), "{text}"));
    }
}

fn render(exchange: &Exchange) -> String {
    let mut text = format!("$ curl -X {} '{}'", exchange.method, exchange.url);
    let mut line = |part: String| text.push_str(&format!(" \\\n    {part}"));
    match exchange.authentication {
        Authentication::None => {}
        Authentication::AccessToken => line("-H \"Authorization: Bearer $TOKEN\"".to_owned()),
        Authentication::ClientSecret => line("-u \"$CLIENT_ID:$CLIENT_SECRET\"".to_owned()),
        Authentication::ClientAssertion => {
            line("-d \"client_assertion=$CLIENT_ASSERTION\"".to_owned());
        }
    }
    for (name, value) in &exchange.form {
        line(format!("-d '{name}={value}'"));
    }
    for (name, value) in &exchange.headers {
        line(format!("-H '{name}: {value}'"));
    }
    if let Some(body) = &exchange.body {
        line("-H 'content-type: application/json'".to_owned());
        line(format!("-d '{}'", body.to_string().replace('\'', "'\\''")));
    }
    let ms = exchange.duration.as_secs_f64() * 1000.0;
    match &exchange.outcome {
        Ok((status, body)) => {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "\n< {status} in {ms:.1} ms\n{}", redact(body));
        }
        Err(error) => {
            let _infallible = write!(text, "\n< no answer after {ms:.1} ms: {error}");
        }
    }
    text
}

/// Secrets that an answer shows once are not kept in the transcript.
fn redact(body: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(mut members)) => {
            for secret in ["client_secret", "access_token"] {
                if let Some(value) = members.get_mut(secret) {
                    *value = "(not kept)".into();
                }
            }
            serde_json::Value::Object(members).to_string()
        }
        _ => body.to_owned(),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{} ...", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}
