//! From files to Arrow batches: Parquet, CSV and JSONL, streamed, with each row's file and number.
//!
//! Memory does not grow with the files: a Parquet row group is decoded a page at a time, a text file goes through a window of one line
//! (at most [`Limits::line_bytes`]) and one block.

mod builder;
mod cell;
mod columns;
mod csv;
mod json;
mod kind;
mod memory;
mod parquet;
mod paths;
mod request;
mod rows;
mod spool;
mod stream;
mod tables;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

pub(crate) use self::cell::{cell_text, write_cell};
use self::columns::{Columns, Described};
pub use self::json::first_elements;
use self::kind::Single;
pub(crate) use self::paths::{DataFile, Format, Packing, nearest_file};
pub use self::request::RequestColumns;
pub use self::rows::Rows;
use self::spool::Spool;
pub use self::stream::RowStream;
pub use self::tables::Tables;
pub(crate) use self::text::Window;
use crate::error::DataError;
use crate::split::{Part, Split};

/// The endings that name a format, for messages.
pub(crate) const KNOWN_ENDINGS: &str = ".parquet, .csv, .csv.gz, .csv.zst, .jsonl, .jsonl.gz, .jsonl.zst";

/// Rows per batch at most.
const BATCH_ROWS: usize = 8192;
/// Bytes of text per batch, give or take a line.
const BATCH_BYTES: usize = 8 << 20;

/// Rows in files (or in memory) that are read as one table. Cheap to clone; opening reads only what is needed to know the columns.
///
/// ```
/// # use hinet_data::{Order, Source};
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("clicks.csv");
/// std::fs::write(&file, "user,is_click\n7,1\n8,0\n")?;
/// let source = Source::open(&[file])?;
/// let rows = source.read(&["is_click".to_owned()], Order::InFile)?.next().expect("two rows")?;
/// assert_eq!((rows.len(), rows.number(1)), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
    schema: SchemaRef,
    part: Option<(Arc<Split>, Part)>,
}

#[derive(Debug)]
struct Inner {
    columns: Columns,
    files: Vec<PathBuf>,
    storage: Storage,
    chunks: Vec<Chunk>,
    limits: Limits,
}

#[derive(Debug)]
enum Storage {
    /// Parallel to the files.
    Files(Vec<DataFile>),
    /// A Parquet file that holds what came as a stream, under the stream's name.
    Spooled(Spool),
    /// Parallel to the chunks: the pieces of each, with the columns of one table.
    Memory(Vec<Vec<RecordBatch>>),
}

/// What is read in one go, and permuted by [`Order::Shuffled`]: a row group of a Parquet file, a whole text file, or so many rows of a
/// table in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Index into [`Source::files`].
    pub file: usize,
    /// The row group, for Parquet; the chunk's number, in memory.
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

/// How far reading goes before it refuses or judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a line of text.
    pub line_bytes: usize,
    /// Rows from which a text file's column types are judged.
    pub sample_rows: u64,
    /// Bytes after which judging stops even before `sample_rows`.
    pub sample_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { line_bytes: 1 << 20, sample_rows: 10_000, sample_bytes: 1 << 20 }
    }
}

impl Source {
    /// Opens files, folders (the data files directly inside) and globs. Names are sorted within each path.
    ///
    /// # Errors
    /// A path that is not there, an ending that names no format, a file that is broken or has no rows, files that differ in their columns.
    pub fn open(paths: &[PathBuf]) -> Result<Source, DataError> {
        Source::open_with(paths, Limits::default())
    }

    /// [`open`](Source::open) with limits of one's own.
    ///
    /// # Errors
    /// As [`open`](Source::open).
    pub fn open_with(paths: &[PathBuf], limits: Limits) -> Result<Source, DataError> {
        let files = paths::expand(paths)?;
        let mut columns = Columns::default();
        let (mut chunks, mut empty) = (Vec::new(), None);
        for (index, file) in files.iter().enumerate() {
            let described = Described::of(file, &limits)?;
            let before = chunks.len();
            chunks.extend(described.chunks(index));
            if chunks.len() == before {
                empty = empty.or(Some(file.path.clone()));
            }
            columns.add(file, described)?;
        }
        if let (true, Some(file)) = (chunks.is_empty(), empty) {
            return Err(DataError::Empty { file, problem: "has columns but no rows" });
        }
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Ok(Source::new(Inner { columns, files: paths, storage: Storage::Files(files), chunks, limits }))
    }

    /// A source in memory. `name` stands for the file in messages; each batch is a chunk. All batches must have the columns of the first.
    pub fn from_batches(name: &str, batches: Vec<RecordBatch>) -> Source {
        let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        Source::in_memory(name, &schema, batches.into_iter().map(|batch| vec![batch]).collect())
    }

