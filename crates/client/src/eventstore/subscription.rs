//! Events as they happen, over Server-Sent Events.

use std::{collections::VecDeque, time::Duration};

use super::{PREFIX, RecordedEvent, Selection};
use crate::{Error, Platform};

/// The server says at least every 15 seconds that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest pause before connecting again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest event that is read.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// Gives the events of a selection, each once and in order, and then waits for more. A lost connection is made again,
/// after the last event that was given.
#[derive(Debug)]
pub struct EventSubscription {
    platform: Platform,
    selection: Selection,
    connection: Option<reqwest::Response>,
    text: Vec<u8>,
    ready: VecDeque<RecordedEvent>,
    pause: Duration,
}

impl EventSubscription {
    pub(super) fn new(platform: Platform, selection: Selection) -> Self {
        let pause = Duration::from_millis(50);
        Self {
            platform,
            selection,
            connection: None,
            text: Vec::new(),
            ready: VecDeque::new(),
            pause,
        }
    }

    /// The next event. Cancel safe. An error means that the platform said no; whether it can be reached or not, waiting
    /// goes on.
    pub async fn next(&mut self) -> Result<RecordedEvent, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                let place =
                    if self.selection.is_of_one_stream() { event.revision } else { event.position };
                self.selection.after = Some(place);
                return Ok(event);
            }
            match self.receive().await {
                Ok(()) => {}
                Err(error @ (Error::Invalid(_) | Error::Unexpected { .. })) => return Err(error),
                Err(Error::Refused(problem)) if !is_passing(problem.status) => {
                    return Err(Error::Refused(problem));
                }
                Err(error) => {
                    tracing::debug!(%error, "the subscription connects again");
                    self.connection = None;
                    self.text.clear();
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Takes what has arrived.
    async fn receive(&mut self) -> Result<(), Error> {
        let url = format!("{}{PREFIX}{}", self.platform.issuer(), self.selection.path());
        let lost = |source: Option<reqwest::Error>| Error::OutcomeUnknown {
            url: url.clone(),
            source: source.map(reqwest::Error::without_url),
        };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let call = self.selection.call(url.clone()).header("accept", "text/event-stream");
                self.connection.insert(self.platform.open(PREFIX, call).await?)
            }
        };
        let chunk = tokio::time::timeout(SILENCE_MAX, connection.chunk()).await;
        let chunk = chunk.map_err(|_| lost(None))?.map_err(|error| lost(Some(error)))?;
        // An end is no error of anybody's: a token expires, a role restarts.
        let chunk = chunk.ok_or_else(|| lost(None))?;
        self.pause = Duration::from_millis(50);
        self.text.extend_from_slice(&chunk);
        if self.text.len() > EVENT_BYTES_MAX {
            let what = format!("an event of more than {EVENT_BYTES_MAX} bytes");
            return Err(Error::Unexpected { url, what });
        }
        let mut rest = 0;
        while let Some(end) = find(self.text.get(rest..).unwrap_or_default(), b"\n\n") {
            let block = self.text.get(rest..rest + end).unwrap_or_default();
            if let Some(event) = read(block) {
                let event = event.map_err(|error| Error::Unexpected {
                    url: url.clone(),
                    what: error.to_string(),
                })?;
                self.ready.push_back(event);
            }
            rest += end + 2;
        }
        self.text.drain(..rest);
        Ok(())
    }
}

fn is_passing(status: u16) -> bool {
    matches!(status, 401 | 429 | 502 | 503 | 504)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// The event of a block of lines, if it has one.
fn read(block: &[u8]) -> Option<serde_json::Result<RecordedEvent>> {
    let data = block.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data: "))?;
    Some(serde_json::from_slice(data))
}
