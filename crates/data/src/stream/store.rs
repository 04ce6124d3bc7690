//! Encoded rows in a file, for later epochs and later runs.
//!
//! | part | holds |
//! | --- | --- |
//! | head | `hinetrow`, the version and the key's length (32 bits each), the key |
//! | blocks | one batch each, as it was encoded |
//! | index | as JSON: the blocks of each chunk of the source with place, bytes and checksum; the counts of all rows |
//! | tail | place and length of the index, xxh3 of head and index (64 bits each), `hinetend` |
//!
//! The key is all that the rows depend on: the encoder, the split, and of each file the name, size, time of change and content. Its hash is in
//! the file's name, so that runs with other features have files of their own. The file is written beside and renamed, so that it is whole or
//! not there, and stays open for whoever found it whole: what is put in its place, or takes it away, does not touch them.

mod codec;
mod folder;
mod key;
mod writing;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::folder::sweep;
pub(super) use self::key::Key;
pub(super) use self::writing::Writing;
use crate::{Batch, EncodeCounts};

const HEAD: &[u8; 8] = b"hinetrow";
const TAIL: &[u8; 8] = b"hinetend";
const VERSION: u32 = 1;
const TAIL_BYTES: u64 = 32;

/// Where the rows of each chunk are.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    /// Parallel to the source's chunks, in reading order within each.
    pub(super) chunks: Vec<Vec<Block>>,
    pub(super) counts: EncodeCounts,
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Block {
    at: u64,
    bytes: u64,
    xxh3: u64,
}

/// Why a file's rows are not taken.
type Why = String;

/// The file at `path`, if its rows are those of `key` and whole to the last byte; else why they are not. Nothing if there is no file.
pub(super) fn check(path: &Path, key: &Key, chunks: usize) -> Option<Result<StoredFile, Why>> {
    match File::open(path) {
        Ok(file) => Some(Checking { file, buffer: Vec::new() }.run(path, key, chunks)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(format!("it cannot be read: {error}"))),
    }
}

/// A file of encoded rows that was found whole, open for reading.
#[derive(Debug)]
pub(super) struct StoredFile {
    path: PathBuf,
    index: Index,
    /// Epochs that run at the same time share its place.
    file: Mutex<File>,
}

impl StoredFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// The rows of a block; `buffer` is for its bytes. Else why they cannot be had: somebody wrote into the file, or the disk is broken.
    pub(super) fn batch(&self, block: Block, buffer: &mut Vec<u8>) -> Result<Batch, Why> {
        let loaded = load(&mut self.file.lock().unwrap_or_else(PoisonError::into_inner), block, buffer);
        let batch = loaded.map_err(|error| error.to_string())?;
        codec::read(batch).ok_or_else(|| "rows are no rows".to_owned())
    }
}

/// A file that is looked at.
struct Checking {
    file: File,
    buffer: Vec<u8>,
}

impl Checking {
    fn run(mut self, path: &Path, key: &Key, chunks: usize) -> Result<StoredFile, Why> {
        let index = self.index(key, chunks)?;
        folder::used(&self.file);
        Ok(StoredFile { path: path.to_owned(), index, file: Mutex::new(self.file) })
    }

    fn index(&mut self, key: &Key, chunks: usize) -> Result<Index, Why> {
        let damaged = |error: io::Error| format!("it is damaged: {error}");
        let head = self.head(key)?;
        let length = self.file.seek(SeekFrom::End(0)).map_err(damaged)?;
        let tail_at = length.checked_sub(TAIL_BYTES).ok_or("it is cut short")?;
        let tail = fill(&mut self.file, tail_at, TAIL_BYTES, &mut self.buffer).map_err(damaged)?;
        let word = |at: usize| u64::from_le_bytes(tail[at..at + 8].try_into().expect("eight bytes"));
        let (at, bytes, sum) = (word(0), word(8), word(16));
        if tail[24..] != *TAIL || at.checked_add(bytes) != Some(tail_at) {
            return Err("it is cut short".to_owned());
        }
        let json = fill(&mut self.file, at, bytes, &mut self.buffer).map_err(damaged)?;
        if xxh3_64(&[&head, json].concat()) != sum {
            return Err("it is damaged: its index has another checksum".to_owned());
        }
        let index: Index = serde_json::from_slice(json).map_err(|error| format!("it is damaged: {error}"))?;
        if index.chunks.len() != chunks {
            return Err("it is of files with other parts".to_owned());
        }
        for &block in index.chunks.iter().flatten() {
            load(&mut self.file, block, &mut self.buffer).map_err(damaged)?;
        }
        Ok(index)
    }

    /// The bytes before the first block, if they are those of `key`.
    fn head(&mut self, key: &Key) -> Result<Vec<u8>, Why> {
        let no_cache = || "it is no cache of encoded rows".to_owned();
        let (version, found) = read_head(&mut self.file).ok_or_else(no_cache)?;
        if version != VERSION {
            return Err(format!("it is of version {version} and this program writes {VERSION}"));
        }
        if found != key.text().as_bytes() {
            return Err("it is damaged, or of other data, another split or other features".to_owned());
        }
        Ok(head(key))
    }
}

fn head(key: &Key) -> Vec<u8> {
    let key = key.text().as_bytes();
    [HEAD, &VERSION.to_le_bytes()[..], &(key.len() as u32).to_le_bytes(), key].concat()
}

/// Version and key of a file of encoded rows; nothing if it is none.
fn read_head(file: &mut File) -> Option<(u32, Vec<u8>)> {
    let mut start = [0; 16];
    file.read_exact(&mut start).ok()?;
    let word = |at: usize| u32::from_le_bytes(start[at..at + 4].try_into().expect("four bytes"));
    let mut key = Vec::new();
    let read = start[..8] == *HEAD && file.take(u64::from(word(12))).read_to_end(&mut key).is_ok();
    read.then_some((word(8), key))
}

/// The bytes of a block, if they have its checksum.
fn load<'a>(file: &mut File, block: Block, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    let bytes = fill(file, block.at, block.bytes, buffer)?;
    let whole = xxh3_64(bytes) == block.xxh3;
    if whole { Ok(bytes) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "rows have another checksum")) }
}

fn fill<'a>(file: &mut File, at: u64, bytes: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    buffer.clear();
    file.seek(SeekFrom::Start(at))?;
    // Not reserved ahead: a damaged index may ask for any number of bytes.
    file.take(bytes).read_to_end(buffer)?;
    if buffer.len() as u64 == bytes { Ok(buffer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
