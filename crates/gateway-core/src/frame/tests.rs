use proptest::prelude::*;

use super::{FrameError as E, *};

const HEAD_BYTES_MAX: usize = 8192;
/// A block of one field, `accept-encoding`.
const FIELD: u8 = 0x90;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[high, middle, low, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

fn of_length(kind: u8, length: usize) -> Vec<u8> {
    frame(kind, if kind == HEADERS { END_HEADERS } else { 0 }, 1, &vec![FIELD; length])
}

fn begun() -> FrameGate {
    let mut gate = FrameGate::new(Duration::ZERO, HEAD_BYTES_MAX);
    gate.read(PREFACE, Duration::ZERO).unwrap();
    gate.read(&frame(SETTINGS, 0, 0, &[]), Duration::ZERO).unwrap();
    gate
}

/// Streams count up, so that no frame but its kind is in question.
fn survives(frames: &[(u8, usize)], each: Duration) -> bool {
    let mut gate = begun();
    let (mut now, mut stream) = (Duration::ZERO, 1);
    frames.iter().all(|(kind, length)| {
        now += each;
        if *kind == HEADERS {
            stream += 2;
        }
        let flags = if *kind == HEADERS { END_HEADERS } else { 0 };
        gate.read(&frame(*kind, flags, stream, &vec![FIELD; *length]), now).is_ok()
    })
}

#[test]
fn floods_end_and_work_goes_on() {
    let many = |kind, length| {
        let mut frames = vec![(HEADERS, 9)];
        frames.extend(vec![(kind, length); 20_000]);
        frames
    };
    for (kind, length) in [
        (PING, 8),
        (SETTINGS, 0),
        (SETTINGS, 6),
        (PRIORITY, 5),
        (DATA, 0),
        (0xfa, 100),
        (WINDOW_UPDATE, 4),
    ] {
        assert!(!survives(&many(kind, length), Duration::ZERO), "{kind}");
        assert!(survives(&many(kind, length), Duration::from_secs(1)), "{kind}");
    }
    assert!(survives(&many(DATA, 100), Duration::ZERO));
    assert!(survives(&many(HEADERS, 100), Duration::ZERO));
    let work: Vec<_> = (0..20_000)
        .map(|number| if number % 10 == 0 { (HEADERS, 4) } else { (WINDOW_UPDATE, 4) })
        .collect();
    assert!(survives(&work, Duration::ZERO));
}

#[test]
fn the_first_frame_is_settings() {
    for first in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, ACK, 0, &[])] {
        let mut gate = FrameGate::new(Duration::ZERO, HEAD_BYTES_MAX);
        let bytes = [PREFACE, &first].concat();
        let refusal = FrameRefusal { bytes_before: PREFACE.len(), error: E::Protocol };
        assert_eq!(gate.read(&bytes, Duration::ZERO), Err(refusal));
    }
}

