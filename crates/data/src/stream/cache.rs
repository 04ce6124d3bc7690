//! Encoded rows kept for later epochs: in memory, in a file, or both.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::{Key, StoredFile, Writing, check, sweep};
use crate::{Batch, DataError, EncodeCounts, Encoder, Rows, Source};

/// What was kept of a stream's rows, shared by all of its epochs and by the runs that share it.
#[derive(Clone, Debug)]
pub(super) struct Cache(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    memory: Memory,
    disk: Option<Disk>,
    /// What befell the file and was not told yet.
    notes: Vec<String>,
}

/// Encoded rows by chunk, in reading order within each: those of all chunks, or none.
#[derive(Debug)]
struct Memory {
    /// Bytes that may be kept.
    limit: usize,
    kept: Option<Arc<Kept>>,
    /// Rows turned out not to fit, so that later epochs need not try.
    too_small: bool,
}

/// All encoded rows.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Parallel to the source's chunks.
    pub(super) chunks: Vec<Vec<Arc<Batch>>>,
    pub(super) counts: EncodeCounts,
}

/// A file of encoded rows.
#[derive(Debug)]
struct Disk {
    path: PathBuf,
    key: Arc<Key>,
    /// Once it is there and was found whole; open, so that what becomes of its name does not matter.
    stored: Option<Arc<StoredFile>>,
    /// An epoch writes it, so that another one at the same time need not; or it cannot be written.
    taken: bool,
}

/// Where an epoch's rows come from.
pub(super) enum Place {
    Files,
    Memory(Arc<Kept>),
    Disk(Arc<StoredFile>),
}

impl Cache {
    /// An empty cache of so many megabytes.
    pub(super) fn new(megabytes: usize) -> Cache {
        let limit = megabytes.saturating_mul(1_000_000);
        let memory = Memory { limit, kept: None, too_small: megabytes == 0 };
        Cache(Arc::new(Mutex::new(State { memory, disk: None, notes: Vec::new() })))
    }

    /// Keeps rows in a file of `folder` too, and takes up what is there.
    pub(super) fn keep_in(&self, folder: &Path, source: &Source, encoder: &Encoder) -> Result<(), DataError> {
        if !source.is_in_files() || !distinct_files(source) {
            return Ok(());
        }
        let key = Key::of(source, encoder)?;
        let path = folder.join(key.file_name());
        sweep(folder);
        let found = check(&path, &key, source.chunks().len());
        let mut state = self.state();
        let stored = match found {
            None => None,
            Some(Ok(stored)) => Some(Arc::new(stored)),
            Some(Err(why)) => {
                let file = path.display();
                state.notes.push(format!("the cached rows in `{file}` are not used and will be written anew: {why}"));
                None
            }
        };
        state.disk = Some(Disk { path, key: Arc::new(key), stored, taken: false });
        Ok(())
    }

