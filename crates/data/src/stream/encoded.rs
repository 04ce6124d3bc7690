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
    /// What was given out of a file of rows before it had to be given up.
    given: Given,
}

/// Reads what was encoded before.
pub(super) struct Stored {
    file: Arc<StoredFile>,
    buffer: Vec<u8>,
    /// What is left to read with its chunk, the next one last.
    rest: Vec<(usize, Block)>,
    /// Of all rows; given out and kept with the first batch.
    counts: EncodeCounts,
    given: Given,
    keeper: Option<Keeper>,
    /// What the rows are of.
    origin: Origin,
}

/// What an epoch has had already.
#[derive(Clone, Copy, Default)]
struct Given {
    rows: usize,
    /// The counts of all rows.
    counts: bool,
}

/// Training rows before they are read.
struct Origin {
    source: Source,
    encoder: Arc<Encoder>,
    cache: Cache,
    order: Order,
    threads: usize,
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
        Ok(EncodedRows::Fresh(Box::new(Reader {
            source: source.clone(),
            rows,
            encoder,
            keeper: None,
            given: Given::default(),
        })))
    }

    /// Training rows, chunk by chunk in the order given.
    pub(super) fn shuffled(
        source: &Source,
        encoder: &Arc<Encoder>,
        cache: &Cache,
        order: &ChunkOrder,
        helpers: &Helpers,
    ) -> Result<EncodedRows, DataError> {
        let origin = Origin {
            source: source.clone(),
            encoder: Arc::clone(encoder),
            cache: cache.clone(),
            order: order.order,
            threads: helpers.threads(),
        };
        Ok(match cache.place() {
            Place::Memory(kept) => {
                let rest = backwards(&kept.chunks, &order.chunks).into_iter().map(|(_, batch)| batch).collect();
                EncodedRows::Cached { rest, counts: kept.counts.clone() }
            }
            Place::Disk(file) => EncodedRows::Stored(Box::new(Stored {
                buffer: Vec::new(),
                rest: backwards(&file.index().chunks, &order.chunks),
                counts: file.index().counts.clone(),
                given: Given::default(),
                keeper: Some(cache.keeper(source)),
                origin,
                file,
            })),
            Place::Files => EncodedRows::Fresh(Box::new(origin.reader(Given::default())?)),
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
            EncodedRows::Stored(stored) => match stored.next() {
                Ok(next) => next,
                Err(why) => {
                    let mut reader = stored.give_up(&why)?;
                    let next = reader.next(work)?;
                    *self = EncodedRows::Fresh(Box::new(reader));
                    next
                }
            },
            EncodedRows::Cached { rest, counts } => (rest.pop(), std::mem::take(counts)),
        };
        shared.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
        Ok(batch)
    }
}

/// The next rows with their counts.
type Next = (Option<Arc<Batch>>, EncodeCounts);

impl Origin {
    /// Reads all rows, and gives those that come after the ones given.
    fn reader(&self, given: Given) -> Result<Reader, DataError> {
        let rows = self.source.read(&self.encoder.columns(Need::Labels), self.order)?.in_parts(self.threads);
        let encoder = RowEncoder::new(Arc::clone(&self.encoder), Need::Labels);
        let keeper = Some(self.cache.keeper(&self.source));
        Ok(Reader { source: self.source.clone(), rows, encoder, keeper, given })
    }
}

impl Reader {
    fn next(&mut self, work: Work) -> Result<Next, DataError> {
        loop {
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
            if self.given.counts {
                counts = EncodeCounts::default();
            }
            if let Some(batch) = self.given.rest(batch) {
                return Ok((Some(batch), counts));
            }
        }
    }
}

impl Given {
    /// The rows of the next batch that were not given; nothing if all of them were.
    fn rest(&mut self, batch: Arc<Batch>) -> Option<Arc<Batch>> {
        if self.rows == 0 {
            return Some(batch);
        }
        let had = batch.rows.min(self.rows);
        self.rows -= had;
        let mut rest = Batch::default();
        rest.append_rows(&batch, had..batch.rows);
        (rest.rows > 0).then(|| Arc::new(rest))
    }
}

impl Stored {
    /// Else why the file's rows cannot be had.
    fn next(&mut self) -> Result<Next, String> {
        let Some((chunk, block)) = self.rest.pop() else {
            self.keeper.take().into_iter().for_each(Keeper::finish);
            return Ok((None, std::mem::take(&mut self.counts)));
        };
        let batch = Arc::new(self.file.batch(block, &mut self.buffer)?);
        let counts = std::mem::take(&mut self.counts);
        self.given = Given { rows: self.given.rows + batch.rows, counts: true };
        if let Some(keeper) = &mut self.keeper {
            keeper.keep(chunk, &batch, &counts);
        }
        Ok((Some(batch), counts))
    }

    /// The rows that are left, read from the data: they come in the same order.
    fn give_up(&mut self, why: &str) -> Result<Reader, DataError> {
        self.keeper = None;
        self.origin.cache.give_up(&self.file, why);
        self.origin.reader(self.given)
    }
}
