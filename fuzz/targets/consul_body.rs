//! What clients of Consul and Eureka register.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| lombard_registry::fuzzing::registration_body(body));
