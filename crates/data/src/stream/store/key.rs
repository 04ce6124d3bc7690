//! What encoded rows depend on.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{DataError, Encoder, Part, Source, Split};

/// Files up to this size are looked at whole.
const WHOLE: u64 = 64 << 20;
/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;
/// Bytes of a larger file that are looked at in each place.
const SAMPLE: u64 = 1 << 16;
/// Places of a larger file that are looked at, the first and the last bytes among them.
const PLACES: u64 = 16;
/// Letters of a data file's name that a file of its rows has in its own.
const STEM: usize = 60;

/// All that encoded rows depend on, as the text that stands in their file.
#[derive(Debug)]
pub(in crate::stream) struct Key {
    facts: Facts,
    text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Facts {
    /// The program's version, since another one might encode otherwise.
    hinet: String,
    /// xxh3 of the encoder's rules.
    encoder: u64,
    split: Option<(Split, Part)>,
    files: Vec<FileFacts>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FileFacts {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970, as far as the system knows.
    modified: Option<u64>,
    /// Where the system has them: when the file was changed, which programs cannot set back, in seconds and nanoseconds; its number.
    unix: Option<(i64, i64, u64)>,
    /// xxh3 of its bytes, of a large file of some.
    xxh3: u64,
}

impl Key {
    pub(in crate::stream) fn of(source: &Source, encoder: &Encoder) -> Result<Key, DataError> {
        let file = |path: &PathBuf| FileFacts::of(path).map_err(|error| DataError::io("read", path, error));
        let facts = Facts {
            hinet: env!("CARGO_PKG_VERSION").to_owned(),
            encoder: xxh3_64(encoder.rules().as_bytes()),
            split: source.part().map(|(split, part)| (split.clone(), part)),
            files: source.files().iter().map(file).collect::<Result<_, _>>()?,
        };
        let text = serde_json::to_string(&facts).expect("plain values with texts as keys");
        Ok(Key { facts, text })
    }

    pub(in crate::stream) fn text(&self) -> &str {
        &self.text
    }

    /// The name of the file for these rows and no others.
    pub(in crate::stream) fn file_name(&self) -> String {
        let first = self.facts.files.first().and_then(|file| file.path.file_stem());
        let stem = first.map_or("rows".into(), |stem| stem.to_string_lossy());
        let stem: String = stem.chars().take(STEM).collect();
        format!("{stem}-{:016x}.rows", xxh3_64(self.text.as_bytes()))
    }

    /// Whether the key with this text is of data files that are not any more what they were.
    pub(super) fn outdates(&self, other: &[u8]) -> bool {
        let Ok(other) = serde_json::from_slice::<Facts>(other) else { return false };
        let changed = |file: &FileFacts| other.files.iter().any(|was| was.path == file.path && was != file);
        self.facts.files.iter().any(changed)
    }
}

impl FileFacts {
    fn of(path: &Path) -> io::Result<FileFacts> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = since.and_then(|since| u64::try_from(since.as_nanos()).ok());
        let xxh3 = content(file, found.len())?;
        Ok(FileFacts { path: path.to_owned(), bytes: found.len(), modified, unix: unix(&found), xxh3 })
    }
}

#[cfg(unix)]
fn unix(found: &Metadata) -> Option<(i64, i64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((found.ctime(), found.ctime_nsec(), found.ino()))
}

#[cfg(not(unix))]
fn unix(_: &Metadata) -> Option<(i64, i64, u64)> {
    None
}

/// xxh3 of a file: of all its bytes, or of some of a large one, spread evenly.
fn content(mut file: File, length: u64) -> io::Result<u64> {
    let mut hasher = Xxh3::new();
    let mut bytes = Vec::new();
    let mut add = |at: u64, count: u64| {
        bytes.clear();
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take(count).read_to_end(&mut bytes)?;
        hasher.update(&bytes);
        Ok::<(), io::Error>(())
    };
    if length <= WHOLE {
        (0..length).step_by(PIECE as usize).try_for_each(|at| add(at, PIECE))?;
    } else {
        (0..PLACES - 1).try_for_each(|place| add((length - SAMPLE) / (PLACES - 1) * place, SAMPLE))?;
        add(length - SAMPLE, SAMPLE)?;
    }
    Ok(hasher.digest())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What is known of a file before and after a byte of it is changed in place and its time is set back.
    fn around_a_change(length: u64, at: u64) -> [FileFacts; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = File::create(&path).unwrap();
        file.set_len(length).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        let before = FileFacts::of(&path).unwrap();
        // Clocks of files tick some hundred times a second.
        std::thread::sleep(std::time::Duration::from_millis(30));
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(b"x").unwrap();
        file.set_modified(time).unwrap();
        let after = FileFacts::of(&path).unwrap();
        assert_eq!((before.bytes, before.modified), (after.bytes, after.modified));
        [before, after]
    }

    #[test]
    fn every_byte_of_a_file_that_is_not_large_counts() {
        for (length, at) in [(1, 0), (2 << 20, (1 << 20) + 7), (WHOLE, WHOLE - 1)] {
            let [before, after] = around_a_change(length, at);
            assert_ne!(before.xxh3, after.xxh3, "byte {at} of {length}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_large_file_that_is_changed_between_the_places_looked_at_has_another_time() {
        let [before, after] = around_a_change(WHOLE + 1, SAMPLE + 1);
        assert_eq!(before.xxh3, after.xxh3);
        assert_ne!(before, after);
    }
}
