//! What reads bytes from outside, for the fuzzer. There only when it builds the crate (`--cfg fuzzing`).
#![allow(missing_docs, reason = "not part of the crate")]

pub fn packed_transfers(bytes: &[u8]) {
    drop(crate::grpc::packed::transfers(bytes, usize::MAX));
}
