//! From files to Arrow batches: Parquet, CSV and JSONL, streamed, with each row's file and number.

mod cell;
mod rows;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

#[expect(unused_imports, reason = "for the encoder")]
pub(crate) use self::cell::{cell_text, write_cell};
pub use self::rows::Rows;
pub use self::stream::RowStream;
use crate::error::DataError;
use crate::split::{Part, Split};

/// The endings that name a format, for messages.
pub(crate) const KNOWN_ENDINGS: &str = ".parquet, .csv, .csv.gz, .csv.zst, .jsonl, .jsonl.gz, .jsonl.zst";

/// Rows in files (or in memory) that are read as one table. Cheap to clone; opening reads only what is needed to know the columns.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
    part: Option<(Arc<Split>, Part)>,
}

#[derive(Debug)]
struct Inner {
    schema: SchemaRef,
    files: Vec<PathBuf>,
    chunks: Vec<Chunk>,
    batches: Vec<RecordBatch>,
}

/// What is read in one go, and permuted by [`Order::Shuffled`]: a row group of a Parquet file, or a whole text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Index into [`Source::files`].
    pub file: usize,
    /// The row group, for Parquet; the batch, in memory.
    pub row_group: Option<usize>,
    /// 1-based number of its first row in the file.
    pub first_row: u64,
    /// Its rows, where known without reading them.
    pub rows: Option<u64>,
}

/// In which order chunks are read. Inside a chunk rows keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they stand in the files.
    InFile,
    /// Chunks permuted by this seed, usually a [`Seed::stream`](crate::Seed::stream).
    Shuffled {
        /// The seed; equal seeds give equal orders.
        seed: u64,
    },
}

impl Source {
    /// Opens files, folders (the files directly inside) and globs. Names are sorted within each path.
    ///
    /// # Errors
    /// A path that is not there, an ending that names no format, a file that is broken or has no rows, files that differ in their columns.
    pub fn open(paths: &[PathBuf]) -> Result<Source, DataError> {
        let path = paths.first().cloned().unwrap_or_default();
        Err(DataError::UnknownFormat { path })
    }

    /// A source in memory. `name` stands for the file in messages; each batch is a chunk.
    pub fn from_batches(name: &str, batches: Vec<RecordBatch>) -> Source {
        let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        let mut first_row = 1;
        let mut chunks = Vec::with_capacity(batches.len());
        for (index, batch) in batches.iter().enumerate() {
            let rows = batch.num_rows() as u64;
            chunks.push(Chunk { file: 0, row_group: Some(index), first_row, rows: Some(rows) });
            first_row += rows;
        }
        Source { inner: Arc::new(Inner { schema, files: vec![PathBuf::from(name)], chunks, batches }), part: None }
    }

    /// The same source with these columns read as text where the format leaves a choice (CSV and JSONL), so that `007` stays `007`.
    /// Columns that are not there are ignored.
    pub fn with_text_columns(&self, columns: &[String]) -> Source {
        let _ = columns;
        self.clone()
    }

    /// Only the rows of one part of a split.
    pub fn with_part(&self, split: &Split, part: Part) -> Source {
        Source { inner: Arc::clone(&self.inner), part: Some((Arc::new(split.clone()), part)) }
    }

    /// Column names and types. Text columns may be `Utf8`, `LargeUtf8`, `Utf8View` or `Dictionary(Int32, Utf8)`.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// The files, in reading order.
    pub fn files(&self) -> &[PathBuf] {
        &self.inner.files
    }

    /// What is read in one go, in the order of the files.
    pub fn chunks(&self) -> &[Chunk] {
        &self.inner.chunks
    }

    /// Number of rows, where known without reading them.
    pub fn rows(&self) -> Option<u64> {
        self.inner.chunks.iter().map(|chunk| chunk.rows).sum()
    }

    /// Streams `columns`, in this order, a few thousand rows at a time. No batch is empty, and none spans two chunks.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`]; the stream itself gives the errors of reading, and ends after the first.
    pub fn read(&self, columns: &[String], order: Order) -> Result<RowStream, DataError> {
        let projection = self.positions(columns)?;
        Ok(RowStream::new(self.clone(), projection, order))
    }

    fn positions(&self, columns: &[String]) -> Result<Vec<usize>, DataError> {
        let position = |column: &String| match self.inner.schema.index_of(column) {
            Ok(index) => Ok(index),
            Err(_) => {
                let names = self.inner.schema.fields().iter().map(|field| field.name().as_str());
                Err(DataError::missing_column(self.first_file(), column, names))
            }
        };
        columns.iter().map(position).collect()
    }

    /// What stands for the source in a message.
    pub(crate) fn first_file(&self) -> &Path {
        self.inner.files.first().map_or(Path::new("no file"), PathBuf::as_path)
    }
}
