//! Records of the event store's log: whatever the bytes, an answer; and what was read is written and read as the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lombard_engine::{Codec as _, decode_record};
use lombard_eventstore::EventCodec;
use lombard_log::Record;
use lombard_types::Position;

fuzz_target!(|bytes: &[u8]| {
    let payload = Bytes::copy_from_slice(bytes);
    drop(decode_record(&EventCodec, &Record { position: Position::START, payload }, |_, _| {}));
    let Ok(event) = EventCodec.decode(bytes) else { return };
    let mut written = Vec::new();
    EventCodec.encode(&event, &mut written);
    assert_eq!(EventCodec.decode(&written), Ok(event));
});
