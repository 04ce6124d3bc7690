//! Encoded rows in a file, for later epochs and later runs.
//!
//! | part | holds |
//! | --- | --- |
//! | head | `hinetrow`, the version and the key's length (32 bits each), the key |
//! | blocks | one batch each, as it was encoded |
//! | index | as JSON: the blocks of each chunk of the source with place, bytes and checksum; the counts of all rows |
//! | tail | place and length of the index, xxh3 of head and index (64 bits each), `hinetend` |
//!
//! The key is all that the rows depend on: the encoder, the split, and of each file the name, size, time of change and some of its content. It
//! is written out, so that a file that does not fit can say why. The file is written beside and renamed, so that it is whole or not there.

mod codec;
mod key;

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::key::Key;
use crate::durable::sync_folder;
use crate::{Batch, DataError, EncodeCounts};

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

/// What the file at `path` holds, if its rows are those of `key` and whole to the last byte; else why they are not. Nothing if there is no file.
pub(super) fn check(path: &Path, key: &Key, chunks: usize) -> Option<Result<Index, Why>> {
    match StoredFile::open(path) {
        Ok(mut file) => Some(file.check(key, chunks)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(format!("it cannot be read: {error}"))),
    }
}

/// A file of encoded rows, opened for reading.
#[derive(Debug)]
pub(super) struct StoredFile {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl StoredFile {
    /// Opens rows that were checked before.
    pub(super) fn open(path: &Path) -> io::Result<StoredFile> {
        Ok(StoredFile { file: File::open(path)?, path: path.to_owned(), buffer: Vec::new() })
    }

    /// The rows of a block.
    ///
    /// # Errors
    /// If the file was changed since it was checked.
    pub(super) fn batch(&mut self, block: Block) -> Result<Batch, DataError> {
        let found = self.load(block).map(|()| codec::read(&self.buffer));
        found.ok().flatten().ok_or_else(|| DataError::Format {
            file: self.path.clone(),
            format: "a cache of encoded rows",
            problem: "it was whole when it was opened and has changed since; delete it and start again".to_owned(),
        })
    }

    fn check(&mut self, key: &Key, chunks: usize) -> Result<Index, Why> {
        let damaged = |error: io::Error| format!("it is damaged: {error}");
        let head = self.head(key)?;
        let length = self.file.seek(SeekFrom::End(0)).map_err(damaged)?;
        let tail_at = length.checked_sub(TAIL_BYTES).ok_or("it is cut short")?;
        self.fill(tail_at, TAIL_BYTES).map_err(damaged)?;
        let word = |at: usize| u64::from_le_bytes(self.buffer[at..at + 8].try_into().expect("eight bytes"));
        let (at, bytes, sum) = (word(0), word(8), word(16));
        if self.buffer[24..] != *TAIL || at.checked_add(bytes) != Some(tail_at) {
            return Err("it is cut short".to_owned());
        }
        self.fill(at, bytes).map_err(damaged)?;
        if xxh3_64(&[head.as_slice(), &self.buffer].concat()) != sum {
            return Err("it is damaged: its index has another checksum".to_owned());
        }
        let index: Index = serde_json::from_slice(&self.buffer).map_err(|error| format!("it is damaged: {error}"))?;
        if index.chunks.len() != chunks {
            return Err("it is of files with other parts".to_owned());
        }
        for &block in index.chunks.iter().flatten() {
            self.load(block).map_err(damaged)?;
        }
        Ok(index)
    }

    /// The bytes before the first block, if they are those of `key`.
    fn head(&mut self, key: &Key) -> Result<Vec<u8>, Why> {
        let wanted = head(key);
        let mut start = [0; 16];
        let no_cache = |_| "it is no cache of encoded rows".to_owned();
        self.file.read_exact(&mut start).map_err(no_cache)?;
        let word = |at: usize| u32::from_le_bytes(start[at..at + 4].try_into().expect("four bytes"));
        if start[..8] != *HEAD {
            return Err("it is no cache of encoded rows".to_owned());
        }
        if word(8) != VERSION {
            return Err(format!("it is of version {} and this program writes {VERSION}", word(8)));
        }
        let mut found = Vec::new();
        Read::take(&mut self.file, u64::from(word(12))).read_to_end(&mut found).map_err(no_cache)?;
        if wanted[16..] != *found {
            return Err(key.difference(&found));
        }
        Ok(wanted)
    }

    /// Reads the bytes of a block, and compares their checksum.
    fn load(&mut self, block: Block) -> io::Result<()> {
        self.fill(block.at, block.bytes)?;
        let whole = xxh3_64(&self.buffer) == block.xxh3;
        if whole { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "rows have another checksum")) }
    }

    fn fill(&mut self, at: u64, bytes: u64) -> io::Result<()> {
        self.buffer.clear();
        self.file.seek(SeekFrom::Start(at))?;
        // Not reserved ahead: a damaged index may ask for any number of bytes.
        Read::take(&mut self.file, bytes).read_to_end(&mut self.buffer)?;
        if self.buffer.len() as u64 == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn head(key: &Key) -> Vec<u8> {
    let key = key.text().as_bytes();
    [HEAD, &VERSION.to_le_bytes()[..], &(key.len() as u32).to_le_bytes(), key].concat()
}

/// A file of encoded rows that is being written beside its place. Dropped before [`finish`](Writing::finish) it leaves nothing.
#[derive(Debug)]
pub(super) struct Writing {
    file: Option<BufWriter<File>>,
    beside: PathBuf,
    path: PathBuf,
    head: Vec<u8>,
    at: u64,
    index: Index,
    buffer: Vec<u8>,
}

impl Writing {
    pub(super) fn begin(path: &Path, key: &Key, chunks: usize) -> io::Result<Writing> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Two programs may fill the same cache at once; the last one's stays, and both are the same.
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&beside)?);
        let head = head(key);
        file.write_all(&head)?;
        let index = Index { chunks: vec![Vec::new(); chunks], counts: EncodeCounts::default() };
        let at = head.len() as u64;
        Ok(Writing { file: Some(file), beside, path: path.to_owned(), head, at, index, buffer: Vec::new() })
    }

    /// Adds the next rows of a chunk.
    pub(super) fn add(&mut self, chunk: usize, batch: &Batch, counts: &EncodeCounts) -> io::Result<()> {
        self.buffer.clear();
        codec::write(batch, &mut self.buffer);
        let bytes = self.buffer.len() as u64;
        self.index.chunks[chunk].push(Block { at: self.at, bytes, xxh3: xxh3_64(&self.buffer) });
        self.index.counts.merge(counts);
        self.at += bytes;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(&self.buffer))
    }

    /// Puts the file in its place.
    pub(super) fn finish(mut self) -> io::Result<Index> {
        let index = serde_json::to_vec(&self.index)?;
        let sum = xxh3_64(&[self.head.as_slice(), &index].concat());
        if let Some(mut file) = self.file.take() {
            file.write_all(&index)?;
            for word in [self.at, index.len() as u64, sum] {
                file.write_all(&word.to_le_bytes())?;
            }
            file.write_all(TAIL)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            std::fs::rename(&self.beside, &self.path)?;
            sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(std::mem::take(&mut self.index))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What cannot be removed is overwritten by the next one.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}
