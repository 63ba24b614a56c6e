//! CloudEvents as clients send them: the first byte chooses between one event and a batch.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'[', ..] => lombard_eventstore::fuzzing::cloud_events_batch(bytes),
        _ => lombard_eventstore::fuzzing::cloud_event(bytes),
    }
});
