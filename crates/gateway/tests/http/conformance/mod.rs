//! Every error of HTTP/2 with the frame that RFC 9113 and RFC 7541 demand, driven frame by frame: a table for each section, each
//! case on a connection of its own.

mod framing;
mod hpack;
mod requests;
mod settings;
mod streams;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    frames::{
        ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
        frame, request,
    },
    support::{World, config},
};

// Error codes (RFC 9113 section 7).
const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// `:status` in the static table.
const OK: u8 = 0x88;
const BAD_REQUEST: u8 = 0x8c;

/// A case that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What one case is about.
struct Case {
    name: &'static str,
    steps: Vec<Step>,
    expected: Expected,
    /// Whether preface and settings are exchanged before.
    opens: bool,
}

enum Step {
    Send(Vec<u8>),
    /// Waits until so many bytes of DATA have come on a stream.
    Received(u32, usize),
    /// Waits for the end of the answer on a stream.
    Answered(u32),
}

#[derive(Clone, Debug)]
enum Expected {
    /// GOAWAY with this code, then the end of the connection.
    Connection(u32),
    /// The stream is reset with this code, and the connection goes on.
    Stream(u32, u32),
    /// One of the two, where the RFC leaves the choice or the state of a stream is forgotten by then.
    StreamOrConnection(u32, u32),
    /// A response on the stream with this `:status`, and the connection goes on.
    Answer(u32, u8),
    /// The malformed request is refused by a reset with PROTOCOL_ERROR, by a response with 400 (section 8.1.1), or by the end of
    /// the connection with that error (section 5.4.1 permits it for any error of a stream).
    Refused(u32),
    /// Nothing of note: the connection goes on.
    Nothing,
    /// A frame of this kind, with this payload, on stream 0.
    Frame(u8, Vec<u8>),
    /// DATA of exactly so many bytes is what comes on a stream before the window is opened further.
    Window(u32, usize),
}

fn case(name: &'static str, frames: &[Vec<u8>], expected: Expected) -> Case {
    Case { name, steps: vec![Step::Send(frames.concat())], expected, opens: true }
}

impl Case {
    /// More that is sent once the answer on a stream has ended.
    fn after(mut self, stream: u32, frames: &[Vec<u8>]) -> Self {
        self.steps.push(Step::Answered(stream));
        self.steps.push(Step::Send(frames.concat()));
        self
    }

    /// More that is sent once so many bytes have come on a stream.
    fn after_bytes(mut self, stream: u32, bytes: usize, frames: &[Vec<u8>]) -> Self {
        self.steps.push(Step::Received(stream, bytes));
        self.steps.push(Step::Send(frames.concat()));
        self
    }

    fn without_opening(mut self) -> Self {
        self.opens = false;
        self
    }
}

/// A complete request.
fn whole(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(&[]))
}

/// A request whose body has not come yet, to an upstream that sends it back.
fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &request(&[(":path", "/oauth/stream-back")]))
}

/// A request whose header block is this.
fn with_block(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
}

