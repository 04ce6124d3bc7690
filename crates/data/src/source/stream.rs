//! Reading chunk after chunk.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::csv::CsvReader;
use super::json::JsonReader;
use super::parquet::{ParquetFile, RowGroup};
use super::paths::Format;
use super::{BATCH_ROWS, Chunk, Order, Rows, Source, Storage, arrange};
use crate::error::DataError;
use crate::seed::shuffle;
use crate::work::Work;

/// The rows of a source, a few thousand at a time; ends after the first error.
pub struct RowStream {
    source: Source,
    /// The columns asked for.
    wanted: SchemaRef,
    /// Those and what the split goes by.
    read: SchemaRef,
    /// Chunks still to read, the next one last.
    waiting: Vec<usize>,
    open: Option<OpenChunk>,
    /// The Parquet file opened last, since its other row groups often follow.
    parquet: Option<(usize, ParquetFile)>,
    /// Index of the file that the last batch was read from.
    file: usize,
    /// Readers that the columns of a Parquet file are dealt out to.
    parts: usize,
}

struct OpenChunk {
    reader: Reader,
    file: usize,
    path: Arc<Path>,
    next_row: u64,
}

enum Reader {
    /// The pieces still to read, the next one last.
    Memory {
        rest: Vec<RecordBatch>,
    },
    Parquet(Box<RowGroup>),
    Csv(Box<CsvReader>),
    Json(Box<JsonReader>),
}

impl RowStream {
    pub(super) fn new(source: &Source, wanted: Vec<FieldRef>, order: Order) -> Result<RowStream, DataError> {
        let mut waiting: Vec<usize> = (0..source.chunks().len()).collect();
        if let Order::Shuffled { seed } = order {
            shuffle(&mut waiting, seed);
        }
        waiting.reverse();
        let mut read = wanted.clone();
        let split_column = source.part.as_ref().and_then(|(split, _)| split.column().map(str::to_owned));
        for field in source.fields(split_column.as_slice())? {
            if !wanted.iter().any(|known| known.name() == field.name()) {
                read.push(field);
            }
        }
        let (wanted, read) = (Arc::new(Schema::new(wanted)), Arc::new(Schema::new(read)));
        Ok(RowStream { source: source.clone(), wanted, read, waiting, open: None, parquet: None, file: 0, parts: 1 })
    }

    /// The same rows from Parquet files whose columns are dealt out to so many readers, which can work side by side.
    pub(crate) fn in_parts(self, parts: usize) -> RowStream {
        RowStream { parts, ..self }
    }

    /// The next rows, as [`Iterator::next`] gives them.
    pub(crate) fn next_rows(&mut self, work: Work) -> Option<Result<Rows, DataError>> {
        let outcome = self.advance(work);
        if outcome.is_err() {
            self.waiting.clear();
            self.open = None;
        }
        outcome.transpose()
    }

    /// Index of the file that the last batch was read from.
    pub(crate) fn file(&self) -> usize {
        self.file
    }

    /// The next batch that has rows.
    fn advance(&mut self, work: Work) -> Result<Option<Rows>, DataError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.waiting.pop() {
                    Some(chunk) => self.open_chunk(chunk)?,
                    None => return Ok(None),
                },
            };
            let Some(batch) = open.reader.next_batch(work)? else { continue };
            let rows = Rows::new(Arc::clone(&open.path), open.next_row, batch);
            open.next_row += rows.len() as u64;
            self.file = open.file;
            self.open = Some(open);
            let rows = self.of_part(rows)?;
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    fn of_part(&self, rows: Rows) -> Result<Rows, DataError> {
        let Some((split, part)) = &self.source.part else { return Ok(rows) };
        let mut rows = rows.filter(&split.keeps(*part, &rows, self.file)?);
        rows.batch = arrange(&rows.batch, &self.wanted).expect("the columns wanted are among those read");
        Ok(rows)
    }

    fn open_chunk(&mut self, index: usize) -> Result<OpenChunk, DataError> {
        let inner = Arc::clone(&self.source.inner);
        let chunk = &inner.chunks[index];
        let path: Arc<Path> = inner.files[chunk.file].as_path().into();
        let reader = match &inner.storage {
            Storage::Memory(chunks) => {
                let pieces = chunks[index].iter().rev().map(|piece| self.arranged(piece, &path));
                Reader::Memory { rest: pieces.collect::<Result<_, _>>()? }
            }
            Storage::Spooled(spool) => self.parquet(chunk, &spool.file().path.as_path().into())?,
            Storage::Files(files) => {
                let (file, limits) = (&files[chunk.file], &inner.limits);
                match file.format {
                    Format::Csv => Reader::Csv(Box::new(CsvReader::open(file, &path, &self.read, limits)?)),
                    Format::JsonLines => Reader::Json(Box::new(JsonReader::open(file, &path, &self.read, limits)?)),
                    Format::Parquet => self.parquet(chunk, &path)?,
                }
            }
        };
        Ok(OpenChunk { reader, file: chunk.file, path, next_row: chunk.first_row })
    }

    /// A row group of the Parquet file at `path`.
    fn parquet(&mut self, chunk: &Chunk, path: &Arc<Path>) -> Result<Reader, DataError> {
        let opened = match self.parquet.take().filter(|(known, _)| *known == chunk.file) {
            Some((_, opened)) => opened,
            None => ParquetFile::open(path, &self.source.schema)?,
        };
        let (group, rows) = (chunk.row_group.unwrap_or(0), chunk.rows.unwrap_or(0));
        let reader = opened.row_group(group, rows, &self.read, self.parts)?;
        self.parquet = Some((chunk.file, opened));
        Ok(Reader::Parquet(Box::new(reader)))
    }

    fn arranged(&self, batch: &RecordBatch, path: &Path) -> Result<RecordBatch, DataError> {
        arrange(batch, &self.read).map_err(|error| DataError::Format {
            file: path.to_owned(),
            format: "one table",
            problem: format!("its batches differ: {error}"),
        })
    }
}

impl Iterator for RowStream {
    type Item = Result<Rows, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows(Work::InTurn)
    }
}

impl Reader {
    fn next_batch(&mut self, work: Work) -> Result<Option<RecordBatch>, DataError> {
        match self {
            Reader::Parquet(reader) => reader.next_batch(work),
            Reader::Csv(reader) => reader.next_batch(),
            Reader::Json(reader) => reader.next_batch(),
            Reader::Memory { rest } => {
                let Some(piece) = rest.pop() else { return Ok(None) };
                let taken = piece.num_rows().min(BATCH_ROWS);
                if taken < piece.num_rows() {
                    rest.push(piece.slice(taken, piece.num_rows() - taken));
                }
                Ok(Some(piece.slice(0, taken)))
            }
        }
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RowStream").field("wanted", &self.wanted).field("waiting", &self.waiting.len()).finish()
    }
}
