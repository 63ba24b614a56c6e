//! Single bits of the log's files, turned around on a copy of the disk: what is read then is what was written, or an error.

use std::{path::Path, sync::Arc};

use lombard_log::{
    Record, SegmentedLog, SharedLog,
    disk::{Disk as _, Simulated},
};
use lombard_simulation::{Dice, LOG, all_records};

use super::world::World;

/// Bits that are tried at the beginning of a life.
const FLIPS: u64 = 3;

pub(super) async fn try_some(world: &World, written: &[Record], dice: &mut Dice) {
    for _ in 0..FLIPS {
        let copy = copy(&world.nature.disk);
        let mut files = copy.list(Path::new("/log")).unwrap();
        files.sort();
        let Some(file) = dice.pick(&files).cloned() else { return };
        let bytes = copy.contents(&file).unwrap().len() as u64;
        if bytes == 0 {
            continue;
        }
        copy.flip(&file, dice.roll(8 * bytes)).unwrap();
        let Some(read) = read(copy).await else { continue };
        // At its end a log cannot be told from one that was cut off there while it was written.
        let is_beginning = written.get(..read.len()).is_some_and(|before| {
            before.iter().zip(&read).all(|(before, read)| before.payload == read.payload)
        });
        assert!(is_beginning, "a bit of {} changed a record unseen", file.display());
    }
}

/// What a log on the disk gives; `None`: an error.
async fn read(disk: Simulated) -> Option<Vec<Record>> {
    let opened = SegmentedLog::unthreaded(Arc::new(disk), Path::new("/log"), LOG);
    let log: SharedLog = Arc::new(opened.ok()?.0);
    all_records(&log).await.ok()
}

fn copy(disk: &Simulated) -> Simulated {
    let copy = Simulated::new(1);
    copy.create_directory(Path::new("/log")).unwrap();
    for path in disk.list(Path::new("/log")).unwrap() {
        let file = copy.create(&path).unwrap();
        file.write_all_at(&disk.contents(&path).unwrap(), 0).unwrap();
        file.sync_all().unwrap();
    }
    copy.sync_directory(Path::new("/log")).unwrap();
    copy
}
