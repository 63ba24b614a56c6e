//! The manifest: which files make up the index, and where in the log they stand. Replaced as a whole.
//!
//! ```text
//!  lombard-index 1
//!  position 1234            everything before this record of the log is in the files
//!  mark 1774000000          what the owner knows the log by at that position
//!  next 17                  the number of the next file
//!  map ids 16 6 16 3 9 12   name, bytes of a key, of a value, what the filter is over, then the runs, oldest first
//!  crc 1a2b3c4d             CRC32C of all lines before
//! ```

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use lombard_types::Position;

const FILE: &str = "manifest";
const TEMPORARY: &str = "manifest.new";
const VERSION: &str = "lombard-index 1";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) position: Position,
    pub(crate) mark: u64,
    pub(crate) next: u64,
    pub(crate) maps: Vec<MapEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapEntry {
    pub(crate) name: String,
    pub(crate) key_bytes: usize,
    pub(crate) value_bytes: usize,
    pub(crate) filter_on: usize,
    /// Oldest first.
    pub(crate) runs: Vec<u64>,
}

impl Manifest {
    /// The manifest of a directory; `None` where there is none yet.
    pub(crate) fn read(directory: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(directory.join(FILE)) {
            Ok(text) => Self::parse(&text).map(Some).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "the manifest is damaged")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the manifest. After a crash there is the one before or this one.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join(TEMPORARY);
        let mut file = File::create(&temporary)?;
        file.write_all(self.format().as_bytes())?;
        file.sync_all()?;
        // The files that it names must be found after a crash, too.
        File::open(directory)?.sync_all()?;
        fs::rename(&temporary, directory.join(FILE))?;
        File::open(directory)?.sync_all()
    }

    /// Whether a file of the directory belongs to the index.
    pub(crate) fn names(&self, file: &str) -> bool {
        file == FILE
            || self.maps.iter().any(|map| {
                map.runs.iter().any(|number| crate::map::file_name(&map.name, *number) == file)
            })
    }

    fn format(&self) -> String {
        let mut text = format!(
            "{VERSION}\nposition {}\nmark {}\nnext {}\n",
            self.position, self.mark, self.next
        );
        for MapEntry { name, key_bytes, value_bytes, filter_on, runs } in &self.maps {
            text.push_str(&format!("map {name} {key_bytes} {value_bytes} {filter_on}"));
            runs.iter().for_each(|number| text.push_str(&format!(" {number}")));
            text.push('\n');
        }
        let crc = crc32c::crc32c(text.as_bytes());
        text.push_str(&format!("crc {crc:08x}\n"));
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let (content, crc) = text.strip_suffix('\n')?.rsplit_once("crc ")?;
        if format!("{:08x}", crc32c::crc32c(content.as_bytes())) != crc {
            return None;
        }
        let mut lines = content.lines();
        (lines.next()? == VERSION).then_some(())?;
        let position = lines.next()?.strip_prefix("position ")?.parse().ok()?;
        let mark = lines.next()?.strip_prefix("mark ")?.parse().ok()?;
        let next = lines.next()?.strip_prefix("next ")?.parse().ok()?;
        let maps = lines.map(parse_map).collect::<Option<_>>()?;
        Some(Self { position, mark, next, maps })
    }
}

fn parse_map(line: &str) -> Option<MapEntry> {
    let mut words = line.strip_prefix("map ")?.split(' ');
    let name = words.next()?.to_owned();
    let mut size = || words.next()?.parse().ok();
    let (key_bytes, value_bytes, filter_on) = (size()?, size()?, size()?);
    let runs = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    Some(MapEntry { name, key_bytes, value_bytes, filter_on, runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written_and_no_byte_may_change() {
        let manifest = Manifest {
            position: Position::new(1234),
            mark: 99,
            next: 17,
            maps: vec![
                MapEntry {
                    name: "ids".into(),
                    key_bytes: 16,
                    value_bytes: 6,
                    filter_on: 16,
                    runs: vec![3, 9],
                },
                MapEntry {
                    name: "names".into(),
                    key_bytes: 48,
                    value_bytes: 6,
                    filter_on: 0,
                    runs: vec![],
                },
            ],
        };
        let text = manifest.format();
        assert_eq!(
            text,
            "lombard-index 1\nposition 1234\nmark 99\nnext 17\nmap ids 16 6 16 3 9\nmap names 48 6 0\n\
             crc c7f80b8e\n"
        );
        assert_eq!(Manifest::parse(&text), Some(manifest));
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            let damaged = String::from_utf8_lossy(&damaged).into_owned();
            assert_eq!(Manifest::parse(&damaged), None, "{damaged}");
        }
    }
}