#[test]
fn what_ends_a_connection() {
    let head = |stream, flags| frame(HEADERS, END_HEADERS | flags, stream, &[FIELD]);
    let data = |stream, flags| frame(DATA, flags, stream, b"x");
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0; 4]);
    let window = |value: u32| {
        frame(
            SETTINGS,
            0,
            0,
            &[&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &value.to_be_bytes()].concat(),
        )
    };
    let cases = [
        ("PING", vec![frame(PING, 0, 0, &[0; 7])], Some(E::FrameSize)),
        ("GOAWAY", vec![frame(GOAWAY, 0, 0, &[0; 7])], Some(E::FrameSize)),
        ("RST_STREAM", vec![head(1, 0), frame(RST_STREAM, 0, 1, &[0; 5])], Some(E::FrameSize)),
        ("PRIORITY", vec![frame(PRIORITY, 0, 1, &[0; 4])], Some(E::FrameSize)),
        ("WINDOW_UPDATE", vec![frame(WINDOW_UPDATE, 0, 0, &[0; 3])], Some(E::FrameSize)),
        ("SETTINGS", vec![frame(SETTINGS, 0, 0, &[0; 7])], Some(E::FrameSize)),
        ("ACK", vec![frame(SETTINGS, ACK, 0, &[0; 6])], Some(E::FrameSize)),
        ("padded DATA", vec![head(1, 0), frame(DATA, PADDED, 1, &[])], Some(E::FrameSize)),
        ("HEADERS", vec![frame(HEADERS, PADDED | WITH_PRIORITY, 1, &[0; 5])], Some(E::FrameSize)),
        ("window", vec![window(1 << 31)], Some(E::FlowControl)),
        ("largest window", vec![window((1 << 31) - 1)], None),
        ("trailers", vec![head(1, 0), data(1, 0), head(1, END_STREAM)], None),
        (
            "DATA after the end",
            vec![head(1, 0), data(1, END_STREAM), data(1, 0)],
            Some(E::StreamClosed),
        ),
        (
            "HEADERS after the end",
            vec![head(1, END_STREAM), head(1, END_STREAM)],
            Some(E::StreamClosed),
        ),
        ("DATA after a reset", vec![head(1, 0), reset(1), data(1, 0)], Some(E::StreamClosed)),
        ("HEADERS on a number left out", vec![head(5, END_STREAM), head(3, 0)], Some(E::Protocol)),
        (
            "HEADERS on one long ago",
            vec![head(1, END_STREAM), head(999, END_STREAM), head(1, 0)],
            Some(E::StreamClosed),
        ),
        ("an even number", vec![head(2, 0)], Some(E::Protocol)),
        ("stream 0", vec![data(0, 0)], Some(E::Protocol)),
        ("several open", vec![head(1, 0), head(3, 0), data(1, END_STREAM), data(3, 0)], None),
        ("CONTINUATION alone", vec![frame(CONTINUATION, 0, 1, &[])], Some(E::Protocol)),
        (
            "a block in pieces",
            vec![
                frame(HEADERS, 0, 1, &[]),
                frame(CONTINUATION, 0, 1, &[]),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
                head(3, 0),
            ],
            None,
        ),
        (
            "a field in pieces",
            vec![
                frame(HEADERS, PADDED | WITH_PRIORITY, 1, b"\x01\0\0\0\0\0\0\x01x\x05va\0"),
                frame(CONTINUATION, END_HEADERS, 1, b"lue"),
                head(3, 0),
            ],
            None,
        ),
        (
            "a block that ends early",
            vec![frame(HEADERS, END_HEADERS, 1, &[0, 1])],
            Some(E::Compression),
        ),
        (
            "one in pieces",
            vec![frame(HEADERS, 0, 1, &[0, 1]), frame(CONTINUATION, END_HEADERS, 1, &[])],
            Some(E::Compression),
        ),
        (
            "padding over the frame",
            vec![frame(HEADERS, END_HEADERS | PADDED, 1, &[2, FIELD])],
            Some(E::Protocol),
        ),
        (
            "a pseudo-header in trailers",
            vec![head(1, 0), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82])],
            Some(E::Malformed),
        ),
        (
            "a block without end",
            vec![
                frame(HEADERS, 0, 1, &[FIELD; HEAD_BYTES_MAX]),
                frame(CONTINUATION, 0, 1, &[FIELD; HEAD_BYTES_MAX + 1]),
            ],
            Some(E::Flood),
        ),
        (
            "something inside a block",
            vec![frame(HEADERS, 0, 1, &[]), frame(0xfa, 0, 1, &[])],
            Some(E::Protocol),
        ),
        (
            "another stream's CONTINUATION",
            vec![frame(HEADERS, 0, 1, &[]), frame(CONTINUATION, END_HEADERS, 3, &[])],
            Some(E::Protocol),
        ),
    ];
    for (name, frames, error) in cases {
        let before: usize = frames.iter().rev().skip(1).map(Vec::len).sum();
        let refusal = error.map(|error| FrameRefusal { bytes_before: before, error });
        assert_eq!(begun().read(&frames.concat(), Duration::ZERO).err(), refusal, "{name}");
    }
}

#[test]
fn memory_of_streams_is_bounded() {
    let mut gate = begun();
    for number in 0..10_000 {
        let head = frame(HEADERS, END_HEADERS, 2 * number + 1, &[FIELD]);
        gate.read(&head, Duration::ZERO).unwrap();
    }
    // The library knows what became of the first one.
    gate.read(&frame(DATA, 0, 1, b"x"), Duration::ZERO).unwrap();
    assert_eq!(gate.last_stream(), 19_999);
}

proptest! {
    /// However the bytes arrive, the judgement is the same, and of the same frame.
    #[test]
    fn the_judgement_does_not_depend_on_packets(
        frames in prop::collection::vec((0..10_u8, 0..40_usize), 0..60),
        cuts in prop::collection::vec(1..50_usize, 1..30),
    ) {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|(kind, length)| of_length(*kind, *length)).collect();
        let mut whole = begun();
        let expected = whole.read(&bytes, Duration::ZERO);
        let mut parts = begun();
        let (mut rest, mut read, mut result) = (bytes.as_slice(), 0, Ok(()));
        for cut in cuts.iter().cycle() {
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            result = parts.read(part, Duration::ZERO);
            if result.is_err() || after.is_empty() {
                break;
            }
            read += part.len();
            rest = after;
        }
        prop_assert_eq!(result.map_err(|refusal| refusal.error), expected.map_err(|refusal| refusal.error));
        if let (Err(whole), Err(part)) = (expected, result) {
            // The frame begins in this part, or before.
            prop_assert!(part.bytes_before == 0 || read + part.bytes_before == whole.bytes_before);
        }
    }
}
