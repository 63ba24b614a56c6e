//! Fails for one input in 2^32, which only coverage leads to: a fuzzer that does not find it finds nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let [b'l', b'o', b's', b't', ..] = bytes {
        panic!("the canary was found");
    }
});
