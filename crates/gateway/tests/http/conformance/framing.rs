//! RFC 9113 sections 3.4, 4 and 5.5: the preface, the form of frames, header blocks in pieces, and what is unknown.

use super::{Case, Expected as E, case, check, open, whole, with_block, *};
use crate::frames::{CONTINUATION, PADDED, PRIORITY, WITH_PRIORITY, field};

/// The largest frame that is taken where nothing was said (section 6.5.2).
const FRAME_BYTES_MAX: usize = 16_384;

fn in_pieces(count: usize) -> Vec<u8> {
    let block = request(&[]);
    let mut frames = frame(HEADERS, END_STREAM, 1, &block);
    for number in 0..count {
        let flags = if number + 1 == count { END_HEADERS } else { 0 };
        frames.extend(frame(CONTINUATION, flags, 1, &field("x", b"y")));
    }
    frames
}

fn cases() -> Vec<Case> {
    let begun = || frame(HEADERS, END_STREAM, 1, &request(&[]));
    let padded = |payload: &[u8], padding: u8| {
        let mut padded = vec![padding];
        padded.extend(payload);
        padded.extend(vec![0; usize::from(padding)]);
        padded
    };
    let with_priority = [&[0, 0, 0, 0, 15][..], &request(&[])].concat();
    vec![
        case(
            "3.4 something else before SETTINGS",
            &[PREFACE.to_vec(), frame(PING, 0, 0, &MARK)],
            E::Connection(PROTOCOL_ERROR),
        )
        .without_opening(),
        case(
            "3.4 a request before SETTINGS",
            &[PREFACE.to_vec(), whole(1)],
            E::Connection(PROTOCOL_ERROR),
        )
        .without_opening(),
        case("a request", &[whole(1)], E::Answer(1, OK)),
        case(
            "a request with a body",
            &[open(1), frame(DATA, END_STREAM, 1, b"body")],
            E::Answer(1, OK),
        ),
        case(
            "4.1 an unknown kind of frame",
            &[frame(0x16, 0, 0, &[0; 8]), frame(0x16, 0xff, 7, &[])],
            E::Nothing,
        ),
        case("4.1 unknown flags", &[frame(PING, 0x16, 0, &[1; 8])], E::Frame(PING, vec![1; 8])),
        case(
            "4.1 the reserved bit",
            &[frame(PING, 0, 0x8000_0000, &[2; 8])],
            E::Frame(PING, vec![2; 8]),
        ),
        case(
            "4.1 the reserved bit of a request",
            &[frame(HEADERS, END_HEADERS | END_STREAM, 0x8000_0001, &request(&[]))],
            E::Answer(1, OK),
        ),
        case(
            "4.2 DATA of the largest size",
            &[open(1), frame(DATA, END_STREAM, 1, &[7; FRAME_BYTES_MAX])],
            E::Answer(1, OK),
        ),
        case(
            "4.2 DATA over the largest size",
            &[open(1), frame(DATA, END_STREAM, 1, &[7; FRAME_BYTES_MAX + 1])],
            E::StreamOrConnection(1, FRAME_SIZE_ERROR),
        ),
        case(
            "4.2 HEADERS over the largest size",
            &[with_block(&[request(&[]), vec![0; FRAME_BYTES_MAX]].concat())],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2 an unknown frame over the largest size",
            &[frame(0x16, 0, 0, &[0; FRAME_BYTES_MAX + 1])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2 SETTINGS over the largest size",
            &[frame(SETTINGS, 0, 0, &[0; FRAME_BYTES_MAX + 2])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.3 PRIORITY inside a header block",
            &[begun(), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "4.3 PING inside a header block",
            &[begun(), frame(PING, 0, 0, &MARK)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "4.3 SETTINGS inside a header block",
            &[begun(), frame(SETTINGS, 0, 0, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "4.3 WINDOW_UPDATE inside a header block",
            &[begun(), frame(8, 0, 0, &code(1))],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "4.3 HEADERS of another stream inside a header block",
            &[begun(), whole(3)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "4.3 HEADERS of the same stream inside a header block",
            &[begun(), whole(1)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "4.3 CONTINUATION of another stream",
            &[begun(), frame(CONTINUATION, END_HEADERS, 3, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "5.5 an unknown frame inside a header block",
            &[begun(), frame(0x16, 0, 1, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "5.5 an unknown frame on an open stream",
            &[open(1), frame(0x16, 0, 1, &[0; 4]), frame(DATA, END_STREAM, 1, b"x")],
            E::Answer(1, OK),
        ),
        case(
            "6.1 DATA on stream 0",
            &[frame(DATA, END_STREAM, 0, b"x")],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1 padded DATA",
            &[open(1), frame(DATA, END_STREAM | PADDED, 1, &padded(b"body", 9))],
            E::Answer(1, OK),
        ),
        case(
            "6.1 DATA of padding alone",
            &[open(1), frame(DATA, END_STREAM | PADDED, 1, &padded(b"", 255))],
            E::Answer(1, OK),
        ),
        case(
            "6.1 padding as long as the payload",
            &[open(1), frame(DATA, END_STREAM | PADDED, 1, &[5, 0, 0, 0, 0])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1 padding without its length",
            &[open(1), frame(DATA, END_STREAM | PADDED, 1, &[])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.2 HEADERS on stream 0",
            &[frame(HEADERS, END_HEADERS | END_STREAM, 0, &request(&[]))],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.2 padded HEADERS",
            &[frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &padded(&request(&[]), 20))],
            E::Answer(1, OK),
        ),
        case(
            "6.2 HEADERS with more padding than payload",
            &[frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[9, 0x82])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.2 HEADERS with a priority",
            &[frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &with_priority)],
            E::Answer(1, OK),
        ),
        case(
            "6.2 HEADERS too short for their priority",
            &[frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &[0; 4])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case("6.10 a header block in two pieces", &[in_pieces(1)], E::Answer(1, OK)),
        case("6.10 a header block in many pieces", &[in_pieces(4)], E::Answer(1, OK)),
        case(
            "6.10 a header block in more pieces than it takes",
            &[in_pieces(200)],
            E::Connection(ENHANCE_YOUR_CALM),
        ),
        case(
            "6.10 an empty CONTINUATION",
            &[begun(), frame(CONTINUATION, END_HEADERS, 1, &[])],
            E::Answer(1, OK),
        ),
        case(
            "6.10 CONTINUATION on stream 0",
            &[begun(), frame(CONTINUATION, END_HEADERS, 0, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION behind complete HEADERS",
            &[open(1), frame(CONTINUATION, END_HEADERS, 1, &field("x", b"y"))],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION behind complete HEADERS and the end",
            &[whole(1), frame(CONTINUATION, END_HEADERS, 1, &field("x", b"y"))],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION behind a complete CONTINUATION",
            &[in_pieces(2), frame(CONTINUATION, END_HEADERS, 1, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION behind DATA",
            &[open(1), frame(DATA, 0, 1, b"x"), frame(CONTINUATION, END_HEADERS, 1, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION at the beginning",
            &[frame(CONTINUATION, END_HEADERS, 1, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
    ]
}

#[tokio::test]
async fn frames_and_header_blocks() {
    check(cases()).await;
}
