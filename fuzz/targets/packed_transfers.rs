//! Frames of packed transfers as clients send them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lombard_ledger::fuzzing::packed_transfers(bytes));
