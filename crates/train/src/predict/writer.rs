//! Writes record batches to a file whose format its ending tells, beside its place until it is whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hinet_data::sync_folder;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::TrainError;

/// Formats that predictions are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv,
    Jsonl,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Format, TrainError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
        match ending.as_deref() {
            Some("parquet") => Ok(Format::Parquet),
            Some("csv") => Ok(Format::Csv),
            Some("jsonl") => Ok(Format::Jsonl),
            _ => Err(TrainError::OutputFormat { path: path.to_owned() }),
        }
    }
}

/// A table that is being written. Dropped before [`TableWriter::finish`], it leaves nothing behind.
pub(crate) struct TableWriter {
    path: PathBuf,
    beside: PathBuf,
    inner: Option<Inner>,
}

enum Inner {
    Parquet(Box<ArrowWriter<File>>),
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>),
    Jsonl(Box<arrow::json::Writer<BufWriter<File>, arrow::json::writer::LineDelimited>>),
}

impl TableWriter {
    /// Begins a table of this schema, in a folder that is there: one that is not is more likely misspelt than wanted.
    pub(crate) fn create(path: &Path, schema: &SchemaRef) -> Result<TableWriter, TrainError> {
        let format = Format::of(path)?;
        let beside = beside(path);
        let file = File::create(&beside).map_err(TrainError::io(path))?;
        let inner = match format {
            Format::Parquet => Inner::Parquet(Box::new(parquet_writer(file, schema).map_err(output(path))?)),
            Format::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(BufWriter::new(file));
                // The header, even where no row follows.
                writer.write(&RecordBatch::new_empty(schema.clone())).map_err(output(path))?;
                Inner::Csv(Box::new(writer))
            }
            Format::Jsonl => {
                let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
                Inner::Jsonl(Box::new(builder.build(BufWriter::new(file))))
            }
        };
        Ok(TableWriter { path: path.to_owned(), beside, inner: Some(inner) })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TrainError> {
        let path = &self.path;
        match self.inner.as_mut().expect("only `finish` takes the writer, and it takes the table too") {
            Inner::Parquet(writer) => writer.write(batch).map_err(output(path)),
            Inner::Csv(writer) => writer.write(batch).map_err(output(path)),
            Inner::Jsonl(writer) => writer.write(batch).map_err(output(path)),
        }
    }

    /// Puts the table in its place.
    pub(crate) fn finish(mut self) -> Result<(), TrainError> {
        let inner = self.inner.take().expect("only `finish` takes the writer, and it takes the table too");
        let file = close(inner).map_err(|reason| TrainError::Output { path: self.path.clone(), reason });
        let synced = file.and_then(|file| file.sync_all().map_err(TrainError::io(&self.path)));
        let placed = synced.and_then(|()| self.put_in_place().map_err(TrainError::io(&self.path)));
        if placed.is_err() {
            let _ = fs::remove_file(&self.beside);
        }
        placed
    }

    fn put_in_place(&self) -> std::io::Result<()> {
        fs::rename(&self.beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        sync_folder(folder.unwrap_or(Path::new(".")))
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        if self.inner.take().is_some() {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Where a table is written before it is put in place: the same folder, another name.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn parquet_writer(file: File, schema: &SchemaRef) -> Result<ArrowWriter<File>, parquet::errors::ParquetError> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    ArrowWriter::try_new(file, schema.clone(), Some(properties))
}

fn close(inner: Inner) -> Result<File, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let buffered = match inner {
        Inner::Parquet(writer) => return writer.into_inner().map_err(|error| text(&error)),
        Inner::Csv(writer) => writer.into_inner(),
        Inner::Jsonl(mut writer) => {
            writer.finish().map_err(|error| text(&error))?;
            writer.into_inner()
        }
    };
    let mut buffered = buffered;
    buffered.flush().map_err(|error| text(&error))?;
    buffered.into_inner().map_err(|error| text(error.error()))
}

fn output<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> TrainError + '_ {
    |error| TrainError::Output { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn rows() -> RecordBatch {
        let fields = vec![Field::new("tab", DataType::Utf8, true), Field::new("p_click", DataType::Float32, false)];
        let tab = StringArray::from(vec![Some("a,b"), None]);
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(tab), Arc::new(Float32Array::from(vec![0.25, 0.5]))];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn write(path: &Path) {
        let rows = rows();
        let mut writer = TableWriter::create(path, &rows.schema()).unwrap();
        assert!(!path.exists());
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
        assert!(!beside(path).exists());
    }

    #[test]
    fn each_ending_writes_its_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["p.csv", "p.jsonl", "p.parquet"] {
            write(&path(name));
        }
        assert_eq!(fs::read_to_string(path("p.csv")).unwrap(), "tab,p_click\n\"a,b\",0.25\n,0.5\n");
        let jsonl = fs::read_to_string(path("p.jsonl")).unwrap();
        assert_eq!(jsonl, "{\"tab\":\"a,b\",\"p_click\":0.25}\n{\"tab\":null,\"p_click\":0.5}\n");
        let file = File::open(path("p.parquet")).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), rows());
        assert!(matches!(Format::of(&path("p.txt")), Err(TrainError::OutputFormat { .. })));
    }

    #[test]
    fn a_table_that_is_given_up_leaves_nothing_and_spares_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        fs::write(&path, "old").unwrap();
        let mut writer = TableWriter::create(&path, &rows().schema()).unwrap();
        writer.write(&rows()).unwrap();
        drop(writer);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_table_without_rows_still_has_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        TableWriter::create(&path, &rows().schema()).unwrap().finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "tab,p_click\n");
    }
}
