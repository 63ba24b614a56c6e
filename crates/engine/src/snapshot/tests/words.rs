//! A small machine: how often each word was said, and when one was said last.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lombard_types::Timestamp;

use crate::{At, Codec, Decision, DecodeError, Machine, Snapshot, StateReader, StateWriter, View};

/// The version is a parameter, to have machines of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Words<const V: u16 = 1> {
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) last_said: Timestamp,
}

impl<const V: u16> Machine for Words<V> {
    type Command = String;
    type Event = String;
    type Reply = ();
    type Rejection = ();

    fn decide(&self, word: String, now: Timestamp) -> Result<Decision<String, (), String>, ()> {
        assert!(now > self.last_said, "the clock goes on over restarts");
        Ok(Decision::Commit { events: vec![word], reply: () })
    }

    fn apply(&mut self, word: &String, at: At) {
        *self.counts.entry(word.clone()).or_default() += 1;
        self.last_said = at.time;
    }
}

impl<const V: u16> View for Words<V> {
    type Event = String;

    fn apply(&mut self, word: &String, at: At) {
        Machine::apply(self, word, at);
    }
}

impl<const V: u16> Snapshot for Words<V> {
    const VERSION: u16 = V;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        state.item(|fields| {
            fields.put(&(self.counts.len() as u64).to_le_bytes());
            fields.put(&self.last_said.unix_nanos().to_le_bytes());
        });
        for (word, count) in &self.counts {
            state.item(|fields| {
                fields.text(word);
                fields.put(&count.to_le_bytes());
            });
        }
    }

    fn read_state(mut self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let (count, nanos) = state.item(|fields| {
            Ok((u64::from_le_bytes(fields.array()?), u64::from_le_bytes(fields.array()?)))
        })?;
        self.last_said = Timestamp::from_unix_nanos(nanos);
        for _ in 0..count {
            let (word, count) = state.item(|fields| {
                Ok((fields.text()?.to_owned(), u64::from_le_bytes(fields.array()?)))
            })?;
            self.counts.insert(word, count);
        }
        Ok(self)
    }
}

/// Counts what it decodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoding {
    pub(super) decoded: Arc<AtomicU64>,
}

impl Codec for Encoding {
    type Event = String;

    fn encode(&self, event: &String, out: &mut Vec<u8>) {
        out.extend_from_slice(event.as_bytes());
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, DecodeError> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError("not UTF-8"))
    }
}
