//! Any bytes as a question by DNS: what is answered can be read, has the id of the question and fits.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| lombard_registry::fuzzing::dns(message));
