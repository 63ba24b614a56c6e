//! RFC 7541: header blocks that cannot be read, all of them connection errors (RFC 9113 section 4.3).

use super::{Case, Expected as E, case, check, with_block, *};
use crate::frames::field;

/// A good request with these bytes at the end of its header block.
fn behind(name: &'static str, bytes: &[u8]) -> Case {
    let block = [request(&[]), bytes.to_vec()].concat();
    case(name, &[with_block(&block)], E::Connection(COMPRESSION_ERROR))
}

/// The same with these bytes at the beginning.
fn before(name: &'static str, bytes: &[u8], expected: Expected) -> Case {
    let block = [bytes.to_vec(), request(&[])].concat();
    case(name, &[with_block(&block)], expected)
}

fn cases() -> Vec<Case> {
    // The field `x` with a value of Huffman codes.
    let coded = |value: &[u8]| {
        let length = u8::try_from(value.len()).unwrap();
        [&[0, 1, b'x', 0x80 | length], value].concat()
    };
    // Put into the dynamic table by the first request, named by the second: 62 is the first index behind the static table.
    let named = [request(&[]), vec![0x40, 1, b'x', 1, b'y'], vec![0xbe]].concat();
    vec![
        behind("2.3.3 an index behind both tables", &[0xc6]),
        behind("2.3.3 a name's index behind both tables", &[0x0f, 55, 1, b'a']),
        behind("2.3.3 a name's index behind both tables, to be indexed", &[0x7f, 7, 1, b'a']),
        behind(
            "5.1 an integer that is too large",
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ),
        behind("5.1 an integer that ends early", &[0xff]),
        behind("5.2 a string that ends early", &[0, 1, b'x', 9, b'a']),
        behind("5.2 a name that ends early", &[0, 9, b'x']),
        behind("5.2 a field without a value", &[0, 1, b'x']),
        behind("5.2 more than 7 bits of padding", &coded(&[0x1f, 0xff])),
        behind("5.2 padding that is not ones", &coded(&[0x18])),
        behind("5.2 the symbol for the end", &coded(&[0xff, 0xff, 0xff, 0xff])),
        behind("6.1 the index 0", &[0x80]),
        behind("4.2 a table size at the end of a block", &[0x20]),
        before(
            "6.3 a table size over the limit",
            &[0x3f, 0xe2, 0x1f],
            E::Connection(COMPRESSION_ERROR),
        ),
        before("6.3 a table size at the beginning", &[0x20], E::Answer(1, OK)),
        before("6.3 two table sizes at the beginning", &[0x20, 0x3f, 0xe1, 0x1f], E::Answer(1, OK)),
        case(
            "5.2 a value in Huffman codes",
            &[with_block(&[request(&[]), coded(&[0x1f])].concat())],
            E::Answer(1, OK),
        ),
        case(
            "6.2.1 a field that is indexed, and its index",
            &[with_block(&named)],
            E::Answer(1, OK),
        ),
        case(
            "6.2.3 a field that is never indexed",
            &[with_block(&[request(&[]), vec![0x10, 1, b'x', 1, b'y']].concat())],
            E::Answer(1, OK),
        ),
        case(
            "4.3 a block that cannot be read in trailers",
            &[open(1), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xc6])],
            E::Connection(COMPRESSION_ERROR),
        ),
        case(
            "4.3 a block that cannot be read on a stream that was reset",
            &[
                open(1),
                frame(RST_STREAM, 0, 1, &code(8)),
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    3,
                    &[field("x", b"y"), vec![0xc6]].concat(),
                ),
            ],
            E::Connection(COMPRESSION_ERROR),
        ),
    ]
}

#[tokio::test]
async fn header_blocks() {
    check(cases()).await;
}