fn code(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A frame that came: its kind, flags, stream and payload.
type Frame = (u8, u8, u32, Vec<u8>);

struct Connection {
    stream: TcpStream,
    got: Vec<Frame>,
}

/// The opaque data of the last PING.
const MARK: [u8; 8] = *b"the-mark";

impl Connection {
    async fn open(address: SocketAddr, opens: bool) -> Self {
        let mut own = Self { stream: TcpStream::connect(address).await.unwrap(), got: Vec::new() };
        if opens {
            own.send(&[PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()).await;
            let first = own.next().await.unwrap();
            assert_eq!((first.0, first.1, first.2), (SETTINGS, 0, 0), "its preface (section 3.4)");
            own.send(&frame(SETTINGS, ACK, 0, &[])).await;
        }
        own
    }

    /// The other side may have closed already.
    async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// The next frame; `None` at the end of the connection.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        let frame = (kind, flags, u32::from_be_bytes(stream), payload);
        self.got.push(frame.clone());
        Some(frame)
    }

    /// Reads until a frame fits; false where the connection ends before.
    async fn until(&mut self, fits: impl Fn(&Frame) -> bool) -> bool {
        if self.got.iter().any(&fits) {
            return true;
        }
        loop {
            match self.next().await {
                Some(frame) if fits(&frame) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    async fn goes_on(&mut self) -> bool {
        self.send(&frame(PING, 0, 0, &MARK)).await;
        self.until(|(kind, flags, _, payload)| {
            *kind == PING && *flags == ACK && payload.as_slice() == MARK
        })
        .await
            && !self.got.iter().any(|(kind, ..)| *kind == GOAWAY)
    }

    /// The code of the last GOAWAY, once the connection has ended.
    async fn ends_with(&mut self) -> Option<u32> {
        while self.next().await.is_some() {}
        let goaway = self.got.iter().rev().find(|(kind, ..)| *kind == GOAWAY)?;
        Some(u32::from_be_bytes(goaway.3.get(4..8)?.try_into().ok()?))
    }

    async fn fits(&mut self, expected: &Expected) -> bool {
        let reset = |stream: u32| move |frame: &Frame| frame.0 == RST_STREAM && frame.2 == stream;
        let headers = |stream: u32| move |frame: &Frame| frame.0 == HEADERS && frame.2 == stream;
        match expected {
            Expected::Connection(code) => self.ends_with().await == Some(*code),
            Expected::Stream(stream, number) => {
                self.until(reset(*stream)).await
                    && self
                        .got
                        .iter()
                        .any(|frame| reset(*stream)(frame) && frame.3 == code(*number))
                    && self.goes_on().await
            }
            Expected::StreamOrConnection(stream, number) => {
                let is_reset = |frame: &Frame| reset(*stream)(frame) && frame.3 == code(*number);
                self.until(|frame| is_reset(frame) || frame.0 == GOAWAY).await
                    && (self.got.iter().any(is_reset) || self.ends_with().await == Some(*number))
            }
            Expected::Answer(stream, status) => {
                self.until(headers(*stream)).await
                    && self
                        .got
                        .iter()
                        .any(|frame| headers(*stream)(frame) && frame.3.first() == Some(status))
                    && self.goes_on().await
            }
            Expected::Refused(stream) => {
                let is_refused = |frame: &Frame| {
                    let is_reset = reset(*stream)(frame) && frame.3 == code(PROTOCOL_ERROR);
                    is_reset || headers(*stream)(frame) && frame.3.first() == Some(&BAD_REQUEST)
                };
                let is_answer = |frame: &Frame| reset(*stream)(frame) || headers(*stream)(frame);
                if self.until(|frame| is_answer(frame) || frame.0 == GOAWAY).await
                    && self.got.iter().any(is_answer)
                {
                    return self.got.iter().any(is_refused) && self.goes_on().await;
                }
                self.ends_with().await == Some(PROTOCOL_ERROR)
            }
            Expected::Nothing => self.goes_on().await,
            Expected::Frame(kind, payload) => {
                self.until(|frame| frame.0 == *kind && frame.2 == 0 && frame.3 == *payload).await
                    && self.goes_on().await
            }
            Expected::Window(stream, bytes) => {
                let of_stream = |frame: &Frame| frame.0 == DATA && frame.2 == *stream;
                let is_sent = self.until(of_stream).await && self.goes_on().await;
                let sent = self.got.iter().filter(|frame| of_stream(frame));
                is_sent && sent.map(|frame| frame.3.len()).sum::<usize>() == *bytes
            }
        }
    }

    async fn run(&mut self, case: &Case) -> bool {
        for step in &case.steps {
            match step {
                Step::Send(bytes) => self.send(bytes).await,
                Step::Received(stream, bytes) => {
                    let received = |got: &[Frame]| -> usize {
                        let data = got.iter().filter(|frame| frame.0 == DATA && frame.2 == *stream);
                        data.map(|frame| frame.3.len()).sum()
                    };
                    while received(&self.got) < *bytes {
                        if self.next().await.is_none() {
                            return false;
                        }
                    }
                }
                Step::Answered(stream) => {
                    let ended = |frame: &Frame| {
                        frame.2 == *stream
                            && (frame.0 == RST_STREAM
                                || matches!(frame.0, DATA | HEADERS) && frame.1 & END_STREAM != 0)
                    };
                    if !self.until(ended).await {
                        return false;
                    }
                }
            }
        }
        self.fits(&case.expected).await
    }
}

/// Runs all of them at once, and says which did not go as they must.
async fn check(cases: Vec<Case>) {
    // Connections to it wait in the system's queue, and nobody ever reads from them.
    let stalled = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::with(config(&format!(
        "
        [[upstream]]
        name = \"stalled\"
        addresses = [\"{}\"]
        [[route]]
        name = \"stalled\"
        prefix = \"/stalled\"
        upstream = \"stalled\"
        auth = \"none\"
        ",
        stalled.local_addr().unwrap()
    )))
    .await;
    let address = world.address;
    let run = cases.iter().map(async |case| {
        let mut connection = Connection::open(address, case.opens).await;
        let fits = tokio::time::timeout(TIMEOUT, connection.run(case)).await;
        (!fits.unwrap_or(false)).then(|| {
            let got = connection.got.iter().map(|(kind, flags, stream, payload)| {
                let shown = payload.get(..16).unwrap_or(payload);
                format!("{kind} {flags:#x} on {stream}, {} bytes {shown:02x?}", payload.len())
            });
            let got = got.collect::<Vec<_>>().join("\n    ");
            format!("{}: expected {:?}, got\n    {got}", case.name, case.expected)
        })
    });
    let failed: Vec<String> =
        futures_util::future::join_all(run).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
