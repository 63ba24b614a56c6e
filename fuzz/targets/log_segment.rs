//! A log whose file was written over: it opens with a beginning of what was appended, or refuses; it never reads what
//! was not appended, and it does not panic.
#![no_main]

use std::{path::Path, sync::Arc};

use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use lombard_log::{
    Batch, Log as _, SegmentedConfig, SegmentedLog,
    disk::{Disk, Simulated},
    segmented::Steps,
};
use lombard_types::Position;

const CONFIG: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 2048,
    segment_bytes_max: 2048,
    record_bytes_max: 512,
    queue_bytes_max: 4096,
};

/// The lengths of the records that are appended, and what is then written over the file that is chosen by its number.
type Input = (Vec<u8>, u8, Vec<(u16, Vec<u8>)>);

fuzz_target!(|input: Input| {
    let (lengths, file, overwrites) = input;
    let disk = Simulated::new(1);
    let payloads: Vec<Vec<u8>> = (0..)
        .zip(lengths.iter().take(24))
        .map(|(fill, length)| vec![fill; usize::from(*length)])
        .collect();
    append(&disk, &payloads);
    let mut files = disk.list(Path::new("/log")).expect("the directory is there");
    files.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    let path = &files[usize::from(file) % files.len()];
    let target = disk.open(path).expect("the file is there");
    for (at, bytes) in overwrites.iter().take(8) {
        let at = u64::from(*at) % 2048;
        let bytes = &bytes[..bytes.len().min(usize::try_from(2048 - at).expect("small"))];
        target.write_all_at(bytes, at).expect("it is memory");
    }
    target.sync_all().expect("it is memory");
    read(&disk, &payloads);
});

fn append(disk: &Simulated, payloads: &[Vec<u8>]) {
    let (log, mut steps) = open(disk).expect("a new log opens");
    for (position, payload) in (0..).map(Position::new).zip(payloads) {
        let mut batch = Batch::new();
        batch.push(payload);
        let room = log.make_room(1024);
        work(&mut steps);
        room.now_or_never().expect("there is room").expect("there is room");
        let appended = log.append(position, batch);
        work(&mut steps);
        appended.now_or_never().expect("it is durable").expect("it is durable");
    }
}

fn read(disk: &Simulated, payloads: &[Vec<u8>]) {
    let Ok((log, _steps)) = open(disk) else { return };
    let mut next = Position::START;
    while let Some(Ok(records)) = log.read(next, 4096).now_or_never() {
        if records.is_empty() {
            break;
        }
        for record in records {
            let index = usize::try_from(record.position.get()).expect("small");
            assert_eq!(record.position, next);
            assert_eq!(payloads.get(index).map(Vec::as_slice), Some(&*record.payload));
            next = next.next();
        }
    }
}

fn open(disk: &Simulated) -> Result<(SegmentedLog, Steps), lombard_log::OpenError> {
    SegmentedLog::unthreaded(Arc::new(disk.clone()), Path::new("/log"), CONFIG)
}

fn work(steps: &mut Steps) {
    while steps.prepare() || steps.write() {}
}