    /// What befell the file since this was asked last.
    pub(super) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.state().notes)
    }

    /// Where the rows of the next epoch come from.
    pub(super) fn place(&self) -> Place {
        let state = self.state();
        if let Some(kept) = &state.memory.kept {
            return Place::Memory(Arc::clone(kept));
        }
        match state.disk.as_ref().and_then(|disk| disk.stored.as_ref()) {
            Some(stored) => Place::Disk(Arc::clone(stored)),
            None => Place::Files,
        }
    }

    /// Rows of a file turned out not to be what they were: whoever reads next writes it anew.
    pub(super) fn give_up(&self, stored: &Arc<StoredFile>, why: &str) {
        let mut state = self.state();
        let Some(disk) = &mut state.disk else { return };
        // Of epochs that run at the same time the first one says it.
        if disk.stored.take_if(|held| Arc::ptr_eq(held, stored)).is_some() {
            let file = stored.path().display();
            let read = "the data is read in its place, and it will be written anew";
            state
                .notes
                .push(format!("the cached rows in `{file}` have changed since they were found whole ({why}): {read}"));
        }
    }

    /// Someone who keeps the rows of an epoch that does not come out of memory.
    pub(super) fn keeper(&self, source: &Source) -> Keeper {
        let chunks = source.chunks().len();
        let mut state = self.state();
        let kept = || Kept { chunks: vec![Vec::new(); chunks], counts: EncodeCounts::default() };
        let fits = !state.memory.too_small && distinct_files(source);
        let memory = fits.then(|| Filling { limit: state.memory.limit, bytes: 0, kept: kept() });
        let free = state.disk.as_mut().filter(|disk| disk.stored.is_none() && !disk.taken);
        let begun = free.map(|disk| {
            disk.taken = true;
            Writing::begin(&disk.path, &disk.key, chunks)
        });
        let mut keeper = Keeper { cache: self.clone(), memory, disk: None };
        drop(state);
        match begun {
            Some(Ok(writing)) => keeper.disk = Some(writing),
            Some(Err(error)) => keeper.cannot_write(&error),
            None => {}
        }
        keeper
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the rows of one epoch as they come. They are there for later ones when all have come.
pub(super) struct Keeper {
    cache: Cache,
    memory: Option<Filling>,
    disk: Option<Writing>,
}

/// Rows on their way into memory.
struct Filling {
    limit: usize,
    bytes: usize,
    kept: Kept,
}

impl Keeper {
    /// Keeps a batch of a chunk of the source.
    pub(super) fn keep(&mut self, chunk: usize, batch: &Arc<Batch>, counts: &EncodeCounts) {
        if let Some(filling) = &mut self.memory {
            filling.bytes += batch.bytes();
            if filling.bytes > filling.limit {
                self.memory = None;
                self.cache.state().memory.too_small = true;
            } else {
                filling.kept.chunks[chunk].push(Arc::clone(batch));
                filling.kept.counts.merge(counts);
            }
        }
        if let Some(Err(error)) = self.disk.as_mut().map(|writing| writing.add(chunk, batch, counts)) {
            self.cannot_write(&error);
        }
    }

    /// All rows have come.
    pub(super) fn finish(mut self) {
        if let Some(filling) = self.memory.take() {
            self.cache.state().memory.kept = Some(Arc::new(filling.kept));
        }
        match self.disk.take().map(Writing::finish) {
            Some(Ok(stored)) => {
                if let Some(disk) = &mut self.cache.state().disk {
                    (disk.stored, disk.taken) = (Some(Arc::new(stored)), false);
                }
            }
            Some(Err(error)) => self.cannot_write(&error),
            None => {}
        }
    }

    /// A run goes on without its cache: it costs time and nothing else.
    fn cannot_write(&mut self, error: &io::Error) {
        self.disk = None;
        let mut state = self.cache.state();
        let file = state.disk.as_ref().map(|disk| disk.path.display().to_string()).unwrap_or_default();
        state.notes.push(format!("the cache of rows `{file}` cannot be written, so the files are read again: {error}"));
    }
}

impl Drop for Keeper {
    /// An epoch that was not read to its end leaves the file to the next one.
    fn drop(&mut self) {
        if self.disk.take().is_some()
            && let Some(disk) = &mut self.cache.state().disk
        {
            disk.taken = false;
        }
    }
}

/// A file that is read twice has chunks that its rows do not tell apart.
fn distinct_files(source: &Source) -> bool {
    let mut files: Vec<_> = source.files().iter().collect();
    files.sort_unstable();
    files.windows(2).all(|pair| pair[0] != pair[1])
}

/// The chunk that rows were read from: no batch spans two.
pub(super) fn chunk_of(source: &Source, rows: &Rows) -> Option<usize> {
    let file = source.files().iter().position(|file| **file == *rows.file)?;
    let place = (file, rows.number(0));
    source.chunks().partition_point(|chunk| (chunk.file, chunk.first_row) <= place).checked_sub(1)
}

/// The batches of chunks in the order given, the next one last.
pub(super) fn backwards<T: Clone>(chunks: &[Vec<T>], order: &[usize]) -> Vec<(usize, T)> {
    let batches = |&chunk: &usize| chunks[chunk].iter().rev().map(move |batch| (chunk, batch.clone()));
    order.iter().rev().flat_map(batches).collect()
}
