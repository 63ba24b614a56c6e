//! What a reader wants to see: `query`, `types` and `tags`, one line each.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.lines().map(|line| (!line.is_empty()).then(|| line.to_owned()));
    let mut next = || lines.next().flatten();
    lombard_eventstore::fuzzing::event_query(next(), next(), next());
});
