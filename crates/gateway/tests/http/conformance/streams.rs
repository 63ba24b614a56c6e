//! RFC 9113 sections 5.1, 5.3, 6.3, 6.4, 6.6 and 8.4: which frames a stream takes in which state.

use super::{Case, Expected as E, case, check, open, whole, *};
use crate::frames::{CONTINUATION, PRIORITY, PUSH_PROMISE, WINDOW_UPDATE, WITH_PRIORITY};

fn data(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, b"x")
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code(8))
}

fn priority(stream: u32, depends_on: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &[&code(depends_on)[..], &[15]].concat())
}

fn window_update(stream: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &code(1))
}

fn continuation(stream: u32) -> Vec<u8> {
    frame(CONTINUATION, END_HEADERS, stream, &[])
}

/// A stream whose end the client has sent, and whose answer waits for the window.
fn half_closed() -> Vec<u8> {
    [frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]), open(1), data(1)].concat()
}

fn of_states() -> Vec<Case> {
    vec![
        case("5.1 idle: DATA", &[data(1)], E::Connection(PROTOCOL_ERROR)),
        case("5.1 idle: RST_STREAM", &[reset(1)], E::Connection(PROTOCOL_ERROR)),
        case("5.1 idle: WINDOW_UPDATE", &[window_update(1)], E::Connection(PROTOCOL_ERROR)),
        case("5.1 idle: CONTINUATION", &[continuation(1)], E::Connection(PROTOCOL_ERROR)),
        case("5.1 idle: PRIORITY", &[priority(1, 0), whole(1)], E::Answer(1, OK)),
        case(
            "5.1 half-closed: DATA",
            &[half_closed(), data(1)],
            E::StreamOrConnection(1, STREAM_CLOSED),
        ),
        case(
            "5.1 half-closed: HEADERS",
            &[half_closed(), whole(1)],
            E::StreamOrConnection(1, STREAM_CLOSED),
        ),
        case(
            "5.1 half-closed: CONTINUATION",
            &[half_closed(), continuation(1)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case("5.1 half-closed: WINDOW_UPDATE", &[half_closed(), window_update(1)], E::Window(1, 1)),
        case("5.1 half-closed: PRIORITY", &[half_closed(), priority(1, 0)], E::Nothing),
        case("5.1 half-closed: RST_STREAM", &[half_closed(), reset(1), whole(3)], E::Answer(3, OK)),
        case(
            "5.1 closed by a reset: DATA",
            &[open(1), reset(1), data(1)],
            E::StreamOrConnection(1, STREAM_CLOSED),
        ),
        case(
            "5.1 closed by a reset: HEADERS",
            &[open(1), reset(1), whole(1)],
            E::StreamOrConnection(1, STREAM_CLOSED),
        ),
        case(
            "5.1 closed by a reset: CONTINUATION",
            &[open(1), reset(1), continuation(1)],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "5.1 closed by a reset: WINDOW_UPDATE",
            &[open(1), reset(1), window_update(1)],
            E::Nothing,
        ),
        case("5.1 closed by a reset: RST_STREAM", &[open(1), reset(1), reset(1)], E::Nothing),
        case("5.1 closed by a reset: PRIORITY", &[open(1), reset(1), priority(1, 0)], E::Nothing),
        case("5.1 closed by its end: DATA", &[whole(1)], E::StreamOrConnection(1, STREAM_CLOSED))
            .after(1, &[data(1)]),
        case(
            "5.1 closed by its end: HEADERS",
            &[whole(1)],
            E::StreamOrConnection(1, STREAM_CLOSED),
        )
        .after(1, &[whole(1)]),
        case("5.1 closed by its end: CONTINUATION", &[whole(1)], E::Connection(PROTOCOL_ERROR))
            .after(1, &[continuation(1)]),
        case("5.1 closed by its end: WINDOW_UPDATE", &[whole(1)], E::Nothing)
            .after(1, &[window_update(1)]),
        case("5.1 closed by its end: RST_STREAM", &[whole(1)], E::Nothing).after(1, &[reset(1)]),
        case("5.1 closed by its end: PRIORITY", &[whole(1)], E::Nothing)
            .after(1, &[priority(1, 0)]),
        case("5.1 the next stream", &[whole(1)], E::Answer(3, OK)).after(1, &[whole(3)]),
    ]
}

fn of_numbers() -> Vec<Case> {
    vec![
        case("5.1.1 an even number", &[whole(2)], E::Connection(PROTOCOL_ERROR)),
        case("5.1.1 a number below the last", &[whole(5)], E::Connection(PROTOCOL_ERROR))
            .after(5, &[whole(3)]),
        case(
            "5.1.1 DATA on a number that was left out",
            &[whole(5)],
            E::Connection(PROTOCOL_ERROR),
        )
        .after(5, &[data(3)]),
        case("5.1.1 numbers may be left out", &[whole(7)], E::Answer(7, OK)),
        case(
            "5.1.2 more streams than are permitted",
            &[(0..140).flat_map(|number| open(2 * number + 1)).collect()],
            E::Stream(279, REFUSED_STREAM),
        ),
    ]
}

fn of_frames() -> Vec<Case> {
    let depends_on_itself = [&code(1)[..], &[15], &request(&[])].concat();
    vec![
        case("6.3 PRIORITY on stream 0", &[priority(0, 1)], E::Connection(PROTOCOL_ERROR)),
        case(
            "6.3 PRIORITY of 4 bytes",
            &[open(1), frame(PRIORITY, 0, 1, &[0; 4])],
            E::StreamOrConnection(1, FRAME_SIZE_ERROR),
        ),
        case(
            "7540 5.3.1 a stream that depends on itself",
            &[frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &depends_on_itself)],
            E::StreamOrConnection(1, PROTOCOL_ERROR),
        ),
        case(
            "7540 5.3.1 PRIORITY of a stream that depends on itself",
            &[open(1), priority(1, 1)],
            E::StreamOrConnection(1, PROTOCOL_ERROR),
        ),
        case(
            "6.3 PRIORITY of streams that are far",
            &[priority(0x7fff_ffff, 0x7fff_fffd), whole(1)],
            E::Answer(1, OK),
        ),
        case("6.4 RST_STREAM on stream 0", &[reset(0)], E::Connection(PROTOCOL_ERROR)),
        case(
            "6.4 RST_STREAM of 3 bytes",
            &[open(1), frame(RST_STREAM, 0, 1, &[0; 3])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.4 RST_STREAM of 5 bytes",
            &[open(1), frame(RST_STREAM, 0, 1, &[0; 5])],
            E::Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "8.4 PUSH_PROMISE of a client",
            &[
                open(1),
                frame(PUSH_PROMISE, END_HEADERS, 1, &[&code(2)[..], &request(&[])].concat()),
            ],
            E::Connection(PROTOCOL_ERROR),
        ),
        case(
            "8.4 PUSH_PROMISE on stream 0",
            &[frame(PUSH_PROMISE, END_HEADERS, 0, &[&code(2)[..], &request(&[])].concat())],
            E::Connection(PROTOCOL_ERROR),
        ),
    ]
}

#[tokio::test]
async fn states_of_streams() {
    check(of_states()).await;
}

#[tokio::test]
async fn numbers_of_streams() {
    check(of_numbers()).await;
}

#[tokio::test]
async fn frames_of_streams() {
    check(of_frames()).await;
}
