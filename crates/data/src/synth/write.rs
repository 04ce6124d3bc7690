//! Files of the three formats, written batch by batch.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::config::SynthFormat;
use crate::error::DataError;

/// Rows of a row group: what a reader of one must hold.
const ROW_GROUP: usize = 65_536;

/// An open file of data.
pub(super) struct RowWriter {
    path: PathBuf,
    format: Format,
}

enum Format {
    Parquet(Box<ArrowWriter<BufWriter<File>>>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Jsonl(Box<LineDelimitedWriter<BufWriter<File>>>),
}

impl RowWriter {
    pub(super) fn create(path: &Path, format: SynthFormat, schema: &SchemaRef) -> Result<RowWriter, DataError> {
        let file = File::create(path).map_err(|error| DataError::io("write", path, error))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let format = match format {
            SynthFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(ROW_GROUP))
                    .build();
                let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties));
                Format::Parquet(Box::new(writer.map_err(|error| failed(path, error))?))
            }
            SynthFormat::Csv => Format::Csv(Box::new(csv::WriterBuilder::new().with_header(true).build(file))),
            SynthFormat::Jsonl => Format::Jsonl(Box::new(LineDelimitedWriter::new(file))),
        };
        Ok(RowWriter { path: path.to_owned(), format })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let path = &self.path;
        match &mut self.format {
            Format::Parquet(writer) => writer.write(batch).map_err(|error| failed(path, error)),
            Format::Csv(writer) => writer.write(batch).map_err(|error| failed(path, error)),
            Format::Jsonl(writer) => writer.write(batch).map_err(|error| failed(path, error)),
        }
    }

    /// Writes what is still held back. Without this the file is not complete.
    pub(super) fn finish(self) -> Result<(), DataError> {
        let path = &self.path;
        let mut file = match self.format {
            Format::Parquet(writer) => writer.into_inner().map_err(|error| failed(path, error))?,
            Format::Csv(writer) => writer.into_inner(),
            Format::Jsonl(mut writer) => {
                writer.finish().map_err(|error| failed(path, error))?;
                writer.into_inner()
            }
        };
        file.flush().map_err(|error| DataError::io("write", path, error))
    }
}

fn failed(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DataError {
    DataError::io("write", path, std::io::Error::other(error))
}
