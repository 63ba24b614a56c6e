//! Durations as Go writes them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| lombard_registry::fuzzing::go_duration(text));
