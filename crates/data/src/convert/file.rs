//! A Parquet file that grows row by row, in bounded memory, and is forced to disk at its end.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::table::{Cell, Kind, Pending, schema};
use crate::error::DataError;

/// Rows of a row group: what a reader permutes.
const ROW_GROUP: usize = 65_536;
/// Bytes of a row group that the writer may hold; long lists reach it before the rows do.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Rows of a batch.
const BATCH_ROWS: usize = 4096;
/// Values of a batch, for rows of long lists.
const BATCH_VALUES: usize = 1 << 18;

/// An open file of rows.
pub(super) struct RowFile {
    path: PathBuf,
    writer: ArrowWriter<BufWriter<File>>,
    pending: Pending,
    pub(super) rows: u64,
}

impl RowFile {
    pub(super) fn create(path: PathBuf, columns: &[(String, Kind)]) -> Result<RowFile, DataError> {
        let file = File::create(&path).map_err(|error| DataError::io("write", &path, error))?;
        let properties = WriterProperties::builder()
            // What rows of one user repeat is what makes long lists small.
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let file = BufWriter::with_capacity(1 << 18, file);
        let writer = ArrowWriter::try_new(file, schema(columns), Some(properties));
        let writer = writer.map_err(|error| failed(&path, error))?;
        Ok(RowFile { path, writer, pending: Pending::new(columns), rows: 0 })
    }

    pub(super) fn push(&mut self, cells: &[Cell<'_>]) -> Result<(), DataError> {
        self.pending.push(cells);
        if self.pending.rows >= BATCH_ROWS || self.pending.values >= BATCH_VALUES {
            self.write_pending()?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let failed = |error| failed(&self.path, error);
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(failed)?;
        if self.writer.memory_size() > ROW_GROUP_BYTES {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    /// Ends the file, without which it cannot be read, and says how many rows it has.
    pub(super) fn finish(mut self) -> Result<u64, DataError> {
        self.write_pending()?;
        let (path, writer) = (self.path, self.writer);
        let file = writer.into_inner().map_err(|error| failed(&path, error))?;
        let synced = file.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(|error| DataError::io("write", &path, error))?;
        Ok(self.rows)
    }

    fn write_pending(&mut self) -> Result<(), DataError> {
        if self.pending.rows == 0 {
            return Ok(());
        }
        let batch = self.pending.take();
        self.write(&batch)
    }
}

fn failed(path: &Path, error: parquet::errors::ParquetError) -> DataError {
    DataError::io("write", path, std::io::Error::other(error))
}
