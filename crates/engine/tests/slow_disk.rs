//! The engine on a disk that is slow: commands wait for room in the log's queue, none is lost and the engine goes on.

use std::{path::Path, sync::Arc};

use futures_util::future::join_all;
use lombard_engine::{At, Codec, Decision, DecodeError, Engine, Limits, Machine};
use lombard_log::{SegmentedConfig, SegmentedLog, disk::Simulated};
use lombard_types::Timestamp;

/// How many texts there are.
#[derive(Default)]
struct Count(u64);

impl Machine for Count {
    type Command = Vec<u8>;
    type Event = Vec<u8>;
    type Reply = u64;
    type Rejection = ();

    fn decide(
        &self,
        text: Vec<u8>,
        _now: Timestamp,
    ) -> Result<Decision<Vec<u8>, u64, Vec<u8>>, ()> {
        Ok(Decision::Commit { events: vec![text], reply: self.0 })
    }

    fn apply(&mut self, _text: &Vec<u8>, _at: At) {
        self.0 += 1;
    }
}

struct Raw;

impl Codec for Raw {
    type Event = Vec<u8>;

    fn encode(&self, text: &Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(text);
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(bytes.to_vec())
    }
}

#[tokio::test]
async fn more_than_the_queue_of_the_log_takes_waits() {
    let disk = Simulated::new(1);
    let config = SegmentedConfig {
        segment_bytes_min: 64 << 10,
        segment_bytes_max: 64 << 10,
        record_bytes_max: 1000,
        queue_bytes_max: 4000,
    };
    let log = SegmentedLog::open_on(Arc::new(disk.clone()), Path::new("log"), config).unwrap();
    let limits = Limits { record_bytes_max: 1000, group_commands_max: 2, ..Limits::default() };
    let (handle, _engine) =
        Engine::start("test", Arc::new(log), Count::default(), Raw, limits).unwrap();
    disk.hold_syncs(0);
    let submits = join_all((0..100).map(|_| handle.submit(vec![7; 500])));
    let release = async {
        let held = disk.clone();
        tokio::task::spawn_blocking(move || held.wait_until_held()).await.unwrap();
        while handle.log().room_bytes() >= 1040 {
            tokio::task::yield_now().await;
        }
        disk.release_syncs();
    };
    let (answers, ()) = tokio::join!(submits, release);
    for (expected, answer) in (0..).zip(answers) {
        assert_eq!(answer.unwrap().reply, expected);
    }
}
