//! What can be read only once, written to a file that can be read again.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tempfile::{NamedTempFile, TempPath};

use super::memory::{CHUNK_ROWS, check_columns};
use super::paths::{DataFile, Format, Packing};
use crate::error::DataError;

/// A Parquet file of our own, which goes when this does.
#[derive(Debug)]
pub(super) struct Spool {
    file: DataFile,
    /// Removes the file.
    _path: TempPath,
}

impl Spool {
    /// Writes all that comes, with the row groups that a table in memory has chunks. `name` stands for the file in messages.
    pub(super) fn write(
        name: &Path,
        schema: &SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
        folder: Option<&Path>,
    ) -> Result<Spool, DataError> {
        check_columns(name, schema)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("hinet-").suffix(".parquet");
        let created = folder.map_or_else(|| builder.tempfile(), |folder| builder.tempfile_in(folder));
        let temporary = created.map_err(|error| {
            let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
            DataError::io("write a temporary file in", &folder, error)
        })?;
        let rows = copy(name, schema, batches, &temporary)?;
        if rows == 0 {
            return Err(DataError::Empty { file: name.to_owned(), problem: "has columns but no rows" });
        }
        let path = temporary.into_temp_path();
        let file = DataFile { path: path.to_path_buf(), format: Format::Parquet, packing: Packing::Plain };
        Ok(Spool { file, _path: path })
    }

    /// The file.
    pub(super) fn file(&self) -> &DataFile {
        &self.file
    }
}

/// The rows written.
fn copy(
    name: &Path,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    temporary: &NamedTempFile,
) -> Result<u64, DataError> {
    let unwritten = |error: ParquetError| DataError::Format {
        file: name.to_owned(),
        format: "a stream of Arrow batches",
        problem: format!("it cannot be kept in {}: {error}", temporary.path().display()),
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(CHUNK_ROWS))
        .build();
    let file: &File = temporary.as_file();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(unwritten)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(|error| DataError::Format {
            file: name.to_owned(),
            format: "a stream of Arrow batches",
            problem: error.to_string(),
        })?;
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(unwritten)?;
    }
    writer.close().map_err(unwritten)?;
    Ok(rows)
}
