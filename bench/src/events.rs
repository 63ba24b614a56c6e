//! The events that are appended: 256 bytes of data each, and what a service would say about them.

use std::sync::atomic::{AtomicU64, Ordering};

use lombard_eventstore_core::{Content, Evidence};
use lombard_types::EventId;

/// Data of one event.
pub const EVENT_BYTES: usize = 256;

/// Data of one event, which no two events share: a JSON string.
pub fn data(number: u64) -> String {
    let mut data = format!("\"{number:016x}");
    while data.len() < EVENT_BYTES - 1 {
        // A number that looks random: nothing can be saved by compression.
        let mixed = mix(number ^ (data.len() as u64) << 48);
        data.push_str(&format!("{mixed:016x}"));
    }
    data.truncate(EVENT_BYTES - 1);
    data.push('"');
    data
}

/// The content of an event with [`data`].
pub fn content(number: u64) -> Content {
    const SOURCE: &str = "/payments";
    let data = data(number);
    // As `crates/eventstore/src/codec/content.rs` draws it: version, then parts of a kind, a length and bytes.
    let mut bytes = vec![1, 1, SOURCE.len() as u8];
    bytes.extend_from_slice(SOURCE.as_bytes());
    bytes.extend_from_slice(&[6, (EVENT_BYTES & 0x7f) as u8 | 0x80, (EVENT_BYTES >> 7) as u8]);
    bytes.extend_from_slice(data.as_bytes());
    Content(bytes.into())
}

/// An id as a client makes them: UUIDv7, in order of time.
pub fn event_id() -> EventId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // A million a second since some day in 2025, and never twice.
    let millis = 1_750_000_000_000 + u128::from(number / 1000);
    let random = u128::from(mix(number)) & ((1 << 62) - 1);
    let id = millis << 80 | 0x7 << 76 | u128::from(number % 1000) << 64 | 0b10 << 62 | random;
    EventId::from_u128(id).expect("a UUIDv7")
}

/// Who asked, as it is in a request through the gateway with a trace.
pub fn evidence(number: u64) -> Evidence {
    let (one, other) = (mix(number), mix(!number));
    let uuid = |number: u64| {
        format!(
            "018f{:04x}-0a1b-7{:03x}-8{:03x}-{:012x}",
            number >> 48,
            number >> 36 & 0xfff,
            number >> 24 & 0xfff,
            number & 0xffff_ffff_ffff
        )
    };
    Evidence {
        client_id: "payments".parse().expect("a client id"),
        subject: "payments".into(),
        token_id: uuid(7).into(),
        request_id: uuid(one).parse().expect("a request id"),
        traceparent: Some(format!("00-{one:016x}{other:016x}-{other:016x}-01").into()),
    }
}

/// SplitMix64's finalizer.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
