//! Encoded rows, freshly read or out of memory.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ChunkOrder, SharedCounts};
use crate::{Batch, DataError, EncodeCounts, Encoder, Need, Order, RowStream, Rows, Source};

/// Encoded rows by chunk, in reading order within each: those of all chunks, or none.
#[derive(Debug)]
pub(super) struct Cache {
    /// Bytes that may be kept.
    limit: usize,
    kept: Option<Arc<Kept>>,
    /// Rows turned out not to fit, so that later epochs need not try.
    too_small: bool,
}

/// All encoded rows.
#[derive(Debug, Default)]
struct Kept {
    /// Parallel to the source's chunks.
    chunks: Vec<Vec<Arc<Batch>>>,
    counts: EncodeCounts,
}

/// The rows of a source a few thousand at a time, encoded and not grouped.
pub(super) enum EncodedRows {
    /// Encoded as they are read.
    Fresh(Box<Reader>),
    /// Out of memory: what is left to give, the next one last.
    Cached { rest: Vec<Arc<Batch>>, counts: EncodeCounts },
}

/// Reads and encodes, and fills the cache meanwhile if there is one.
pub(super) struct Reader {
    rows: RowStream,
    encoder: Arc<Encoder>,
    need: Need,
    filling: Option<Filling>,
}

struct Filling {
    source: Source,
    cache: Arc<Mutex<Cache>>,
    limit: usize,
    bytes: usize,
    kept: Kept,
}

impl Cache {
    /// An empty cache of so many megabytes.
    pub(super) fn new(megabytes: usize) -> Cache {
        Cache { limit: megabytes.saturating_mul(1_000_000), kept: None, too_small: megabytes == 0 }
    }
}

impl EncodedRows {
    /// All rows as they stand in the files.
    pub(super) fn in_file(source: &Source, encoder: &Arc<Encoder>, need: Need) -> Result<EncodedRows, DataError> {
        let rows = source.read(&encoder.columns(need), Order::InFile)?;
        Ok(EncodedRows::Fresh(Box::new(Reader { rows, encoder: Arc::clone(encoder), need, filling: None })))
    }

    /// Training rows, chunk by chunk in the order given.
    pub(super) fn shuffled(
        source: &Source,
        encoder: &Arc<Encoder>,
        cache: &Arc<Mutex<Cache>>,
        order: &ChunkOrder,
    ) -> Result<EncodedRows, DataError> {
        let (kept, limit) = {
            let cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            (cache.kept.clone(), (!cache.too_small).then_some(cache.limit))
        };
        if let Some(kept) = kept {
            let backwards = order.chunks.iter().rev().flat_map(|&chunk| kept.chunks[chunk].iter().rev());
            return Ok(EncodedRows::Cached { rest: backwards.cloned().collect(), counts: kept.counts.clone() });
        }
        let rows = source.read(&encoder.columns(Need::Labels), order.order)?;
        let filling = limit.filter(|_| distinct_files(source)).map(|limit| {
            let kept = Kept { chunks: vec![Vec::new(); source.chunks().len()], counts: EncodeCounts::default() };
            Filling { source: source.clone(), cache: Arc::clone(cache), limit, bytes: 0, kept }
        });
        Ok(EncodedRows::Fresh(Box::new(Reader { rows, encoder: Arc::clone(encoder), need: Need::Labels, filling })))
    }

    /// The next rows; nothing at the end.
    pub(super) fn next(&mut self, shared: &SharedCounts) -> Result<Option<Arc<Batch>>, DataError> {
        match self {
            EncodedRows::Fresh(reader) => reader.next(shared),
            EncodedRows::Cached { rest, counts } => {
                shared.lock().unwrap_or_else(PoisonError::into_inner).merge(&std::mem::take(counts));
                Ok(rest.pop())
            }
        }
    }
}

impl Reader {
    fn next(&mut self, shared: &SharedCounts) -> Result<Option<Arc<Batch>>, DataError> {
        let Some(rows) = self.rows.next().transpose()? else {
            if let Some(filling) = self.filling.take() {
                filling.finish();
            }
            return Ok(None);
        };
        let mut counts = EncodeCounts::default();
        let batch = Arc::new(self.encoder.encode(&rows, self.need, &mut counts)?);
        shared.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
        self.filling = self.filling.take().and_then(|filling| filling.keep(&rows, &batch, &counts));
        Ok(Some(batch))
    }
}

impl Filling {
    /// Keeps a batch; gives up when it does not fit.
    fn keep(mut self, rows: &Rows, batch: &Arc<Batch>, counts: &EncodeCounts) -> Option<Filling> {
        self.bytes += batch.bytes();
        let chunk = chunk_of(&self.source, rows).filter(|_| self.bytes <= self.limit);
        let Some(chunk) = chunk else {
            self.cache.lock().unwrap_or_else(PoisonError::into_inner).too_small = true;
            return None;
        };
        self.kept.chunks[chunk].push(Arc::clone(batch));
        self.kept.counts.merge(counts);
        Some(self)
    }

    fn finish(self) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).kept = Some(Arc::new(self.kept));
    }
}

/// A file that is read twice has chunks that its rows do not tell apart.
fn distinct_files(source: &Source) -> bool {
    let mut files: Vec<_> = source.files().iter().collect();
    files.sort_unstable();
    files.windows(2).all(|pair| pair[0] != pair[1])
}

/// The chunk that rows were read from: no batch spans two.
fn chunk_of(source: &Source, rows: &Rows) -> Option<usize> {
    let file = source.files().iter().position(|file| **file == *rows.file)?;
    let place = (file, rows.number(0));
    source.chunks().partition_point(|chunk| (chunk.file, chunk.first_row) <= place).checked_sub(1)
}
