//! The gateway's reading of HTTP/1: the same in one piece as byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_gateway_core::WireGate;

fuzz_target!(|bytes: &[u8]| {
    let whole = WireGate::new(1024).read(bytes);
    let mut gate = WireGate::new(1024);
    let mut pieces = Ok(());
    for byte in bytes.chunks(1) {
        pieces = gate.read(byte);
        if pieces.is_err() {
            break;
        }
    }
    assert_eq!(whole, pieces);
});
