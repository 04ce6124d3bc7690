//! What encoded rows depend on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{DataError, Encoder, Part, Source, Split};

/// Bytes of a file that are looked at in each place.
const SAMPLE: u64 = 1 << 16;
/// Places of a file that are looked at, the first and the last bytes among them.
const PLACES: u64 = 16;

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
    /// xxh3 of the encoder as JSON.
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
    /// xxh3 of some of its bytes: a file may be replaced by one of the same size and time.
    xxh3: u64,
}

impl Key {
    pub(in crate::stream) fn of(source: &Source, encoder: &Encoder) -> Result<Key, DataError> {
        let file = |path: &PathBuf| FileFacts::of(path).map_err(|error| DataError::io("read", path, error));
        let facts = Facts {
            hinet: env!("CARGO_PKG_VERSION").to_owned(),
            encoder: xxh3_64(encoder.to_json().as_bytes()),
            split: source.part().map(|(split, part)| (split.clone(), part)),
            files: source.files().iter().map(file).collect::<Result<_, _>>()?,
        };
        let text = serde_json::to_string(&facts).expect("plain values with texts as keys");
        Ok(Key { facts, text })
    }

    pub(in crate::stream) fn text(&self) -> &str {
        &self.text
    }

    /// The name of the file for the rows of these files and this part of them, whatever they hold and however they are encoded: there is one,
    /// and a newer one takes the place of an older.
    pub(in crate::stream) fn file_name(&self) -> String {
        let first = self.facts.files.first().and_then(|file| file.path.file_stem());
        let stem = first.map_or("rows".into(), |stem| stem.to_string_lossy());
        let paths: Vec<&PathBuf> = self.facts.files.iter().map(|file| &file.path).collect();
        let what = serde_json::to_string(&(paths, self.facts.split.as_ref().map(|(_, part)| part)));
        format!("{stem}-{:016x}.rows", xxh3_64(what.expect("paths and a word").as_bytes()))
    }

    /// Why rows of another key are not taken.
    pub(super) fn difference(&self, other: &[u8]) -> String {
        let Ok(other) = serde_json::from_slice::<Facts>(other) else { return "it is damaged".to_owned() };
        let changed = self.facts.files.iter().find(|file| !other.files.contains(file));
        if let Some(file) = changed {
            return format!("`{}` has changed since", file.path.display());
        }
        if self.facts.split != other.split {
            return "the split is another".to_owned();
        }
        if self.facts.encoder != other.encoder {
            return "the encoder is another: other features, labels or options".to_owned();
        }
        format!("hinet {} wrote it and this is {}", other.hinet, self.facts.hinet)
    }
}

impl FileFacts {
    fn of(path: &Path) -> io::Result<FileFacts> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = since.and_then(|since| u64::try_from(since.as_nanos()).ok());
        let xxh3 = sample(file, found.len())?;
        Ok(FileFacts { path: path.to_owned(), bytes: found.len(), modified, xxh3 })
    }
}

/// xxh3 of some bytes of a file, spread evenly; of all bytes of a small one.
fn sample(mut file: File, length: u64) -> io::Result<u64> {
    let mut hasher = Xxh3::new();
    let mut bytes = Vec::new();
    let places = if length <= SAMPLE * PLACES { length.div_ceil(SAMPLE) } else { PLACES };
    let last = length.saturating_sub(SAMPLE);
    for place in 0..places {
        bytes.clear();
        let at = (u128::from(last) * u128::from(place) / u128::from((places - 1).max(1))) as u64;
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take(SAMPLE).read_to_end(&mut bytes)?;
        hasher.update(&bytes);
    }
    Ok(hasher.digest())
}
