//! RFC 9113 sections 6.5, 6.7, 6.8 and 6.9: what is said of the connection, and flow control.

use super::{Case, Expected as E, case, check, open, whole, *};
use crate::frames::WINDOW_UPDATE;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

const WINDOW_MAX: u32 = 0x7fff_ffff;

fn setting(name: u16, value: u32) -> Vec<u8> {
    settings(&[(name, value)])
}

fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let one = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &all.iter().flat_map(one).collect::<Vec<u8>>())
}

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &code(increment))
}

fn body(bytes: usize) -> Vec<u8> {
    frame(DATA, END_STREAM, 1, &vec![b'x'; bytes])
}

fn of_settings() -> Vec<Case> {
    vec![
        case(
            "6.5 SETTINGS are acknowledged",
            &[setting(MAX_CONCURRENT_STREAMS, 9)],
            E::Frame(SETTINGS, vec![]),
        ),
        case(
            "6.5 ACK with a payload",
            &[frame(SETTINGS, ACK, 0, &[0; 6])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.5 ACK of what was not sent",
            &[frame(SETTINGS, ACK, 0, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.5 SETTINGS on a stream",
            &[frame(SETTINGS, 0, 1, &[])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.5 SETTINGS of a length that is none",
            &[frame(SETTINGS, 0, 0, &[0, 3, 0])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case("6.5.2 ENABLE_PUSH of 2", &[setting(ENABLE_PUSH, 2)], E::Connection(PROTOCOL_ERROR)),
        case("6.5.2 ENABLE_PUSH of 0", &[setting(ENABLE_PUSH, 0)], E::Nothing),
        case("6.5.2 ENABLE_PUSH of 1", &[setting(ENABLE_PUSH, 1)], E::Nothing),
        case(
            "6.5.2 INITIAL_WINDOW_SIZE over 2^31-1",
            &[setting(INITIAL_WINDOW_SIZE, WINDOW_MAX + 1)],
            E::Connection(FLOW_CONTROL_ERROR),
        ),
        case(
            "6.5.2 INITIAL_WINDOW_SIZE of 2^31-1",
            &[setting(INITIAL_WINDOW_SIZE, WINDOW_MAX)],
            E::Nothing,
        ),
        case(
            "6.5.2 MAX_FRAME_SIZE below 2^14",
            &[setting(MAX_FRAME_SIZE, 16_383)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.5.2 MAX_FRAME_SIZE over 2^24-1",
            &[setting(MAX_FRAME_SIZE, 1 << 24)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.5.2 MAX_FRAME_SIZE of 2^24-1",
            &[setting(MAX_FRAME_SIZE, (1 << 24) - 1)],
            E::Nothing,
        ),
        case("6.5.2 a setting that is unknown", &[setting(0xff, 1), whole(1)], E::Answer(1, OK)),
        case(
            "6.5.2 MAX_CONCURRENT_STREAMS of 0 is about what the server opens",
            &[setting(MAX_CONCURRENT_STREAMS, 0), whole(1)],
            E::Answer(1, OK),
        ),
        case(
            "6.5.2 MAX_HEADER_LIST_SIZE is advice",
            &[setting(MAX_HEADER_LIST_SIZE, 1 << 20), whole(1)],
            E::Answer(1, OK),
        ),
        case(
            "6.5.3 the last of several values counts",
            &[settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 3)]), open(1), body(10)],
            E::Window(1, 3),
        ),
        case(
            "8441 ENABLE_CONNECT_PROTOCOL of 2",
            &[setting(ENABLE_CONNECT_PROTOCOL, 2)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "7541 4.2 a smaller header table",
            &[setting(HEADER_TABLE_SIZE, 0), whole(1)],
            E::Answer(1, 0x20),
        ),
    ]
}

fn of_pings_and_goaway() -> Vec<Case> {
    vec![
        case(
            "6.7 PING is answered with what is in it",
            &[frame(PING, 0, 0, &[3; 8])],
            E::Frame(PING, vec![3; 8]),
        ),
        case("6.7 ACK is not answered", &[frame(PING, ACK, 0, &[4; 8])], E::Nothing),
        case("6.7 PING on a stream", &[frame(PING, 0, 1, &[0; 8])], E::Connection(PROTOCOL_ERROR)),
        case("6.7 PING of 6 bytes", &[frame(PING, 0, 0, &[0; 6])], E::Connection(FRAME_SIZE_ERROR)),
        case("6.7 PING of 9 bytes", &[frame(PING, 0, 0, &[0; 9])], E::Connection(FRAME_SIZE_ERROR)),
        case(
            "6.8 GOAWAY on a stream",
            &[frame(GOAWAY, 0, 1, &[0; 8])],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.8 GOAWAY of 4 bytes",
            &[frame(GOAWAY, 0, 0, &[0; 4])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.8 after GOAWAY the connection is closed without an error",
            &[frame(GOAWAY, 0, 0, &[0; 8])],
            E::Connection(NO_ERROR),
        ),
        case(
            "7 an unknown code in GOAWAY",
            &[frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff])],
            E::Connection(NO_ERROR),
        ),
        case(
            "7 an unknown code in RST_STREAM",
            &[open(1), frame(RST_STREAM, 0, 1, &code(0xff)), whole(3)],
            E::Answer(3, OK),
        ),
    ]
}

fn of_flow_control() -> Vec<Case> {
    vec![
        case("6.9 WINDOW_UPDATE of 0", &[window_update(0, 0)], E::Connection(PROTOCOL_ERROR)),
        case(
            "6.9 WINDOW_UPDATE of 0 on a stream",
            &[open(1), window_update(1, 0)],
            E::StreamOrConnection(1, PROTOCOL_ERROR),
        ),
        case(
            "6.9 WINDOW_UPDATE of 3 bytes",
            &[frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.9 WINDOW_UPDATE of 5 bytes on a stream",
            &[open(1), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 0, 1])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case("6.9 the reserved bit of an increment", &[window_update(0, 0x8000_0001)], E::Nothing),
        case(
            "6.9.1 the window of a stream is kept",
            &[setting(INITIAL_WINDOW_SIZE, 1), open(1), body(9)],
            E::Window(1, 1),
        ),
        case(
            "6.9.1 the window of the connection over 2^31-1",
            &[window_update(0, WINDOW_MAX), window_update(0, WINDOW_MAX)],
            E::Connection(FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.1 the window of a stream over 2^31-1",
            &[open(1), window_update(1, WINDOW_MAX), window_update(1, WINDOW_MAX)],
            E::Stream(1, FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.2 a window that is opened later",
            &[setting(INITIAL_WINDOW_SIZE, 0), open(1), body(5), setting(INITIAL_WINDOW_SIZE, 2)],
            E::Window(1, 2),
        ),
        case(
            "6.9.2 a window below zero",
            &[setting(INITIAL_WINDOW_SIZE, 3), open(1), body(9)],
            E::Window(1, 3),
        )
        .after_bytes(1, 3, &[setting(INITIAL_WINDOW_SIZE, 1), window_update(1, 2)]),
        case(
            "6.9.2 a window below zero that is opened again",
            &[setting(INITIAL_WINDOW_SIZE, 3), open(1), body(9)],
            E::Window(1, 5),
        )
        .after_bytes(1, 3, &[setting(INITIAL_WINDOW_SIZE, 1), window_update(1, 4)])
        .after_bytes(1, 5, &[]),
        case(
            "6.9.2 a setting that makes a window overflow",
            &[open(1), window_update(1, WINDOW_MAX - 65_535), setting(INITIAL_WINDOW_SIZE, 65_536)],
            E::Connection(FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9 DATA over the window of a stream",
            &[too_much()],
            E::StreamOrConnection(1, FLOW_CONTROL_ERROR),
        ),
    ]
}

/// More than all windows and buffers on the way to an upstream that does not read.
fn too_much() -> Vec<u8> {
    let begun = request(&[(":path", "/stalled")]);
    let data = frame(DATA, 0, 1, &[b'x'; 16_384]).repeat(1024);
    [frame(HEADERS, END_HEADERS, 1, &begun), data].concat()
}

#[tokio::test]
async fn settings_and_their_values() {
    check(of_settings()).await;
}

#[tokio::test]
async fn pings_and_goaway() {
    check(of_pings_and_goaway()).await;
}

#[tokio::test]
async fn flow_control() {
    check(of_flow_control()).await;
}