    /// A table in memory, none of whose cells are copied. `name` stands for the file in messages. However its rows are cut into batches, it
    /// is read as the Parquet file that pandas and pyarrow write of it: in chunks of 1,048,576 rows.
    ///
    /// # Errors
    /// If it has no rows, or two columns of one name.
    pub fn from_table(name: &str, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Source, DataError> {
        memory::check(Path::new(name), schema, batches)?;
        Ok(Source::in_memory(name, schema, memory::cut(batches, memory::CHUNK_ROWS)))
    }

    /// What comes as a stream and can be read only once, by way of a temporary Parquet file in `folder` (or where the system keeps such),
    /// which goes when the last clone of the source does. It is read as [`from_table`](Source::from_table) would be; only a few megabytes
    /// of it are in memory at a time.
    ///
    /// # Errors
    /// If the stream fails, has no rows or two columns of one name, or the file cannot be written.
    pub fn from_stream(
        name: &str,
        schema: &SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
        folder: Option<&Path>,
    ) -> Result<Source, DataError> {
        let spool = Spool::write(Path::new(name), schema, batches, folder)?;
        let described = Described::of(spool.file(), &Limits::default())?;
        let (mut columns, chunks) = (Columns::default(), described.chunks(0));
        columns.add(spool.file(), described)?;
        let files = vec![PathBuf::from(name)];
        Ok(Source::new(Inner { columns, files, storage: Storage::Spooled(spool), chunks, limits: Limits::default() }))
    }

    fn in_memory(name: &str, schema: &SchemaRef, pieces: Vec<Vec<RecordBatch>>) -> Source {
        let mut first_row = 1;
        let mut chunks = Vec::with_capacity(pieces.len());
        for (index, chunk) in pieces.iter().enumerate() {
            let rows = chunk.iter().map(|piece| piece.num_rows() as u64).sum();
            chunks.push(Chunk { file: 0, row_group: Some(index), first_row, rows: Some(rows) });
            first_row += rows;
        }
        let columns = Columns::fixed(schema);
        let (files, storage) = (vec![PathBuf::from(name)], Storage::Memory(pieces));
        Source::new(Inner { columns, files, storage, chunks, limits: Limits::default() })
    }

    fn new(inner: Inner) -> Source {
        let schema = inner.columns.schema();
        Source { inner: Arc::new(inner), schema, part: None }
    }

    /// The same source with these columns read as text where the format leaves a choice (CSV and JSONL), so that `007` stays `007`.
    /// Columns that are not there are ignored.
    pub fn with_text_columns(&self, columns: &[String]) -> Source {
        self.forced(columns, Single::Text)
    }

    /// The same source with these columns read as numbers with a fraction where the format leaves a choice (CSV and JSONL), so that a
    /// column whose first rows are whole may have others later. Columns that are not there are ignored.
    pub fn with_number_columns(&self, columns: &[String]) -> Source {
        self.forced(columns, Single::Number)
    }

    fn forced(&self, columns: &[String], single: Single) -> Source {
        Source { schema: self.inner.columns.forced(&self.schema, columns, single), ..self.clone() }
    }

    /// Only the rows of one part of a split, which takes the place of a part chosen before.
    pub fn with_part(&self, split: &Split, part: Part) -> Source {
        Source { part: Some((Arc::new(split.clone()), part)), ..self.clone() }
    }

    /// The same source without a part chosen.
    pub(crate) fn whole(&self) -> Source {
        Source { part: None, ..self.clone() }
    }

    /// Column names and types. Text columns may be `Utf8`, `LargeUtf8`, `Utf8View` or a `Dictionary` of them; from files `Utf8` or
    /// `Dictionary(Int32, Utf8)`, the latter where the file stores the column by small dictionaries.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The files, in reading order.
    pub fn files(&self) -> &[PathBuf] {
        &self.inner.files
    }

    /// What is read in one go, in the order of the files.
    pub fn chunks(&self) -> &[Chunk] {
        &self.inner.chunks
    }

    /// Number of rows, of the part where one is chosen; nothing where it takes reading them to know.
    pub fn rows(&self) -> Option<u64> {
        match &self.part {
            Some((split, part)) => Some(split.part(*part).rows),
            None => self.inner.chunks.iter().map(|chunk| chunk.rows).sum(),
        }
    }

    /// Streams `columns`, in this order and each once, a few thousand rows at a time. No batch is empty, and none spans two chunks.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`]; the stream itself gives the errors of reading, and ends after the first.
    pub fn read(&self, columns: &[String], order: Order) -> Result<RowStream, DataError> {
        if let Some((split, _)) = &self.part {
            split.fits(self)?;
        }
        RowStream::new(self, self.fields(columns)?, order)
    }

    /// The fields of `columns`, each once.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`], with the nearest name.
    pub(crate) fn fields(&self, columns: &[String]) -> Result<Vec<FieldRef>, DataError> {
        let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
        for column in columns {
            let Ok(position) = self.schema.index_of(column) else {
                let names = self.schema.fields().iter().map(|field| field.name().as_str());
                return Err(DataError::missing_column(self.first_file(), column, names));
            };
            if !fields.iter().any(|field| field.name() == column) {
                fields.push(Arc::clone(&self.schema.fields()[position]));
            }
        }
        Ok(fields)
    }

    /// The part of a split that was chosen.
    pub(crate) fn part(&self) -> Option<(&Split, Part)> {
        self.part.as_ref().map(|(split, part)| (split.as_ref(), *part))
    }

    /// Whether its rows stand in files of the user's, rather than in memory or in a file of our own.
    pub fn is_in_files(&self) -> bool {
        matches!(self.inner.storage, Storage::Files(_))
    }

    /// What stands for the source in a message.
    pub(crate) fn first_file(&self) -> &Path {
        self.inner.files.first().map_or(Path::new("no file"), PathBuf::as_path)
    }
}

/// The columns of `schema` out of `batch`, in its order.
fn arrange(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let column = |name: &str| batch.schema_ref().index_of(name).map(|index| Arc::clone(batch.column(index)));
    let arrays = schema.fields().iter().map(|field| column(field.name())).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}
