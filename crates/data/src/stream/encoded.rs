//! Encoded rows, freshly read or out of a cache.

use std::sync::{Arc, PoisonError};

use super::cache::{Cache, Keeper, Place, backwards, chunk_of};
use super::store::{Block, StoredFile};
use super::{ChunkOrder, SharedCounts};
use crate::work::{Helpers, Work};
use crate::{Batch, DataError, EncodeCounts, Encoder, Need, Order, RowEncoder, RowStream, Source};

/// The rows of a source a few thousand at a time, encoded and not grouped.
pub(super) enum EncodedRows {
    /// Encoded as they are read.
    Fresh(Box<Reader>),
    /// Out of a file of encoded rows.
    Stored(Box<Stored>),
    /// Out of memory: what is left to give, the next one last.
    Cached { rest: Vec<Arc<Batch>>, counts: EncodeCounts },
}

/// Reads and encodes, and has the rows kept if there is a cache.
pub(super) struct Reader {
    source: Source,
    rows: RowStream,
    encoder: RowEncoder<Arc<Encoder>>,
    keeper: Option<Keeper>,
}

/// Reads what was encoded before.
pub(super) struct Stored {
    file: StoredFile,
    /// What is left to read with its chunk, the next one last.
    rest: Vec<(usize, Block)>,
    /// Of all rows; given out and kept with the first batch.
    counts: EncodeCounts,
    keeper: Option<Keeper>,
}

impl EncodedRows {
    /// All rows as they stand in the files.
    pub(super) fn in_file(
        source: &Source,
        encoder: &Arc<Encoder>,
        need: Need,
        helpers: &Helpers,
    ) -> Result<EncodedRows, DataError> {
        let rows = source.read(&encoder.columns(need), Order::InFile)?.in_parts(helpers.threads());
        let encoder = RowEncoder::new(Arc::clone(encoder), need);
        Ok(EncodedRows::Fresh(Box::new(Reader { source: source.clone(), rows, encoder, keeper: None })))
    }

    /// Training rows, chunk by chunk in the order given.
    pub(super) fn shuffled(
        source: &Source,
        encoder: &Arc<Encoder>,
        cache: &Cache,
        order: &ChunkOrder,
        helpers: &Helpers,
    ) -> Result<EncodedRows, DataError> {
        Ok(match cache.place() {
            Place::Memory(kept) => {
                let rest = backwards(&kept.chunks, &order.chunks).into_iter().map(|(_, batch)| batch).collect();
                EncodedRows::Cached { rest, counts: kept.counts.clone() }
            }
            Place::Disk(file, index) => {
                let rest = backwards(&index.chunks, &order.chunks);
                let keeper = Some(cache.keeper(source));
                EncodedRows::Stored(Box::new(Stored { file, rest, counts: index.counts.clone(), keeper }))
            }
            Place::Files => {
                let rows = source.read(&encoder.columns(Need::Labels), order.order)?.in_parts(helpers.threads());
                let encoder = RowEncoder::new(Arc::clone(encoder), Need::Labels);
                let keeper = Some(cache.keeper(source));
                EncodedRows::Fresh(Box::new(Reader { source: source.clone(), rows, encoder, keeper }))
            }
        })
    }

    /// Whether the next rows have still to be read and encoded.
    pub(super) fn are_fresh(&self) -> bool {
        matches!(self, EncodedRows::Fresh(_))
    }

    /// The next rows; nothing at the end.
    pub(super) fn next(&mut self, work: Work, shared: &SharedCounts) -> Result<Option<Arc<Batch>>, DataError> {
        let (batch, counts) = match self {
            EncodedRows::Fresh(reader) => reader.next(work)?,
            EncodedRows::Stored(stored) => stored.next()?,
            EncodedRows::Cached { rest, counts } => (rest.pop(), std::mem::take(counts)),
        };
        shared.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
        Ok(batch)
    }
}

/// The next rows with their counts.
type Next = Result<(Option<Arc<Batch>>, EncodeCounts), DataError>;

impl Reader {
    fn next(&mut self, work: Work) -> Next {
        let mut counts = EncodeCounts::default();
        let Some(rows) = self.rows.next_rows(work).transpose()? else {
            self.keeper.take().into_iter().for_each(Keeper::finish);
            return Ok((None, counts));
        };
        let batch = Arc::new(self.encoder.encode_by(&rows, work, &mut counts)?);
        if let Some(keeper) = &mut self.keeper {
            match chunk_of(&self.source, &rows) {
                Some(chunk) => keeper.keep(chunk, &batch, &counts),
                None => self.keeper = None,
            }
        }
        Ok((Some(batch), counts))
    }
}

impl Stored {
    fn next(&mut self) -> Next {
        let counts = std::mem::take(&mut self.counts);
        let Some((chunk, block)) = self.rest.pop() else {
            self.keeper.take().into_iter().for_each(Keeper::finish);
            return Ok((None, counts));
        };
        let batch = Arc::new(self.file.batch(block)?);
        if let Some(keeper) = &mut self.keeper {
            keeper.keep(chunk, &batch, &counts);
        }
        Ok((Some(batch), counts))
    }
}
