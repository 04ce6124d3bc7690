//! A file of encoded rows on its way to its place.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use xxhash_rust::xxh3::xxh3_64;

use super::{Block, Index, Key, StoredFile, TAIL, codec, folder, head};
use crate::durable::sync_folder;
use crate::{Batch, EncodeCounts};

/// A file of encoded rows that is being written beside its place. Dropped before [`finish`](Writing::finish) is done it leaves nothing.
#[derive(Debug)]
pub(in crate::stream) struct Writing {
    // Dropped first: it may still have bytes to write.
    file: BufWriter<File>,
    beside: Beside,
    path: PathBuf,
    key: Arc<Key>,
    at: u64,
    index: Index,
    buffer: Vec<u8>,
}

/// A file that is taken away again unless it is put in its place.
#[derive(Debug)]
struct Beside(Option<PathBuf>);

impl Writing {
    pub(in crate::stream) fn begin(path: &Path, key: &Arc<Key>, chunks: usize) -> io::Result<Writing> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let (file, beside) = Beside::create(path)?;
        // How others see that it is being written. Where there are no locks its age has to do.
        let _ = file.try_lock();
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let head = head(key);
        file.write_all(&head)?;
        file.flush()?;
        let index = Index { chunks: vec![Vec::new(); chunks], counts: EncodeCounts::default() };
        let (key, at) = (Arc::clone(key), head.len() as u64);
        Ok(Writing { file, beside, path: path.to_owned(), key, at, index, buffer: Vec::new() })
    }

    /// Adds the next rows of a chunk.
    pub(in crate::stream) fn add(&mut self, chunk: usize, batch: &Batch, counts: &EncodeCounts) -> io::Result<()> {
        self.buffer.clear();
        codec::write(batch, &mut self.buffer);
        let bytes = self.buffer.len() as u64;
        self.index.chunks[chunk].push(Block { at: self.at, bytes, xxh3: xxh3_64(&self.buffer) });
        self.index.counts.merge(counts);
        self.at += bytes;
        self.file.write_all(&self.buffer)
    }

    /// Puts the file in its place, and takes away those that it makes superfluous.
    pub(in crate::stream) fn finish(mut self) -> io::Result<StoredFile> {
        let index = serde_json::to_vec(&self.index)?;
        let sum = xxh3_64(&[head(&self.key).as_slice(), &index].concat());
        self.file.write_all(&index)?;
        for word in [self.at, index.len() as u64, sum] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        self.file.write_all(TAIL)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        self.beside.put(&self.path)?;
        // Some systems let nobody else read what is locked.
        let _ = file.unlock();
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        folder::prune(&self.path, &self.key);
        Ok(StoredFile { path: self.path, index: self.index, file: Mutex::new(file) })
    }
}

impl Beside {
    /// A file of its own for whoever writes: of runs, of programs and of machines that share the folder.
    fn create(path: &Path) -> io::Result<(File, Beside)> {
        let beside = folder::beside(path);
        // Also read, once it is in its place.
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&beside)?;
        Ok((file, Beside(Some(beside))))
    }

    fn put(&mut self, path: &Path) -> io::Result<()> {
        if let Some(beside) = &self.0 {
            std::fs::rename(beside, path)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(beside) = &self.0 {
            // What cannot be removed now is swept later.
            let _ = std::fs::remove_file(beside);
        }
    }
}
