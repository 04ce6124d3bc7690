//! Batches in the order they are wanted: shuffled for learning, as they stand for everything else. Encoded ahead on a thread.

mod ahead;
mod blocks;
mod cache;
mod encoded;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex};

pub use self::ahead::Batches;
use self::blocks::Blocks;
use self::cache::Cache;
use self::encoded::EncodedRows;
use crate::seed::shuffle;
use crate::{DataError, EncodeCounts, Encoder, Need, Order, Seed, Source};

/// How rows become training batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Rows of a batch; the last one of an epoch may have fewer.
    pub batch_rows: usize,
    /// Rows shuffled together, rounded down to whole batches, one at least.
    pub shuffle_rows: usize,
    /// Megabytes (of 1,000,000 bytes) of encoded rows kept for later epochs, if all of them fit; 0 keeps none.
    pub cache_mb: usize,
    /// Where the order comes from.
    pub seed: Seed,
}

/// Training rows, each once per epoch, in an order that depends on the seed, the epoch, the batch size and `shuffle_rows` alone: not on the
/// cache, nor on how many rows are read at once, nor on time.
///
/// Chunks (row groups of Parquet files, whole text files) are read in a permuted order; the stream of their rows is cut into blocks of
/// `shuffle_rows`, and each block is shuffled for itself. Rows of one chunk far larger than `shuffle_rows` therefore meet only their
/// neighbours: shuffle such files beforehand, or raise `shuffle_rows`.
///
/// # Memory
/// Two blocks (one is given out while the next fills) and a column, a few batches ahead, the rows being read, and the cache:
/// about `2 * shuffle_rows * bytes per row + cache_mb`, where a row takes 4 bytes per category or item, 8 per number, 5 per task, and
/// 10 to 26 for scenario, weight and groups.
#[derive(Clone, Debug)]
pub struct TrainStream {
    source: Source,
    encoder: Arc<Encoder>,
    config: StreamConfig,
    cache: Cache,
}

impl TrainStream {
    /// A stream of the rows of `source`. Reads nothing yet.
    pub fn new(source: &Source, encoder: Arc<Encoder>, config: StreamConfig) -> TrainStream {
        let source = source.with_number_columns(&encoder.number_columns()).with_text_columns(&encoder.text_columns());
        TrainStream { source, encoder, config, cache: Cache::new(config.cache_mb) }
    }

    /// The same rows for another run, with the rows that were kept shared between both: the first one's `cache_mb` holds for all.
    pub fn reconfigured(&self, config: StreamConfig) -> TrainStream {
        TrainStream { config, ..self.clone() }
    }

    /// The same stream with its encoded rows kept in a file of `folder`, which later epochs and later streams read in place of the source:
    /// the first epoch that is read to its end writes it. It is taken up only if encoder, split, and names, sizes, times and contents of
    /// the source's files are what they were (files above 64 MiB: some of their contents), and every byte is. Should it change later, the
    /// source is read again. Streams with other encoders, and other programs, may use the same folder; it keeps the four files used last.
    /// Rows in memory are not kept in files.
    ///
    /// # Errors
    /// If a file of the source cannot be read. A cache that cannot be used or written is no error: see
    /// [`cache_notes`](TrainStream::cache_notes).
    pub fn cached_in(self, folder: &Path) -> Result<TrainStream, DataError> {
        self.cache.keep_in(folder, &self.source, &self.encoder)?;
        Ok(self)
    }

    /// What befell the file of encoded rows since this was asked last: why it was not used, or could not be written.
    pub fn cache_notes(&self) -> Vec<String> {
        self.cache.take_notes()
    }

    /// The batches of an epoch, counted from 0, grouped by scenario; the first `skip_batches` of them are left out, and the others are what
    /// they would have been.
    ///
    /// `first_row` counts the rows given before in this epoch, skipped ones included; `position` is the place in the batch before grouping.
    /// An error ends the stream. Dropping the iterator stops its thread.
    pub fn epoch(&self, epoch: u64, skip_batches: u64) -> Batches {
        let order = self.chunk_order(epoch);
        let block_seed = self.config.seed.stream("shuffle rows", epoch);
        let this = self.clone();
        ahead::spawn(move |ahead| {
            let rows = EncodedRows::shuffled(&this.source, &this.encoder, &this.cache, &order, &ahead.helpers)?;
            let blocks = Blocks {
                batch_rows: this.config.batch_rows.max(1),
                block_rows: this.config.shuffle_rows,
                shuffle: Some(Seed(block_seed)),
                groups: this.encoder.layout().groups(),
                skip_batches,
            };
            blocks.run(rows, ahead)
        })
    }

    /// The seed of the order in which an epoch reads its chunks.
    fn chunk_order(&self, epoch: u64) -> ChunkOrder {
        let seed = self.config.seed.stream("shuffle chunks", epoch);
        let mut chunks: Vec<usize> = (0..self.source.chunks().len()).collect();
        shuffle(&mut chunks, seed);
        ChunkOrder { order: Order::Shuffled { seed }, chunks }
    }
}

/// An order of chunks, for the source and spelt out.
#[derive(Clone, Debug)]
struct ChunkOrder {
    order: Order,
    /// Indices into [`Source::chunks`]: what [`Order::Shuffled`] does with the same seed.
    chunks: Vec<usize>,
}

/// All rows in the order of the files, `rows_per_batch` at a time, grouped by scenario: row r of a batch was row `first_row + position[r]` of
/// the source.
pub fn in_order(source: &Source, encoder: Arc<Encoder>, need: Need, rows_per_batch: usize) -> Batches {
    let source = source.with_number_columns(&encoder.number_columns()).with_text_columns(&encoder.text_columns());
    ahead::spawn(move |ahead| {
        let rows = EncodedRows::in_file(&source, &encoder, need, &ahead.helpers)?;
        let blocks = Blocks {
            batch_rows: rows_per_batch.max(1),
            block_rows: 0,
            shuffle: None,
            groups: encoder.layout().groups(),
            skip_batches: 0,
        };
        blocks.run(rows, ahead)
    })
}

/// Where the thread leaves its counts.
type SharedCounts = Arc<Mutex<EncodeCounts>>;

/// Whether whoever takes the batches still wants them.
type Sent = Result<(), Stop>;

/// Why a thread ends early.
#[derive(Debug)]
enum Stop {
    /// Nobody listens any more.
    Dropped,
    /// A row was refused.
    Refused(DataError),
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Stop {
        Stop::Refused(error)
    }
}
